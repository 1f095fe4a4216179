//! What is refused, where, and with which advice.

use crate::case::Case;

#[test]
fn findings_name_their_place() {
    for (text, expected) in [
        ("ARG X\nFROM $X\n", "Dockerfile:2:6 the base `$X` is empty once expanded"),
        ("FROM --platform=$NO a\n", "Dockerfile:1:17 the platform `$NO` is empty once expanded"),
        (
            "FROM a AS build\nFROM a\nCOPY --from=9 a b\n",
            "Dockerfile:3:13 there is no stage number 9",
        ),
        ("FROM a AS x\nCOPY --from=x a b\n", "Dockerfile:2:13 stage `x` depends on itself"),
        (
            "FROM a AS x\nCOPY --from=y a b\nFROM x AS y\n",
            "Dockerfile:2:13 stage `y` is defined after this one: only earlier stages can be used",
        ),
        (
            "FROM a AS x\nRUN --mount=from=y,target=/t a\nFROM x AS y\n",
            "Dockerfile:2:18 stage `y` is defined after this one: only earlier stages can be used",
        ),
        (
            "FROM a\nCOPY --chmod=999 a b\n",
            "Dockerfile:2:14 `999` is not a mode: expected octal digits up to 7777, or clauses as `u=rwX,go-w`",
        ),
        (
            "FROM a\nEXPOSE 99999\n",
            "Dockerfile:2:8 `99999` is not a port: ports are numbers from 0 to 65535",
        ),
        ("FROM a\nSTOPSIGNAL NOPE\n", "Dockerfile:2:12 `NOPE` is not a signal"),
        ("FROM a\nENV A=${U:?needit}\n", "Dockerfile:2:7 U: needit"),
        (
            "FROM a\nCOPY http://h/x /y\n",
            "Dockerfile:2:6 `COPY` cannot download `http://h/x` | use `ADD`",
        ),
        (
            "FROM a\nADD --checksum=sha256:12 a b\n",
            "Dockerfile:2:16 `--checksum` needs exactly one source, and that an URL or a git repository",
        ),
        (
            "FROM a\nADD https://h/r.git?x=1 b\n",
            "Dockerfile:2:5 git address `https://h/r.git?x=1` is invalid: `x` is not known",
        ),
        (
            "FROM a\nADD --keep-git-dir https://h/r.git?keep-git-dir=0 b\n",
            "Dockerfile:2:20 `--keep-git-dir` and the git address `https://h/r.git?keep-git-dir=0` contradict each other",
        ),
        (
            "FROM a\nRUN --mount=type=bind,source=. x\n",
            "Dockerfile:2:5 a mount cannot have the target ``",
        ),
        (
            "FROM a\nCOPY <<a/b /x\na/b\n",
            "Dockerfile:2:6 the heredoc `a/b` cannot be the name of a file",
        ),
        (
            "FROM a\nRUN <<..\n#!/x\n..\n",
            "Dockerfile:2:5 the heredoc `..` cannot be the name of a file",
        ),
        ("FROM a\nRUN []\n", "Dockerfile:2:1 there is nothing to run"),
        ("FROM a\nENV E=\nVOLUME $E\n", "Dockerfile:3:8 a volume cannot be an empty string"),
        ("FROM missing/x\n", "Dockerfile:1:6 base image `missing/x` is not available: not found"),
        (
            "FROM a AS build\nFROM a\nCOPY --from=missingx a b\n",
            "Dockerfile:3:13 base image `missingx` is not available: not found",
        ),
        (
            "FROM a\nRUN --security=insecure x\n",
            "Dockerfile:2:5 `RUN --security=insecure` is not supported: no step of an unprivileged build gets more rights than the build has",
        ),
        (
            "FROM a\nRUN --device=v.com/c=n x\n",
            "Dockerfile:2:5 `RUN --device` is not supported: devices of the host cannot be handed to steps of an unprivileged build",
        ),
        (
            "FROM --platform=windows/amd64 a\n",
            "Dockerfile:1:17 a `windows` platform is not supported: layers of Windows are not made of files with modes and owners",
        ),
        (
            "# check=error=true\nFROM a\nRUN x\nWORKDIR w\n",
            "Dockerfile:4:9 the relative path `w` depends on what the base says (WorkdirRelativePath)",
        ),
    ] {
        assert_eq!(Case::new(text).errors(), [expected], "{text}");
    }
}

#[test]
fn words_are_judged_once_they_are_expanded() {
    for (text, expected) in [
        (
            "FROM a:b:c\n",
            "Dockerfile:1:6 `a:b:c` is neither a stage nor an image: tag `b:c` in image reference `a:b:c` is not up to 128 letters, digits, `_`, `.` and `-`, or begins with `.` or `-`",
        ),
        (
            "FROM --platform=a/b/c/d a\n",
            "Dockerfile:1:17 platform `a/b/c/d` is not of the form `os/architecture/variant`",
        ),
        (
            "FROM a\nADD --checksum=md5:x https://h/x /y\n",
            "Dockerfile:2:16 `md5:x` is not a checksum: `md5:x` is not a digest of the form `sha256:<64 lower-case hexadecimal digits>`",
        ),
        ("FROM a\nARG N\nENV $N=1\n", "Dockerfile:3:5 a name of `ENV` is empty once expanded"),
        ("FROM a\nARG N\nLABEL $N=1\n", "Dockerfile:3:7 a name of `LABEL` is empty once expanded"),
        ("FROM a\nRUN --mount=type=cache x\n", "Dockerfile:2:5 a mount cannot have the target ``"),
        (
            "FROM a\nARG S=x\nRUN --mount=type=tmpfs,target=/t,size=$S x\n",
            "Dockerfile:3:34 `x` is not a value for the key `size` of `--mount`: expected a size",
        ),
        ("FROM a\nENV A=${B/x}\n", "Dockerfile:2:7 missing `/` of `${…}` in `${B/x}`"),
        ("FROM a\nENV A=${B\n", "Dockerfile:2:7 missing `}` of `${…}` in `${B`"),
        (
            "FROM a\nARG P=80/x\nEXPOSE $P\n",
            "Dockerfile:3:8 `80/x` is not a port: the protocol must be `tcp`, `udp` or `sctp`",
        ),
    ] {
        assert_eq!(Case::new(text).errors(), [expected], "{text}");
    }
    let named = Case::new("FROM a\n").directory("scratch", 1);
    assert_eq!(named.errors(), ["request `scratch` cannot be the name of a build context"]);
}

#[test]
fn all_findings_are_told_before_any_base_is_asked_for() {
    let mut case = Case::new(
        "FROM a AS b\nCOPY --from=7 x y\nRUN --security=insecure x\nEXPOSE x\nRUN --device=v.com/c=n x\n",
    );
    let errors = case.run().expect_err("refused");
    assert_eq!(errors.errors.len(), 4);
    assert_eq!(case.rounds, Vec::<Vec<String>>::new());
}

#[test]
fn stages_that_are_not_needed_are_not_checked() {
    let text = "FROM missing AS x\nRUN --security=insecure x\nFROM a\nRUN x\n";
    assert_eq!(Case::new(text).errors(), Vec::<String>::new());
    assert_eq!(Case::new(text).target("x").errors().len(), 1);
}

#[test]
fn an_unknown_target_suggests_a_known_one() {
    let case = Case::new("FROM a AS build\nFROM a\n").target("bulid");
    assert_eq!(case.errors(), ["request no stage is called `bulid` | did you mean `build`?"]);
}

#[test]
fn a_bad_epoch_is_refused() {
    let case = Case::new("FROM a\n").arg("SOURCE_DATE_EPOCH", "noon");
    let expected = "request `SOURCE_DATE_EPOCH=noon` is not a number of seconds since 1970 that a date can show";
    assert_eq!(case.errors(), [expected]);
}

#[test]
fn an_epoch_that_cannot_be_taken_is_told_where_it_is_written() {
    for (text, argument, expected) in [
        ("ARG SOURCE_DATE_EPOCH=st\nFROM scratch AS St\n", None, "Dockerfile:1:23 "),
        ("ARG SOURCE_DATE_EPOCH=7\nFROM scratch AS St\n", Some("st"), "Dockerfile:2:1 "),
        ("ARG SOURCE_DATE_EPOCH=noon\nFROM a\n", None, "Dockerfile:1:23 "),
    ] {
        let mut case = Case::new(text);
        if let Some(argument) = argument {
            case = case.arg("SOURCE_DATE_EPOCH", argument);
        }
        let errors = case.errors();
        assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}");
    }
}

#[test]
fn triggers_are_errors_of_their_own_text() {
    let on = |text: &str| {
        let text = text.to_owned();
        Case::new("FROM scratch AS s\nFROM old\n")
            .base("old", move |config| config.config.on_build = vec![text])
            .errors()
    };
    for (trigger, expected) in [
        (
            "FROM x",
            "a trigger of base image `old` is invalid: `FROM` is not allowed as a trigger of `ONBUILD`",
        ),
        (
            "ONBUILD RUN x",
            "a trigger of base image `old` is invalid: `ONBUILD` is not allowed as a trigger of `ONBUILD`",
        ),
        (
            "RUN --security=insecure x",
            "`RUN --security=insecure` is not supported: no step of an unprivileged build gets more rights than the build has",
        ),
        ("STOPSIGNAL NOPE", "`NOPE` is not a signal"),
    ] {
        let found = on(trigger);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("ONBUILD of old:1:"), "{found:?}");
        assert!(found[0].ends_with(&format!("[trigger] {expected}")), "{found:?}");
    }
}

#[test]
fn variables_that_nothing_defines_are_warned_of() {
    for (text, expected) in [
        (
            "FROM a\nENV FOO=1\nENV B=$FOX\n",
            vec!["UndefinedVar the variable `FOX` is not defined | did you mean `FOO`?"],
        ),
        ("FROM a\nARG X\nENV B=$X\n", vec![]),
        ("# check=skip=UndefinedVar\nFROM a\nENV B=$X\n", vec![]),
        ("FROM a\nRUN echo $X\n", vec![]),
        (
            "FROM a${X}\n",
            vec!["UndefinedArgInFrom `FROM` uses the argument `X`, which is not declared"],
        ),
        (
            "ARG V\nFROM a:$V\n",
            vec![
                "InvalidDefaultArgInFrom without build arguments `a:$V` is not the name of an image",
            ],
        ),
        (
            "FROM a\nWORKDIR w\nWORKDIR x\n",
            vec!["WorkdirRelativePath the relative path `w` depends on what the base says"],
        ),
        (
            "FROM --platform=$TARGETPLATFORM a\n",
            vec![
                "RedundantTargetPlatform `--platform=$TARGETPLATFORM` is what `FROM` does by itself",
            ],
        ),
        (
            "FROM --platform=linux/arm64 a\n",
            vec![
                "FromPlatformFlagConstDisallowed `--platform` of `FROM` should not be the constant `linux/arm64`",
            ],
        ),
        ("FROM --platform=linux/arm64 a AS arm64-tools\n", vec![]),
        (
            "FROM arm\n",
            vec![
                "InvalidBaseImagePlatform the base `arm` is for `linux/arm64`, but `linux/amd64` is wanted",
            ],
        ),
    ] {
        let case = Case::new(text)
            .base("arm", |config| config.architecture = "arm64".into())
            .arg("V", "1");
        let shown: Vec<_> = case
            .plan()
            .warnings
            .iter()
            .map(|warning| {
                let help = warning.help.as_ref().map_or(String::new(), |help| format!(" | {help}"));
                format!("{} {}{help}", warning.rule.name(), warning.message)
            })
            .collect();
        assert_eq!(shown, expected, "{text}");
    }
}
