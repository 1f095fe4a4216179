ARG GLOBAL=global
FROM base AS below
ARG GLOBAL INNER=inner
ENV A=1 B=$A C="${GLOBAL}-${INNER:-x}" PATH=/mine:$PATH
ENV legacy value  with spaces
FROM below
ENV D=$A BASE=changed
RUN true
