# The slim image: one program, under our name and kaniko's. CA roots are compiled into it; a context `certificates`
# with a `ca-certificates.crt` brings them as a file too, for jobs that add their own to it.
#
#     cargo build --release && strata build --tag strata .
#     strata build --build-context certificates=/etc/ssl/certs --tag strata .
FROM scratch AS certificates
WORKDIR /empty

FROM scratch AS program
COPY target/*/release/strata /kaniko/executor
# A program that is not static does not start here, and the build stops.
RUN ["/kaniko/executor", "version"]

# Whoever a platform makes of the user, its group is 0.
FROM scratch AS directories
WORKDIR /open/kaniko/.docker
WORKDIR /open/kaniko/ssl/certs
WORKDIR /open/root
WORKDIR /open/workspace
WORKDIR /open/cache
WORKDIR /sticky/tmp

FROM scratch
COPY --from=directories --chmod=0775 /open/ /
COPY --from=directories --chmod=1777 /sticky/ /
COPY image/ /
COPY --from=certificates ca-certificates.cr[t] /etc/ssl/certs/
COPY --from=program /kaniko/executor /kaniko/executor
ENV PATH=/usr/local/bin:/kaniko HOME=/root DOCKER_CONFIG=/kaniko/.docker
WORKDIR /workspace
# Takes kaniko's options, our commands, and the name of any other program.
ENTRYPOINT ["/kaniko/executor"]
