FROM localhost/base:1 AS parent
ENV BEFORE=1
ONBUILD ENV TRIGGERED=yes
ONBUILD COPY one /by-trigger
ONBUILD RUN echo "$TRIGGERED" > /said
FROM parent
ENV AFTER=$TRIGGERED
RUN cat /said > /after
