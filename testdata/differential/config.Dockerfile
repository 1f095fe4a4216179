FROM localhost/base:1
LABEL one=1 two="2 2"
ENV A=1 B="$PATH:more"
EXPOSE 80 53/udp
VOLUME /data
STOPSIGNAL SIGINT
USER app:extra
WORKDIR /srv
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo hi"]
