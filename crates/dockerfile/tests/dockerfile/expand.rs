//! Expansion: every operator, quotes, escapes, words, raw modes.

use strata_dockerfile::{Escape, Expander};

const SET: &[(&str, &str)] = &[
    ("V", "value"),
    ("HOME", "/home"),
    ("NULL", ""),
    ("PATHS", "/usr/bin:/bin:/usr/sbin"),
    ("FILE", "archive.tar.gz"),
    ("SPACED", " a  b "),
    ("KOREAN", "한국어"),
    ("STARS", "a*b*c"),
    ("DOLLAR", "$1x"),
    ("SLASH", "a/b/c"),
];

fn lookup(name: &str) -> Option<String> {
    SET.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn word(expander: Expander, text: &str) -> String {
    match expander.process_word(text, &lookup) {
        Ok(expansion) => expansion.text,
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn table(expander: Expander, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(word(expander, text), *expected, "{text}");
    }
}

#[test]
fn plain_text_quotes_and_escapes() {
    table(
        Expander::new(Escape::Backslash),
        &[
            ("", ""),
            ("plain", "plain"),
            ("two  words", "two  words"),
            ("a'b c'd", "ab cd"),
            ("a\"b c\"d", "ab cd"),
            ("\"it's\"", "it's"),
            ("'say \"x\"'", "say \"x\""),
            ("it\\'s", "it's"),
            ("a\\tb", "atb"),
            ("\"a\\tb\"", "a\\tb"),
            ("\"a\\\\b\"", "a\\b"),
            ("\"a\\\"b\"", "a\"b"),
            ("'a\\tb'", "a\\tb"),
            ("'a\\'", "a\\"),
            ("end\\", "end"),
            ("end\\\\", "end\\"),
            ("\"end\\", "error: missing closing double quote in `\"end\\`"),
            ("'open", "error: missing closing single quote in `'open`"),
            ("\"open", "error: missing closing double quote in `\"open`"),
            ("\"open\\\"", "error: missing closing double quote in `\"open\\\"`"),
            ("a\\\\'b", "error: missing closing single quote in `a\\\\'b`"),
            ("`a`", "`a`"),
            ("a<b", "a<b"),
            ("a<< b", "a<< b"),
            ("한\\국", "한국"),
        ],
    );
    table(
        Expander::new(Escape::Backtick),
        &[
            ("c:\\dir\\x", "c:\\dir\\x"),
            ("a`$V", "a$V"),
            ("\"`\"`$`x\"", "\"$`x"),
            ("\\$V", "\\value"),
            ("end`", "end"),
        ],
    );
}

#[test]
fn references() {
    table(
        Expander::new(Escape::Backslash),
        &[
            ("$V", "value"),
            ("${V}", "value"),
            ("a$V.b", "avalue.b"),
            ("a${V}b", "avalueb"),
            ("$Vx", ""),
            ("${UNSET}x", "x"),
            ("[$UNSET]", "[]"),
            ("\\$V \\${V}", "$V ${V}"),
            ("'$V'", "$V"),
            ("\"$V'$V'\"", "value'value'"),
            ("\"\\$V\"", "$V"),
            ("\\\\$HOME", "\\/home"),
            ("$", "$"),
            ("a$", "a$"),
            ("$.", "$."),
            ("$ x", "$ x"),
            ("$KOREAN", "한국어"),
            ("안${KOREAN}안", "안한국어안"),
            ("$1x", "x"),
            ("$12ab", "ab"),
            ("${1}${12}", ""),
            ("${1:-d}", "d"),
            ("$@@|$*|$#|$?|$-|$!|$0", "@||||||"),
            ("$$$", "$"),
            ("${@}${#}${?}${-}${!}${$}", ""),
            ("${#:-a}${?:+b}", "a"),
            ("${}", "error: bad substitution in `${}`"),
            ("${{V}", "error: bad substitution in `${{V}`"),
            ("${:-x}", "error: bad substitution in `${:-x}`"),
            ("${V", "error: missing `}` of `${…}` in `${V`"),
            ("${", "error: missing `}` of `${…}` in `${`"),
            ("${V:", "error: missing `}` of `${…}` in `${V:`"),
            ("${.}", "error: unsupported modifier `.` of a substitution in `${.}`"),
            ("${V:=x}", "error: unsupported modifier `:=` of a substitution in `${V:=x}`"),
            ("${V:x}", "error: unsupported modifier `:x` of a substitution in `${V:x}`"),
            ("${V:#x}", "error: unsupported modifier `:#` of a substitution in `${V:#x}`"),
            ("${V^}", "error: unsupported modifier `^` of a substitution in `${V^}`"),
        ],
    );
}

#[test]
fn conditions() {
    table(
        Expander::new(Escape::Backslash),
        &[
            ("${V:-d}|${V-d}", "value|value"),
            ("${NULL:-d}|${NULL-d}", "d|"),
            ("${UNSET:-d}|${UNSET-d}", "d|d"),
            ("${V:+a}|${V+a}", "a|a"),
            ("${NULL:+a}|${NULL+a}", "|a"),
            ("${UNSET:+a}|${UNSET+a}", "|"),
            ("${V:?m}|${V?m}", "value|value"),
            ("${NULL?m}", ""),
            ("${NULL:?m}", "error: NULL: m"),
            ("${NULL:?}", "error: NULL: is not allowed to be empty"),
            ("${UNSET:?need it}", "error: UNSET: need it"),
            ("${UNSET?}", "error: UNSET: is not allowed to be unset"),
            ("${UNSET:?$V}", "error: UNSET: value"),
            ("${UNSET:-$V}", "value"),
            ("${UNSET:-${NOPE:-deep}}", "deep"),
            ("${UNSET:-${NOPE:-${V}}x}y", "valuexy"),
            ("${UNSET:-\"a b\"}", "a b"),
            ("${UNSET:-'}'}", "}"),
            ("${UNSET:-\\}}", "}"),
            ("${UNSET:-\\$V}", "$V"),
            ("${UNSET:-a b}", "a b"),
            ("${UNSET:-{}", "{"),
            ("${UNSET:-}", ""),
            ("${V:+${UNSET}}", ""),
            ("${UNSET:-${V}", "error: missing `}` of `${…}` in `${UNSET:-${V}`"),
            ("${V:-${UNSET?no}}", "error: UNSET: no"),
        ],
    );
}

#[test]
fn trims() {
    table(
        Expander::new(Escape::Backslash),
        &[
            ("${FILE#archive}", ".tar.gz"),
            ("${FILE#*.}", "tar.gz"),
            ("${FILE##*.}", "gz"),
            ("${FILE%.*}", "archive.tar"),
            ("${FILE%%.*}", "archive"),
            ("${FILE#nope}", "archive.tar.gz"),
            ("${FILE%gz?}", "archive.tar.gz"),
            ("${FILE%g?}", "archive.tar."),
            ("${FILE#}|${FILE%}", "archive.tar.gz|archive.tar.gz"),
            ("${FILE#a[r]}", "archive.tar.gz"),
            ("${STARS#a\\*}", "b*c"),
            ("${STARS%\\**}", "a*b"),
            ("${STARS%%\\**}", "a"),
            ("${PATHS##*:}", "/usr/sbin"),
            ("${PATHS%:*}", "/usr/bin:/bin"),
            ("${KOREAN#?}|${KOREAN%?}", "국어|한국"),
            ("${UNSET#a}|${UNSET%%*}", "|"),
            ("${V#$UNSET}", "value"),
            ("${FILE#${FILE%.gz}}", ".gz"),
            ("${V#\\a}", "error: invalid pattern `\\a` of a substitution in `${V#\\a}`"),
            ("${UNSET#\\a}", "error: invalid pattern `\\a` of a substitution in `${UNSET#\\a}`"),
        ],
    );
}

#[test]
fn replacements() {
    table(
        Expander::new(Escape::Backslash),
        &[
            ("${PATHS/bin/BIN}", "/usr/BIN:/bin:/usr/sbin"),
            ("${PATHS//bin/BIN}", "/usr/BIN:/BIN:/usr/sBIN"),
            ("${SLASH//\\//-}", "a-b-c"),
            ("${SLASH/\\//}", "ab/c"),
            ("${V/a*e/}", "v"),
            ("${V//?/x}", "xxxxx"),
            ("${V/nope/x}", "value"),
            ("${STARS//\\*/$V}", "avaluebvaluec"),
            ("${V/alu/$DOLLAR}|${V//alu/$DOLLAR}", "v$1xe|v$1xe"),
            ("${UNSET/a/b}", ""),
            ("${V/a}", "error: missing `/` of `${…}` in `${V/a}`"),
            ("${V/a/b", "error: missing `}` of `${…}` in `${V/a/b`"),
        ],
    );
}

#[test]
fn words_are_split_where_nothing_is_quoted() {
    for (text, expected) in [
        ("", vec![]),
        ("  a   b ", vec!["a", "b"]),
        ("a\\ b", vec!["a b"]),
        ("'a b' c", vec!["a b", "c"]),
        ("a\" b \"c", vec!["a b c"]),
        ("$SPACED", vec!["a", "b"]),
        ("x${SPACED}y", vec!["x", "a", "b", "y"]),
        ("x\"$SPACED\"y", vec!["x a  b y"]),
        ("''", vec![]),
        ("8${UNSET:-0}80", vec!["8080"]),
        ("${UNSET:-80 81}/tcp 5", vec!["80", "81/tcp", "5"]),
    ] {
        let words = Expander::new(Escape::Backslash).process_words(text, &lookup);
        assert_eq!(words.expect("it expands").words, expected, "{text:?}");
    }
}

#[test]
fn heredocs_keep_quotes() {
    table(
        Expander::heredoc(),
        &[
            ("it's \"$V\"\n", "it's \"value\"\n"),
            ("\\\n", "\n"),
            ("\\\\\n", "\\\n"),
            ("\\$V ${UNSET:-'x'}\n", "$V 'x'\n"),
        ],
    );
}

#[test]
fn display_keeps_quotes_and_what_is_unset() {
    table(
        Expander::display(Escape::Backslash),
        &[
            ("echo \"$V\" '$V'", "echo \"value\" '$V'"),
            ("$UNSET ${UNSET} ${UNSET:-d}", "$UNSET ${UNSET} ${UNSET:-d}"),
            ("${UNSET#a} ${UNSET/a/b} ${UNSET//a/b}", "${UNSET#a} ${UNSET/a/b} ${UNSET//a/b}"),
        ],
    );
}

#[test]
fn lookups_are_reported() {
    let expansion = Expander::new(Escape::Backslash)
        .process_word("$V ${UNSET:-$NOPE} '$HOME' ${NULL:+$FILE}", &lookup)
        .expect("it expands");
    assert_eq!(Vec::from_iter(&expansion.matched), ["FILE", "NULL", "V"]);
    assert_eq!(Vec::from_iter(&expansion.unmatched), ["NOPE", "UNSET"]);
}

#[test]
fn hostile_words_end() {
    let deep = "${a:-".repeat(100_000);
    assert_eq!(
        word(Expander::new(Escape::Backslash), &deep),
        "error: substitutions are nested more than 64 deep"
    );
    let long = |_: &str| Some("x".repeat(1 << 20));
    let error = Expander::new(Escape::Backslash).process_word(&"$a".repeat(100), &long);
    assert_eq!(
        error.expect_err("too long").to_string(),
        "the expansion is longer than 16777216 bytes"
    );
}
