# escape=`
FROM localhost/base:1
LABEL "quoted key"="quoted value" plain=word
LABEL multi="one `
two" dollar='$HOME'
LABEL com.example.a=1 com.example.a=2
ENV PATHS=a:b `
    OTHER="c d"
