# A CMD of the same stage stays, wherever it stands.
FROM base
CMD ["one"]
ENTRYPOINT two words
CMD ["three", "four"]
