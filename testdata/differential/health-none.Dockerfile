FROM localhost/base:1 AS checked
HEALTHCHECK CMD test -e /bin/sh
FROM checked
HEALTHCHECK NONE
