FROM localhost/base:1
WORKDIR /work
COPY ["one", "two.txt", "json form/"]
COPY one relative
COPY one ./into/
COPY dir/sub ../up/
COPY dir/su? /question/
COPY d[i]r /bracket/
COPY on* tw* /stars/
COPY link /followed
COPY script.sh /script
COPY dir /merged/
COPY dir/sub /merged/sub/
