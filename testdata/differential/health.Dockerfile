FROM localhost/base:1
HEALTHCHECK --interval=10s --timeout=2s --start-period=1m --retries=4 CMD test -e /bin/sh
