FROM localhost/base:1
RUN mkdir -p /real/deep && ln -s real /relative && ln -s /real/deep /absolute && ln -s /not/yet /dangling
COPY one /relative/file
COPY one /absolute/
COPY dir /relative/deep/
COPY two.txt /relative/made/file
COPY one /dangling/file
