# The slim image: one program. CA roots are compiled into it; SSL_CERT_FILE and SSL_CERT_DIR name others.
#
#     cargo build --release && strata build --tag strata .
FROM scratch AS program
COPY target/*/release/strata /usr/local/bin/strata
# A program that is not static does not start here, and the build stops.
RUN ["/usr/local/bin/strata", "version"]

FROM scratch
COPY --from=program /usr/local/bin/strata /usr/local/bin/strata
ENTRYPOINT ["/usr/local/bin/strata"]
