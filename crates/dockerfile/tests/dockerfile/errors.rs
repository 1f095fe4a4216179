//! What is refused, with place, message and advice.

use strata_dockerfile::parse;

use crate::render::{errors, source};

#[track_caller]
fn table(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let source = source(text);
        let found = parse(&source).err().map(|found| errors(&source, &found)).unwrap_or_default();
        assert_eq!(found, *expected, "{text:?}");
    }
}

/// Cases of one instruction in the second line.
#[track_caller]
fn second_line(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let source = source(&format!("FROM a\n{text}\n"));
        let found = parse(&source).err().map(|found| errors(&source, &found)).unwrap_or_default();
        assert_eq!(found.join("; "), *expected, "{text:?}");
    }
}

#[test]
fn of_the_file() {
    table(&[
        ("", &["1:1: the file has no instructions"]),
        ("# hello\n# there\n", &["1:1: the file has no instructions"]),
        ("\n\n", &["1:1: the file has no instructions"]),
        ("ARG A\n", &["1:1: the file has no build stage: no `FROM` instruction"]),
        (
            "ARG A\nRUN x\nENV a=b\nFROM c",
            &["2:1: `RUN` before the first `FROM`: only `ARG` may come before a build stage"],
        ),
        (
            "# escape=\\\n# escape=`\nFROM a\n",
            &["2:1: the parser directive `escape` may be used only once"],
        ),
        (
            "# escape=x\nFROM a\n",
            &["1:10: `x` cannot be the escape character: it must be a backslash or a backtick"],
        ),
        ("# check=skip=all;bad\nFROM a\n", &["1:9: invalid check option `bad`"]),
        ("# check=error=maybe\nFROM a\n", &["1:9: invalid check option `error=maybe`"]),
        ("FORM a\nRUN x", &["1:1: unknown instruction `FORM` (did you mean `FROM`?)"]),
        ("FROM a\nRUNN x\n", &["2:1: unknown instruction `RUNN` (did you mean `RUN`?)"]),
        ("FROM a\n[\n", &["2:1: unknown instruction `[`"]),
        ("FROM a\n\\\n", &["2:1: unknown instruction ``"]),
        (
            "FROM a b\nFROM\nRUN --x y\nwrkdir /\nENV a\n",
            &[
                "1:1: `FROM` requires either one argument or three: `<image> [AS <name>]`",
                "2:1: `FROM` requires either one argument or three: `<image> [AS <name>]`",
                "3:5: unknown flag `--x` of `RUN`",
                "4:1: unknown instruction `wrkdir` (did you mean `WORKDIR`?)",
                "5:1: `ENV` requires a name and a value: `name=value`",
            ],
        ),
    ]);
}

#[test]
fn of_stages() {
    table(&[
        ("FROM a AS 1x", &["1:11: invalid name for a build stage: `1x`"]),
        ("FROM a AS x/y", &["1:11: invalid name for a build stage: `x/y`"]),
        (
            "FROM a XX b",
            &["1:1: `FROM` requires either one argument or three: `<image> [AS <name>]`"],
        ),
        (
            "FROM --platfrom=x a",
            &["1:6: unknown flag `--platfrom` of `FROM` (did you mean `--platform`?)"],
        ),
    ]);
}

#[test]
fn of_flags() {
    second_line(&[
        (
            "RUN --mont=target=/x,type=tmpfs true",
            "2:5: unknown flag `--mont` of `RUN` (did you mean `--mount`?)",
        ),
        ("COPY --link --link a b", "2:13: the flag `--link` may be given only once"),
        ("COPY --chown a b", "2:6: the flag `--chown` needs a value"),
        ("COPY --link= a b", "2:6: the flag `--link` needs a value"),
        (
            "COPY --link=yes a b",
            "2:13: `yes` is not a value for `--link`: expected `true` or `false`",
        ),
        ("ADD --from=x a b", "2:5: unknown flag `--from` of `ADD`"),
        ("COPY --checksum=x a b", "2:6: unknown flag `--checksum` of `COPY`"),
        ("ENV --a=b c=d", "2:5: unknown flag `--a` of `ENV`"),
        ("STOPSIGNAL --a=b 9", "2:12: unknown flag `--a` of `STOPSIGNAL`"),
        (
            "RUN --network=nope x",
            "2:15: `nope` is not a value for `--network`: expected `default`, `none` or `host`",
        ),
        (
            "RUN --security=x y",
            "2:16: `x` is not a value for `--security`: expected `sandbox` or `insecure`",
        ),
        (
            "COPY --from=$x a b",
            "2:13: `--from` does not support variable expansion: `$x` (define a stage with `FROM … AS <name>`, where variables expand, and copy from that)",
        ),
        ("RUN --device=a,b x", "2:16: invalid device: neither `name` nor `required` in `b`"),
        ("RUN --device=a,name=b x", "2:16: invalid device: a second name in `name=b`"),
        ("RUN --device=required x", "2:14: invalid device: no name in `required`"),
        (
            "RUN --device=a,required=x y",
            "2:16: invalid device: `required` is not a boolean in `required=x`",
        ),
    ]);
}

#[test]
fn of_mounts() {
    second_line(&[
        (
            "RUN --mount=tpye=tmpfs x",
            "2:13: unknown key `tpye` of `--mount` (did you mean `type`?)",
        ),
        (
            "RUN --mount=type=tmpsf,target=/x y",
            "2:13: unsupported mount type `tmpsf` (did you mean `tmpfs`?)",
        ),
        ("RUN --mount=target x", "2:13: the key `target` of `--mount` needs a value"),
        ("RUN --mount= x", "2:13: `--mount` is not valid CSV: it is empty"),
        (
            r#"RUN --mount=target=/x\"y x"#,
            "2:23: `--mount` is not valid CSV: a bare `\"` in a field",
        ),
        (
            "RUN --mount=from=$t,target=/x y",
            "2:18: `from` does not support variable expansion: `$t` (name a stage with `FROM … AS <name>` and mount from that)",
        ),
        (
            "RUN --mount=target=/x,ro=maybe y",
            "2:23: `maybe` is not a value for the key `readonly` of `--mount`: expected a boolean",
        ),
        (
            "RUN --mount=required,type=secret,id=x y",
            "2:13: the key `required` is not allowed for a mount of type `bind`",
        ),
        (
            "RUN --mount=target=/x,size=1 y",
            "2:23: the key `size` is not allowed for a mount of type `bind`",
        ),
        (
            "RUN --mount=type=tmpfs,target=/x,size=q y",
            "2:34: `q` is not a value for the key `size` of `--mount`: expected a size",
        ),
        (
            "RUN --mount=target=/x,uid=1 y",
            "2:23: the key `uid` is not allowed for a mount of type `bind`",
        ),
        (
            "RUN --mount=type=cache,target=/x,mode=9 y",
            "2:34: `9` is not a value for the key `mode` of `--mount`: expected an octal number",
        ),
        (
            "RUN --mount=type=cache,target=/x,sharing=no y",
            "2:34: `no` is not a value for the key `sharing` of `--mount`: expected `shared`, `private` or `locked`",
        ),
        (
            "RUN --mount=target=/x,sharing=shared y",
            "2:23: the key `sharing` is not allowed for a mount of type `bind`",
        ),
        (
            "RUN --mount=type=secret y",
            "2:5: a secret mount needs one of `id`, `source` or `target`",
        ),
        (
            "RUN --mount=type=secret,id=a,source=b y",
            "2:5: a secret mount cannot have both `id` and `source`",
        ),
        (
            "RUN --mount=type=secret,id=a,from=b y",
            "2:30: the key `from` is not allowed for a mount of type `secret`",
        ),
        (
            "RUN --mount=type=secret,id=a,env= y",
            "2:30: `` is not a value for the key `env` of `--mount`: expected the name of a variable",
        ),
        (
            "RUN --mount=type=ssh,source=b y",
            "2:22: the key `source` is not allowed for a mount of type `ssh`",
        ),
        ("RUN --mount=type=$T,nokey=1 y", "2:21: unknown key `nokey` of `--mount`"),
    ]);
}

#[test]
fn of_arguments() {
    second_line(&[
        ("COPY a", "2:1: `COPY` requires at least two arguments: sources and a destination"),
        ("ADD", "2:1: `ADD` requires at least two arguments: sources and a destination"),
        ("COPY []", "2:1: `COPY` requires at least two arguments: sources and a destination"),
        ("COPY [1, 2]", "2:6: a JSON array of arguments must hold only strings"),
        ("CMD [1]", "2:5: a JSON array of arguments must hold only strings"),
        ("ENV", "2:1: `ENV` requires at least one argument"),
        ("ENV a=b c", "2:9: `c` of `ENV` has no `=`: must be of the form `name=value`"),
        ("ENV =b", "2:5: `ENV` names cannot be blank"),
        ("LABEL novalue", "2:1: `LABEL` requires a name and a value: `name=value`"),
        (
            "LABEL a=b =c d",
            "2:11: `LABEL` names cannot be blank; 2:14: `d` of `LABEL` has no `=`: must be of the form `name=value`",
        ),
        ("ARG", "2:1: `ARG` requires at least one argument"),
        ("ARG =x", "2:5: `ARG` names cannot be blank"),
        ("EXPOSE", "2:1: `EXPOSE` requires at least one argument"),
        ("VOLUME", "2:1: `VOLUME` requires at least one argument"),
        (r#"VOLUME ["/a", " "]"#, "2:15: a volume cannot be an empty string"),
        ("WORKDIR", "2:1: `WORKDIR` requires exactly one argument"),
        ("USER", "2:1: `USER` requires exactly one argument"),
        ("STOPSIGNAL", "2:1: `STOPSIGNAL` requires exactly one argument"),
        ("MAINTAINER", "2:1: `MAINTAINER` requires exactly one argument"),
        ("SHELL", "2:1: `SHELL` requires at least one argument"),
        ("SHELL []", "2:1: `SHELL` requires at least one argument"),
        ("SHELL bash -c", "2:7: `SHELL` requires its arguments as a JSON array"),
    ]);
}

#[test]
fn of_healthchecks() {
    second_line(&[
        ("HEALTHCHECK", "2:1: `HEALTHCHECK` requires at least one argument"),
        ("HEALTHCHECK FOO", "2:13: unknown type `FOO` of `HEALTHCHECK`: must be `CMD` or `NONE`"),
        ("HEALTHCHECK NONE x", "2:18: `HEALTHCHECK NONE` takes no arguments"),
        ("HEALTHCHECK CMD", "2:1: `HEALTHCHECK` requires a command after `CMD`"),
        ("HEALTHCHECK CMD []", "2:1: `HEALTHCHECK` requires a command after `CMD`"),
        (
            "HEALTHCHECK --interval=0.5ms CMD x",
            "2:24: `0.5ms` is not a value for `--interval`: expected at least `1ms`",
        ),
        (
            "HEALTHCHECK --interval=-1s CMD x",
            "2:24: `-1s` is not a value for `--interval`: expected at least `1ms`",
        ),
        (
            "HEALTHCHECK --timeout=5 CMD x",
            "2:23: `5` is not a value for `--timeout`: expected a duration such as `1m30s`",
        ),
        (
            "HEALTHCHECK --retries=-1 CMD x",
            "2:23: `-1` is not a value for `--retries`: expected a number that is not negative",
        ),
        (
            "HEALTHCHECK --intervall=1s CMD x",
            "2:13: unknown flag `--intervall` of `HEALTHCHECK` (did you mean `--interval`?)",
        ),
    ]);
}

#[test]
fn of_triggers_where_they_are_written() {
    second_line(&[
        ("ONBUILD", "2:1: `ONBUILD` requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "2:9: `ONBUILD` is not allowed as a trigger of `ONBUILD`"),
        ("ONBUILD from x", "2:9: `FROM` is not allowed as a trigger of `ONBUILD`"),
        ("ONBUILD MAINTAINER x", "2:9: `MAINTAINER` is not allowed as a trigger of `ONBUILD`"),
        ("ONBUILD CPOY a b", "2:9: unknown instruction `CPOY` (did you mean `COPY`?)"),
        (
            "ONBUILD RUN --mont=x y",
            "2:13: unknown flag `--mont` of `RUN` (did you mean `--mount`?)",
        ),
    ]);
}

#[test]
fn of_heredocs() {
    table(&[
        ("FROM a\nRUN <<EOF\nx\n", &["2:5: unterminated heredoc: no line `EOF`"]),
        ("FROM a\nRUN <<EOF\nx\n EOF\nRUN x\n", &["2:5: unterminated heredoc: no line `EOF`"]),
        (
            "FROM a\nCOPY a <<EOF\nx\nEOF\n",
            &["2:8: `COPY` cannot take a heredoc as its destination"],
        ),
        (
            "FROM a\nCOPY << EOF /x\nx\nEOF\n",
            &["2:6: the heredoc `EOF` of `COPY` is not one of its sources"],
        ),
        (
            "FROM a\nCOPY [\"<<EOF\", \"/x\"]\n",
            &["2:7: the heredoc `EOF` of `COPY` is not one of its sources"],
        ),
    ]);
}
