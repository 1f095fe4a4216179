FROM localhost/base:1
COPY one /file
COPY one two.txt /both/
COPY dir /contents
COPY dir/*.md link /picked/
COPY --chown=app:extra --chmod=640 one /owned/file
COPY . /all/
ADD archive.tar.gz /unpacked/
