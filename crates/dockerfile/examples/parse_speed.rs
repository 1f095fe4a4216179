//! How long it takes to parse a Dockerfile of a megabyte: `cargo run --release -p strata-dockerfile --example
//! parse_speed`. The aim is less than 50 ms.

use std::time::Instant;

use strata_dockerfile::{Source, parse};

const STAGE: &str = "\
# app is one of many
FROM --platform=$BUILDPLATFORM docker.io/library/alpine:3.20@sha256:0000000000000000000000000000000000000000000000000000000000000000 AS app
ARG VERSION=1.2.3 OTHER
ENV PATH=/opt/bin:$PATH NAME=\"two words\" EMPTY=
RUN --mount=type=cache,target=/var/cache/apk,sharing=locked \\
    --mount=type=secret,id=token,required=true \\
    apk add --no-cache \\
      # a comment in between
      build-base git \\
 && make -j \"$(nproc)\" all install
COPY --chown=1000:1000 --chmod=u=rwX,go=rX --exclude=*.o src/ include/ /src/
COPY <<EOF <<-'RAW' /etc/
name = ${NAME}
EOF
\traw $text
RAW
LABEL org.opencontainers.image.title=app org.opencontainers.image.version=${VERSION:-none}
HEALTHCHECK --interval=10s --retries=3 CMD curl -f http://localhost/ || exit 1
EXPOSE 80 443/tcp 8000-8010/udp
ENTRYPOINT [\"/usr/bin/app\", \"--serve\"]
CMD [\"--port\", \"80\"]

";

#[expect(clippy::print_stdout, reason = "the number is all there is to it")]
fn main() {
    let text = STAGE.repeat((1 << 20) / STAGE.len() + 1);
    let source = Source::new(0, "Dockerfile", text);
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            let dockerfile = parse(&source).expect("is a Dockerfile");
            assert!(dockerfile.stages.len() > 500, "all of it is parsed");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{} bytes: fastest {:?}, median {:?}", source.text().len(), times[0], times[10]);
}
