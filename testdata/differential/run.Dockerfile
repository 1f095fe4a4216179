FROM localhost/base:1
ARG WHO=nobody
ENV GREETING="hello ${WHO}"
WORKDIR /work/here
RUN echo "$GREETING" > greeting && ln greeting hard && ln -s greeting soft
RUN mkdir gone && touch gone/x && rm -r gone && chmod 4750 greeting && chown 1000:2000 greeting
USER app
RUN id > /tmp/id
