FROM localhost/base:1
ONBUILD COPY . /srv
ONBUILD RUN echo "hello  world"
ONBUILD CMD ["/bin/sh", "-c", "true"]
CMD echo "kept  spaces"
