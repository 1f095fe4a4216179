FROM localhost/base:1
COPY --chown=app one /by/name
COPY --chown=app:extra one /by/both
COPY --chown=1234 one /by/number
COPY --chown=1234:4321 dir /by/numbers/
COPY --chown=app script.sh /by/name
USER app
COPY one /by/root
