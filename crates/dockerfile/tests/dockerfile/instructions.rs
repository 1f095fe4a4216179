//! Every instruction in every form.

use strata_dockerfile::Instruction;
use strata_dockerfile::instruction::{Mount, MountOwner, Sharing};

use crate::render::{access, from, one, parsed};

#[track_caller]
fn table(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(one(text), *expected, "{text:?}");
    }
}

#[test]
fn from_forms() {
    for (text, expected) in [
        ("FROM a", "[a]"),
        ("from a as B", "[a] as b"),
        ("FROM a:1@sha256:00 AS x-y_z.1", "[a:1@sha256:00] as x-y_z.1"),
        ("FROM --platform=$BUILDPLATFORM a AS b", "[a] platform=[$BUILDPLATFORM] as b"),
        ("FROM --platform= a", "[a]"),
        ("FROM \t ${X:-a}  \t", "[${X:-a}]"),
        ("FRO\\\nM a", "[a]"),
        ("FROM \\\n  a \\\n AS \\\n b", "[a] as b"),
    ] {
        let dockerfile = parsed(text);
        assert_eq!(from(&dockerfile.stages[0].from.node), expected, "{text:?}");
    }
}

#[test]
fn commands() {
    table(&[
        ("RUN echo hi && x", r#"RUN sh "echo hi && x""#),
        ("RUN", r#"RUN sh """#),
        (r#"RUN ["a", "b c"]"#, r#"RUN exec ["a", "b c"]"#),
        (r#"RUN  [ "a" ]  "#, r#"RUN exec ["a"]"#),
        (r#"RUN ["a",]"#, r#"RUN sh "[\"a\",]""#),
        (
            r#"RUN ["echo", "hello"]this is invalid"#,
            r#"RUN sh "[\"echo\", \"hello\"]this is invalid""#,
        ),
        ("RUN ['a']", r#"RUN sh "['a']""#),
        (r#"CMD ["a\"q", "\u0041"]"#, r#"CMD exec ["a\"q", "A"]"#),
        ("CMD echo $X", r#"CMD sh "echo $X""#),
        ("CMD []", "CMD exec []"),
        ("ENTRYPOINT []random string", r#"ENTRYPOINT sh "[]random string""#),
        (r#"ENTRYPOINT ["x"]"#, r#"ENTRYPOINT exec ["x"]"#),
        (r#"SHELL ["/bin/x", "-y"]"#, r#"SHELL ["/bin/x", "-y"]"#),
        ("CMD [\"a\", \\\n  \"b\"]", r#"CMD exec ["a", "b"]"#),
    ]);
}

#[test]
fn run_flags() {
    table(&[
        (
            "RUN --network=none --security=insecure x",
            r#"RUN sh "x" network=None security=Insecure"#,
        ),
        ("RUN --network=host x", r#"RUN sh "x" network=Host"#),
        ("RUN --network=default --security=sandbox x", r#"RUN sh "x""#),
        ("RUN --device=v.com/d=foo,required x", r#"RUN sh "x" device=v.com/d=foo!"#),
        ("RUN --device=v.com/d=foo,required=false x", r#"RUN sh "x" device=v.com/d=foo"#),
        ("RUN --device=name=v.com/d --device=e x", r#"RUN sh "x" device=v.com/d device=e"#),
        ("RUN --mount=target=/x true", r#"RUN sh "true" mount(target=[/x])"#),
        (
            "RUN --mount=\"type=cache,target=/a b\" x",
            r#"RUN sh "x" mount(type=[cache],target=[/a b])"#,
        ),
        (
            r#"RUN --mount=type=$T,\"target=/a,b\" x"#,
            r#"RUN sh "x" mount(type=[$T],target=[/a,b])"#,
        ),
        ("RUN -- --x", r#"RUN sh "--x""#),
        ("RUN --mount=dst=/x,RO,src=s x", r#"RUN sh "x" mount(target=[/x],readonly,source=[s])"#),
    ]);
}

#[test]
fn mounts_resolve() {
    for (flag, expected) in [
        ("target=/x", bind(None, "", "/x", "ro")),
        ("type=bind,from=a,source=s,target=/x,rw", bind(Some("a"), "s", "/x", "rw")),
        ("target=/x,readwrite=false", bind(None, "", "/x", "ro")),
        ("target=/x,ro=false", bind(None, "", "/x", "rw")),
        ("target=$D/x,from=a$", bind(Some("a$"), "", "/d/x", "ro")),
    ] {
        let Mount::Bind { from, source, target, access: mode } = resolved(flag) else {
            panic!("{flag}: a bind")
        };
        assert_eq!((from, source, target, access(mode)), expected, "{flag}");
    }
    let owner = MountOwner { uid: Some(1), gid: Some(2), mode: Some(0o750) };
    assert_eq!(
        resolved("type=cache,id=i,target=/x,sharing=LOCKED,uid=1,gid=2,mode=0750"),
        Mount::Cache {
            id: Some("i".into()),
            from: None,
            source: String::new(),
            target: "/x".into(),
            sharing: Sharing::Locked,
            access: strata_dockerfile::instruction::Access::ReadWrite,
            owner,
        }
    );
    assert_eq!(
        resolved("type=tmpfs,size=1.5g,target=/x"),
        Mount::Tmpfs {
            target: "/x".into(),
            size: 3 << 29,
            access: strata_dockerfile::instruction::Access::ReadWrite,
        }
    );
    for (flag, id, target, env, required) in [
        ("type=secret,id=a", "a", Some("/run/secrets/a"), None, false),
        ("type=secret,id=a/b", "a/b", Some("/run/secrets/b"), None, false),
        ("type=secret,target=/etc/pw,required", "pw", Some("/etc/pw"), None, true),
        ("type=secret,source=s,env=E", "s", None, Some("E"), false),
        ("type=secret,id=a,env=E,dst=/f,required=false", "a", Some("/f"), Some("E"), false),
    ] {
        let expected = Mount::Secret {
            id: id.into(),
            target: target.map(Into::into),
            env: env.map(Into::into),
            required,
            owner: MountOwner::default(),
        };
        assert_eq!(resolved(flag), expected, "{flag}");
    }
    assert_eq!(
        resolved("type=ssh,required,mode=0600"),
        Mount::Ssh {
            id: None,
            target: None,
            required: true,
            owner: MountOwner { mode: Some(0o600), ..MountOwner::default() },
        }
    );
}

type Bind = (Option<String>, String, String, &'static str);

fn bind(from: Option<&str>, source: &str, target: &str, access: &'static str) -> Bind {
    (from.map(Into::into), source.into(), target.into(), access)
}

fn resolved(flag: &str) -> Mount {
    let dockerfile = parsed(&format!("FROM a\nRUN --mount={flag} x"));
    let Instruction::Run(run) = &dockerfile.stages[0].instructions[0].node else { panic!("a RUN") };
    let expander = strata_dockerfile::Expander::new(dockerfile.escape);
    let lookup = |name: &str| (name == "D").then(|| "/d".to_owned());
    run.mounts[0]
        .resolve(|word| Ok(expander.process_word(&word.text, &lookup)?.text))
        .unwrap_or_else(|(_, error)| panic!("{flag}: {error}"))
}

#[test]
fn copies() {
    table(&[
        ("COPY a b /d/", "COPY [a] [b] -> [/d/]"),
        ("copy a $X", "COPY [a] -> [$X]"),
        (r#"COPY ["a b", "c\\d", "/x y/"]"#, r"COPY [a b] [c\d] -> [/x y/]"),
        (r#"COPY "f" /x"#, r#"COPY ["f"] -> [/x]"#),
        ("COPY --from=Base a /", "COPY [a] -> [/] from=Base"),
        ("COPY --from= a /", "COPY [a] -> [/]"),
        ("COPY --chown=$U:g --chmod=u=rwX a /", "COPY [a] -> [/] chown=[$U:g] chmod=[u=rwX]"),
        ("COPY --link --parents=TRUE a /", "COPY [a] -> [/] link parents"),
        ("COPY --link=false a /", "COPY [a] -> [/]"),
        ("COPY --exclude=*.md --exclude=!ü/$x a /", "COPY [a] -> [/] exclude=*.md exclude=!ü/$x"),
        (r#"COPY --chown="a b" a /"#, "COPY [a] -> [/] chown=[a b]"),
        ("COPY --chmod=1\\\n  a \\\n  # comment\n\n  /b", "COPY [a] -> [/b] chmod=[1]"),
        ("COPY -- --from=x /", "COPY [--from=x] -> [/]"),
        ("COPY a\\$b /x", "COPY [a\\$b] -> [/x]"),
        ("ADD https://x/y.tar a@b /d", "ADD [https://x/y.tar] [a@b] -> [/d]"),
        (
            "ADD --checksum=sha256:$S --unpack --keep-git-dir=false --link a b",
            "ADD [a] -> [b] checksum=[sha256:$S] link keep-git-dir=false unpack=true",
        ),
        ("ADD --chown=1 --chmod=2 --exclude=x a b", "ADD [a] -> [b] chown=[1] chmod=[2] exclude=x"),
    ]);
}

#[test]
fn variables_and_labels() {
    table(&[
        (
            "ENV A=1 B=\"two words\" C='x' D=a\\ b",
            r#"ENV [A]=[1] [B]=["two words"] [C]=['x'] [D]=[a\ b]"#,
        ),
        ("ENV A the  rest = of it  ", "ENV [A] [the  rest = of it]"),
        ("ENV A \"quoted words\"", "ENV [A] [\"quoted words\"]"),
        ("ENV a.b=1 c-d= E_1=${X:-y}", "ENV [a.b]=[1] [c-d]=[] [E_1]=[${X:-y}]"),
        ("ENV A=on\\\ne", "ENV [A]=[one]"),
        ("ENV A=\"one \\\n  two\"", "ENV [A]=[\"one   two\"]"),
        ("ENV A=1 \\\n# comment\n   # indented\nB=2", "ENV [A]=[1] [B]=[2]"),
        ("ENV A=x\\", "ENV [A]=[x]"),
        ("ENV A='x\\' B=2", "ENV [A]=['x\\'] [B]=[2]"),
        ("ENV A='it''s' B=\"a\\\"b\"", "ENV [A]=['it''s'] [B]=[\"a\\\"b\"]"),
        ("LABEL a= b=\"\" \"c d\"=e", "LABEL [a]=[] [b]=[\"\"] [\"c d\"]=[e]"),
        ("LABEL a b", "LABEL [a] [b]"),
        ("ARG a b=1 c= d=\"x y\"", "ARG [a] [b]=[1] [c]=[] [d]=[\"x y\"]"),
    ]);
}

#[test]
fn the_rest() {
    table(&[
        ("EXPOSE 81 80/tcp $P", "EXPOSE [$P] [80/tcp] [81]"),
        ("VOLUME /a /b", "VOLUME [/a] [/b]"),
        (r#"VOLUME ["/c", " /d e "]"#, "VOLUME [/c] [/d e]"),
        ("WORKDIR /a b", "WORKDIR [/a b]"),
        ("USER app:$G", "USER [app:$G]"),
        ("STOPSIGNAL $S", "STOPSIGNAL [$S]"),
        ("MAINTAINER Some One <s@o>", "MAINTAINER [Some One <s@o>]"),
        ("HEALTHCHECK NONE", "HEALTHCHECK none"),
        ("HEALTHCHECK none", "HEALTHCHECK none"),
        ("HEALTHCHECK CMD a b", r#"HEALTHCHECK sh "a b""#),
        (r#"HEALTHCHECK cmd ["/h", "a"]"#, r#"HEALTHCHECK exec ["/h", "a"]"#),
        (
            "HEALTHCHECK --interval=1m30s --timeout=0 --start-period=1.5s --start-interval=2s --retries=3 CMD a",
            r#"HEALTHCHECK sh "a" interval=90s start-period=1.5s start-interval=2s retries=3"#,
        ),
        (
            "ONBUILD RUN --network=none touch /x",
            r#"ONBUILD "RUN --network=none touch /x" = RUN sh "touch /x" network=None"#,
        ),
        ("onbuild  copy a \\\n b", r#"ONBUILD "copy a  b" = COPY [a] -> [b]"#),
    ]);
}

#[test]
fn backtick_escapes() {
    let dockerfile = parsed("# escape=`\nFROM scratch\nENV A=1 `\n    B=c:\\dir\\x C=a` b\n");
    let rendered = crate::render::instruction(&dockerfile.stages[0].instructions[0].node);
    assert_eq!(rendered, "ENV [A]=[1] [B]=[c:\\dir\\x] [C]=[a` b]");
}
