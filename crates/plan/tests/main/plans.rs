//! Whole plans as text, and which bases are asked for.

use crate::case::Case;

fn rounds(mut case: Case) -> Vec<Vec<String>> {
    case.run().unwrap_or_else(|errors| panic!("{errors}"));
    case.rounds
}

#[test]
fn a_build_in_two_stages() {
    let plan = Case::new(
        r#"ARG GO=1.25
FROM golang:$GO AS builder
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache go mod download
COPY --exclude=*.md . .
ARG VERSION=dev
RUN --mount=type=secret,id=key,env=KEY --network=none go build -o /out/app
FROM golang AS unused
RUN x
FROM scratch
COPY --from=builder --chmod=0755 /out/app /app
COPY --chown=app:app <<EOF /etc/passwd
app
EOF
USER app
ENTRYPOINT ["/app"]
"#,
    )
    .arg("VERSION", "1.0")
    .arg("TYPO", "1")
    .plan();
    insta::assert_snapshot!(plan, @r#"
    stage 0 builder for linux/amd64
      FROM golang:1.25
        image docker.io/library/golang:1.25 sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f, 1 layer
      [builder 2/6] WORKDIR /src
        directory /src
        needs the index
      [builder 3/6] COPY go.mod go.sum ./
        /go.mod of the context
        /go.sum of the context
        to /src/
        needs the index
      [builder 4/6] RUN --mount=type=cache,target=/root/.cache go mod download
        run ["/bin/sh", "-c", "go mod download"]
        as root in /src
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        mount cache /root/.cache at /root/.cache, writable
        needs a root
      [builder 5/6] COPY --exclude=*.md . .
        / of the context
        to /src/ without *.md
        needs the index
      ARG VERSION=dev
      [builder 6/6] RUN --mount=type=secret,id=key,env=KEY --network=none go build -o /out/app
        run ["/bin/sh", "-c", "go build -o /out/app"]
        as root in /src without a network
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin VERSION=1.0
        mount secret key as $KEY
        needs a root
    stage 2 for linux/amd64 (target)
      FROM scratch
      [stage-2 1/2] COPY --from=builder --chmod=0755 /out/app /app
        /out/app of stage 0
        to /app mode 755
        needs the index
      [stage-2 2/2] COPY --chown=app:app <<EOF /etc/passwd
        heredoc EOF of 4 bytes
        to /etc/passwd owner app:app
        needs files
      USER app
      ENTRYPOINT ["/app"]
    warning: build argument `TYPO` is not used
    "#);
}

#[test]
fn every_kind_of_source_and_mount() {
    let plan = Case::new(
        "FROM base AS tools
FROM base
ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://h/a%20b.tgz /x/
ADD --unpack=true https://h/b.tgz /y
ADD --keep-git-dir https://h/r.git#v1:sub /git
ADD rootfs.tar.gz /
COPY --parents src/./a/*.c b /p/
COPY --link --from=0 a* /l
COPY --from=nginx:1 /etc/nginx /n
COPY --from=docs . /docs/.
RUN --mount=target=/ctx,rw --mount=from=tools,source=/bin,target=bin --mount=type=tmpfs,target=/t,size=1m x
RUN --mount=type=cache,id=c,sharing=locked,from=tools,source=seed,target=/c --mount=type=ssh,required --mount=type=secret,id=s x
",
    )
    .directory("docs", 1)
    .plan();
    insta::assert_snapshot!(plan, @r#"
    stage 0 tools for linux/amd64
      FROM base
        image docker.io/library/base:latest sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f, 1 layer
    stage 1 for linux/amd64 (target)
      FROM base
        image docker.io/library/base:latest sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f, 1 layer
      [stage-1  2/11] ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://h/a%20b.tgz /x/
        download https://h/a%20b.tgz as a b.tgz with sha256:0000000000000000000000000000000000000000000000000000000000000000
        to /x/
        needs the index
      [stage-1  3/11] ADD --unpack=true https://h/b.tgz /y
        download https://h/b.tgz as b.tgz
        to /y, unpacking
        needs the index
      [stage-1  4/11] ADD --keep-git-dir https://h/r.git#v1:sub /git
        repository https://h/r.git at v1 directory sub
        to /git
        needs the index
      [stage-1  5/11] ADD rootfs.tar.gz /
        /rootfs.tar.gz of the context
        to /, unpacking
        needs the index
      [stage-1  6/11] COPY --parents src/./a/*.c b /p/
        /a/*.c below /src of the context
        /b of the context
        to /p/, with parents
        needs the index
      [stage-1  7/11] COPY --link --from=0 a* /l
        /a* of stage 0
        to /l, linked
        needs the index
      [stage-1  8/11] COPY --from=nginx:1 /etc/nginx /n
        /etc/nginx of image docker.io/library/nginx:1
        to /n
        needs the index
      [stage-1  9/11] COPY --from=docs . /docs/.
        / of context 1
        to /docs/.
        needs the index
      [stage-1 10/11] RUN --mount=target=/ctx,rw --mount=from=tools,source=/bin,target=bin --mount=type=tmpfs,target=/t,size=1m x
        run ["/bin/sh", "-c", "x"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        mount / of the context at /ctx, writable
        mount /bin of stage 0 at /bin
        mount tmpfs of 1048576 bytes at /t, writable
        needs a root
      [stage-1 11/11] RUN --mount=type=cache,id=c,sharing=locked,from=tools,source=seed,target=/c --mount=type=ssh,required --mount=type=secret,id=s x
        run ["/bin/sh", "-c", "x"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0
        mount cache c locked beginning as /seed of stage 0 at /c, writable
        mount required ssh agent default at /run/buildkit/ssh_agent.0
        mount secret s at /run/secrets/s
        needs a root
    "#);
}

#[test]
fn heredocs_run_as_files_or_for_the_shell() {
    let plan = Case::new(
        "FROM base
RUN <<EOF
#!/bin/awk -f
BEGIN {}
EOF
RUN <<-EOF
\techo one
\techo two
\tEOF
RUN cat <<A | tr a-z A-Z > /x; cat <<B
hello
A
world
B
",
    )
    .plan();
    insta::assert_snapshot!(plan, @r#"
    stage 0 for linux/amd64 (target)
      FROM base
        image docker.io/library/base:latest sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f, 1 layer
      [2/4] RUN <<EOF (#!/bin/awk -f...)
        run ["/bin/sh", "-c", "/dev/pipes/EOF"]
        file EOF of 23 bytes
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        needs a root
      [3/4] RUN <<-EOF (echo one...)
        run ["/bin/sh", "-c", "echo one\necho two\n"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        needs a root
      [4/4] RUN cat <<A | tr a-z A-Z > /x; cat <<B
        run ["/bin/sh", "-c", "cat <<A | tr a-z A-Z > /x; cat <<B\nhello\nA\nworld\nB"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        needs a root
    "#);
}

#[test]
fn triggers_run_first_and_ask_for_more() {
    let case = || {
        Case::new("FROM old AS mine\nRUN x\n").base("old", |config| {
            config.config.on_build =
                vec!["ARG OB=1".into(), "COPY --from=tools /t /t".into(), "run echo $OB".into()];
        })
    };
    insta::assert_snapshot!(case().plan(), @r#"
    stage 0 mine for linux/amd64 (target)
      FROM old
        image docker.io/library/old:latest sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f, 1 layer
      ARG OB=1
      [2/4] ONBUILD COPY --from=tools /t /t
        /t of image docker.io/library/tools:latest
        to /t
        needs the index
      [3/4] ONBUILD RUN echo 1
        run ["/bin/sh", "-c", "echo $OB"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin OB=1
        needs a root
      [4/4] RUN x
        run ["/bin/sh", "-c", "x"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin OB=1
        needs a root
    "#);
    assert_eq!(
        rounds(case()),
        [
            vec!["docker.io/library/old:latest linux/amd64"],
            vec!["docker.io/library/tools:latest linux/amd64"]
        ]
    );
}

#[test]
fn only_what_the_target_needs_is_asked_for() {
    for (text, target, expected) in [
        ("FROM scratch\n", None, vec![]),
        ("FROM a AS a\nFROM b AS b\n", None, vec!["b"]),
        ("FROM a AS a\nFROM b AS b\n", Some("A"), vec!["a"]),
        ("FROM a AS a\nFROM b AS b\n", Some("0"), vec!["a"]),
        ("FROM a AS a\nFROM a AS b\nCOPY --from=a x y\n", None, vec!["a"]),
        ("FROM a AS a\nFROM a\n", None, vec!["a"]),
        (
            "FROM x AS x\nFROM scratch\nCOPY --from=x:1 a b\nRUN --mount=from=m,target=/t y\n",
            None,
            vec!["m", "x:1"],
        ),
        ("FROM b AS a\nFROM a AS b\n", None, vec!["b"]),
        ("FROM a AS Up\nFROM UP\n", None, vec!["a"]),
        ("FROM a AS s\nFROM b AS s\nFROM scratch\nCOPY --from=s x y\n", None, vec!["b"]),
    ] {
        let mut case = Case::new(text);
        if let Some(target) = target {
            case = case.target(target);
        }
        let mut asked: Vec<_> = rounds(case)
            .concat()
            .iter()
            .map(|text| {
                let name = text.trim_start_matches("docker.io/library/");
                name.trim_end_matches(" linux/amd64").trim_end_matches(":latest").to_owned()
            })
            .collect();
        asked.sort();
        assert_eq!(asked, expected, "{text}");
    }
}

#[test]
fn platforms_choose_bases() {
    let case = Case::new(
        "FROM --platform=$BUILDPLATFORM a AS tools
FROM --platform=linux/arm/v7 a AS b
FROM a
COPY --from=tools x y
COPY --from=b x y
",
    );
    let case =
        case.with(|request| request.target_platform = strata_oci::Platform::new("linux", "s390x"));
    assert_eq!(
        rounds(case),
        [vec![
            "docker.io/library/a:latest linux/amd64",
            "docker.io/library/a:latest linux/arm/v7",
            "docker.io/library/a:latest linux/s390x",
        ]]
    );
}

#[test]
fn named_contexts_stand_in_for_images_stages_and_sources() {
    let case = Case::new(
        "FROM alpine AS one
RUN x
FROM docker.io/library/busybox
COPY --from=one a b
COPY --from=more a b
",
    )
    .directory("one", 1)
    .image("busybox", "mirror.io/busybox:2")
    .directory("more", 2);
    insta::assert_snapshot!(case.plan(), @r#"
    stage 1 for linux/amd64 (target)
      FROM docker.io/library/busybox
        image mirror.io/busybox:2 sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f, 1 layer
      [stage-1 2/3] COPY --from=one a b
        /a of context 1
        to /b
        needs the index
      [stage-1 3/3] COPY --from=more a b
        /a of context 2
        to /b
        needs the index
    "#);
    let base = Case::new("FROM files\nRUN x\n").directory("files", 3);
    insta::assert_snapshot!(base.plan(), @r#"
    stage 0 for linux/amd64 (target)
      FROM files
      [1/2] FROM files
        / of context 3
        to /
        needs the index
      [2/2] RUN x
        run ["/bin/sh", "-c", "x"]
        as root in /
        with PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        needs a root
    "#);
}

#[test]
fn plans_are_json_too() {
    let plan = Case::new("FROM a AS x\nRUN --mount=type=cache,target=/c y\n").plan();
    let value = serde_json::to_value(&plan).expect("plans have text keys only");
    let run = &value["stages"][0]["steps"][0];
    insta::assert_snapshot!(serde_json::to_string_pretty(run).expect("a value"), @r#"
    {
      "history": {
        "comment": "buildkit.dockerfile.v0",
        "created_by": "RUN /bin/sh -c y # buildkit"
      },
      "need": "root",
      "no_cache": false,
      "op": {
        "run": {
          "argv": [
            "/bin/sh",
            "-c",
            "y"
          ],
          "directory": "/",
          "env": [
            [
              "PATH",
              "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            ]
          ],
          "files": [],
          "hostname": null,
          "hosts": [],
          "mounts": [
            {
              "kind": {
                "cache": {
                  "access": "read-write",
                  "from": null,
                  "id": "/c",
                  "owner": {
                    "gid": 0,
                    "mode": 493,
                    "uid": 0
                  },
                  "sharing": "shared"
                }
              },
              "target": "/c"
            }
          ],
          "network": "default",
          "proxies": [],
          "user": ""
        }
      },
      "position": {
        "index": 2,
        "total": 2
      },
      "span": {
        "end": 46,
        "source": 0,
        "start": 12
      },
      "text": "RUN --mount=type=cache,target=/c y",
      "trigger_of": null
    }
    "#);
}
