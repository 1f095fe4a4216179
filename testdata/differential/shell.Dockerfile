FROM localhost/base:1
SHELL ["/bin/busybox", "sh", "-e", "-c"]
RUN echo "$0 $-" > /shell; test -e /shell
ENTRYPOINT echo entry
CMD echo command
