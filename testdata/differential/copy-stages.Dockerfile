FROM localhost/base:1 AS made
RUN mkdir -p /out/empty && echo a > /out/a && ln /out/a /out/hard && ln -s a /out/soft && chmod 1777 /out/empty && chown -R 5:6 /out
FROM made AS more
RUN echo b > /out/b
FROM localhost/base:1
COPY --from=0 /out /by-number/
COPY --from=more /out/b /out/soft /picked/
COPY --from=localhost/base:1 /etc/passwd /from-image
COPY --from=made --chown=app /out/a /mine
