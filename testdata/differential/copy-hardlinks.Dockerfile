FROM localhost/base:1 AS files
RUN mkdir -p /h/sub && echo x > /h/a && ln /h/a /h/b && ln /h/a /h/sub/c
FROM localhost/base:1
COPY --from=files /h /whole/
COPY --from=files /h/a /h/b /named/
COPY --from=files /h/[ab] /matched/
COPY --from=files /h/sub /h/a /mixed/
