FROM localhost/base:1 AS build
RUN mkdir -p /out/sub && echo made > /out/sub/file && chown -R 5:6 /out
FROM localhost/base:1 AS unused
RUN touch /unused
FROM localhost/base:1
COPY --from=build /out /in
COPY --from=build /out/sub/file /single
RUN rm /bin/cat && mv /in/sub /moved
