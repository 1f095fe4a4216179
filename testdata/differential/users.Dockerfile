FROM localhost/base:1
RUN mkdir /open && chmod 777 /open
USER 1000
RUN id > /open/number
USER 1000:2000
RUN id > /open/numbers
USER app
RUN id > /open/name && touch /open/mine
USER app:extra
RUN id > /open/group
USER 4321
RUN id > /open/nobody
USER root
RUN id > /open/root
WORKDIR /a
WORKDIR b
WORKDIR ../c
RUN echo "$PWD" > here
