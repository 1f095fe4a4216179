FROM localhost/base:1
RUN mkdir -p /before && echo 1 > /before/file
VOLUME ["/before", "/with space"]
VOLUME /one /two
COPY one /before/copied
RUN echo 2 > /outside
EXPOSE 1000-1002/tcp 53/udp
STOPSIGNAL 9
MAINTAINER Some One
