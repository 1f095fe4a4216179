# ENTRYPOINT takes the CMD of the base away.
FROM base
ENTRYPOINT ["/mine"]
