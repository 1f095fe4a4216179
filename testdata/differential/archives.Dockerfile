FROM localhost/base:1
ADD archive.tar.gz /new/
ADD archive.tar.gz one /beside/
ADD --chown=3:4 archive.tar.gz /owned/
COPY archive.tar.gz /kept/
WORKDIR /here
ADD archive.tar.gz .
ADD dir /dir/
