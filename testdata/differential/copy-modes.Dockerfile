FROM localhost/base:1
RUN mkdir /modes
COPY --chmod=4755 script.sh /modes/suid
COPY --chmod=0600 one /modes/secret
COPY --chmod=755 dir /modes/dir/
COPY --chmod=640 link /modes/followed
ADD --chmod=444 two.txt /modes/read
