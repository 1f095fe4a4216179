FROM base
ARG SIGNAL=SIGUSR1
STOPSIGNAL $SIGNAL
USER 1000:users
VOLUME /var/lib/x /cache
VOLUME ["/with space", "/data"]
WORKDIR relative
WORKDIR ../up/
MAINTAINER Some One <some@one.example>
ONBUILD RUN echo triggered
ONBUILD COPY . /app
