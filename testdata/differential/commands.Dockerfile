FROM localhost/base:1 AS parent
CMD ["inherited"]
ENTRYPOINT ["/bin/echo", "-n"]
FROM parent
ENTRYPOINT ["/bin/echo"]
