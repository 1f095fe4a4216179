# SHELL counts from where it stands; HEALTHCHECK keeps its own.
FROM base
CMD before
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENTRYPOINT after
HEALTHCHECK CMD check
