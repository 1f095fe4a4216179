FROM localhost/base:1
HEALTHCHECK CMD test -e /nothing
HEALTHCHECK --retries=2 CMD ["/bin/test", "-e", "/bin/sh"]
