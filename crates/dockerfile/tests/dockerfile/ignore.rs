//! `.dockerignore`, pattern sets and plain patterns.

use strata_dockerfile::{IgnoreFile, MatchState, Pattern, PatternSet};

/// What a walk from the top would leave out of `paths`, and that all ways of asking agree.
fn left_out(ignore: &str, paths: &[&str]) -> Vec<String> {
    let set = IgnoreFile::parse(ignore.as_bytes())
        .unwrap_or_else(|error| panic!("{ignore:?}: {error}"))
        .patterns;
    let mut gone = Vec::new();
    for path in paths {
        let mut state = MatchState::default();
        let mut excluded = false;
        let mut skipped = false;
        let mut prefix = String::new();
        for part in path.split('/') {
            if !prefix.is_empty() {
                prefix.push('/');
            }
            prefix.push_str(part);
            let verdict = set.matches(prefix.as_bytes(), &state);
            excluded = verdict.excluded;
            assert!(excluded || !skipped, "{ignore:?}: {path} is below a skipped directory");
            skipped |= set.excludes_all_below(prefix.as_bytes(), &verdict);
            state = verdict.state;
        }
        let alone = set.matches(path.as_bytes(), &MatchState::default());
        assert_eq!(alone.excluded, excluded, "{ignore:?}: {path} asked for alone");
        if excluded {
            gone.push((*path).to_owned());
        }
    }
    gone
}

const TREE: &[&str] = &[
    "foo",
    "bar",
    "baz",
    "bay",
    "sub",
    "sub/foo",
    "sub/deep",
    "sub/deep/foo",
    "sub/deep/x.md",
    "README.md",
    "README-secret.md",
    ".hid",
];

#[test]
fn files() {
    for (ignore, expected) in [
        ("", vec![]),
        ("bar\n", vec!["bar"]),
        ("bar", vec!["bar"]),
        ("ba*\n", vec!["bar", "baz", "bay"]),
        ("ba*\n!bay\n", vec!["bar", "baz"]),
        ("!bay\nba*\n", vec!["bar", "baz", "bay"]),
        ("*.md\n!README*.md\nREADME-secret.md\n", vec!["README-secret.md"]),
        ("*/foo\n", vec!["sub/foo"]),
        ("*/*/foo\n", vec!["sub/deep/foo"]),
        ("**/foo\n", vec!["foo", "sub/foo", "sub/deep/foo"]),
        ("**/*.md\n", vec!["sub/deep/x.md", "README.md", "README-secret.md"]),
        ("sub\n", vec!["sub", "sub/foo", "sub/deep", "sub/deep/foo", "sub/deep/x.md"]),
        ("sub/\n", vec!["sub", "sub/foo", "sub/deep", "sub/deep/foo", "sub/deep/x.md"]),
        ("sub/**\n", vec!["sub/foo", "sub/deep", "sub/deep/foo", "sub/deep/x.md"]),
        ("/foo\n", vec!["foo"]),
        ("./foo\n", vec!["foo"]),
        ("sub/../foo\n", vec!["foo"]),
        ("# comment\r\n\r\nbar\r\n  baz  \r\n", vec!["bar", "baz"]),
        (" #x\nbar\n", vec!["bar"]),
        ("\u{feff}bar\n", vec!["bar"]),
        ("\u{feff}# bar\nbaz\n", vec!["baz"]),
        ("ba?\n", vec!["bar", "baz", "bay"]),
        ("ba[rz]\n", vec!["bar", "baz"]),
        ("ba[^r]\n", vec!["baz", "bay"]),
        ("ba[s-z]\n", vec!["baz", "bay"]),
        (
            "*\n!foo\n!sub/deep/foo\n",
            vec![
                "bar",
                "baz",
                "bay",
                "sub",
                "sub/foo",
                "sub/deep",
                "sub/deep/x.md",
                "README.md",
                "README-secret.md",
                ".hid",
            ],
        ),
        ("**\n!sub\n", vec!["foo", "bar", "baz", "bay", "README.md", "README-secret.md", ".hid"]),
        ("sub\n!sub/foo\n", vec!["sub", "sub/deep", "sub/deep/foo", "sub/deep/x.md"]),
        ("sub/*\n!sub/deep\n", vec!["sub/foo"]),
        ("sub/**\n!sub/**/*.md\n", vec!["sub/foo", "sub/deep", "sub/deep/foo"]),
        ("sub\n!**/*.md\n", vec!["sub", "sub/foo", "sub/deep", "sub/deep/foo"]),
        ("sub\n!su*/deep/f*\n", vec!["sub", "sub/foo", "sub/deep", "sub/deep/x.md"]),
        ("**oo\n", vec!["foo", "sub/foo", "sub/deep/foo"]),
        ("**o*\n", vec![]),
        ("**/f*o\n", vec!["foo", "sub/foo", "sub/deep/foo"]),
        ("sub/**/foo\n", vec!["sub/foo", "sub/deep/foo"]),
        ("**/deep/**\n", vec!["sub/deep/foo", "sub/deep/x.md"]),
        ("s**\n", vec!["sub", "sub/foo", "sub/deep", "sub/deep/foo", "sub/deep/x.md"]),
        (".\n", vec![]),
        ("/\n", vec![]),
        ("..\n../foo\n", vec![]),
        (".*\n", vec![".hid"]),
        ("FOO\n", vec![]),
        ("! foo\n", vec![]),
        ("foo\n!  /foo  \n", vec![]),
        ("READ\\ME.md\n", vec!["README.md"]),
        ("README.m[d]\n", vec!["README.md"]),
        ("READMExmd\n", vec![]),
    ] {
        assert_eq!(left_out(ignore, TREE), expected, "{ignore:?}");
    }
}

#[test]
fn special_names() {
    for (ignore, path, expected) in [
        ("a b", "a b", true),
        ("ba\\?", "ba?", true),
        ("ba\\?", "bar", false),
        ("a(b)+{c}$^|", "a(b)+{c}$^|", true),
        ("(a*", "(ab", true),
        ("ü?", "üö", true),
        ("[à-ü]", "é", true),
        ("\\*", "*", true),
        ("\\*", "x", false),
    ] {
        assert_eq!(!left_out(ignore, &[path]).is_empty(), expected, "{ignore:?} {path:?}");
    }
}

/// In `BuildKit` too: `a*` is not asked about `a`, which `**` has excluded already, and so does not
/// exclude again what `!**aa` excepts below it.
#[test]
fn patterns_not_asked_about_a_directory_do_not_count_below_it() {
    assert_eq!(left_out("**\n!**aa\na*\n", &["a", "a/aa", "a/b"]), ["a", "a/b"]);
    let set = IgnoreFile::parse(b"*.o\na.*\n").expect("valid").patterns;
    assert_eq!(set.matches(b"a.o", &MatchState::default()).rule, Some(0));
}

#[test]
fn names_that_are_not_utf8() {
    let set = |patterns: &[&[u8]]| PatternSet::new(patterns.iter().copied()).expect("valid");
    for (pattern, path, expected) in [
        (&b"a?b"[..], &b"a\xffb"[..], true),
        (b"a*", b"a\xff\xfe", true),
        (b"a\xff", b"a\xff", true),
        (b"a\xff*", b"a\xfe", false),
        (b"[^a]", b"\xff", true),
        (b"**/\xffx", b"d/\xffx", true),
    ] {
        let verdict = set(&[pattern]).matches(path, &MatchState::default());
        assert_eq!(verdict.excluded, expected, "{pattern:?} {path:?}");
    }
}

#[test]
fn errors_name_the_line() {
    for (ignore, expected) in [
        ("a\n!\n", "line 2: illegal exclusion pattern `!`"),
        ("! \n", "line 1: illegal exclusion pattern `!`"),
        ("!/\n", "line 1: illegal exclusion pattern `!/`"),
        ("#x\n\n[\n", "line 3: syntax error in pattern `[`"),
        ("a[]b\n", "line 1: syntax error in pattern `a[]b`"),
        ("a[b-]\n", "line 1: syntax error in pattern `a[b-]`"),
        ("a\\\n", "line 1: syntax error in pattern `a\\`"),
        ("**/[x\n", "line 1: syntax error in pattern `**/[x`"),
    ] {
        let error = IgnoreFile::parse(ignore.as_bytes()).expect_err(ignore);
        assert_eq!(error.to_string(), expected, "{ignore:?}");
    }
}

#[test]
fn verdicts_name_the_rule() {
    let set = IgnoreFile::parse(b"# c\nbin/\n!bin/tool\n*.o\n").expect("valid").patterns;
    for (path, expected) in [
        ("bin", Some((2, "bin/"))),
        ("bin/x", Some((2, "bin/"))),
        ("bin/tool", Some((3, "!bin/tool"))),
        ("a.o", Some((4, "*.o"))),
        ("a", None),
    ] {
        let verdict = set.matches(path.as_bytes(), &MatchState::default());
        assert_eq!(verdict.rule.and_then(|rule| set.rule(rule)), expected, "{path}");
    }
}

#[test]
fn directories_that_hold_nothing_are_skipped() {
    for (ignore, directory, expected) in [
        ("a", "a", true),
        ("a", "b", false),
        ("a\n!b", "a", true),
        ("a\n!a/b", "a", false),
        ("a\n!a/b", "a/c", true),
        ("!a/b\na", "a", true),
        ("a\n!a/*/c", "a/b", false),
        ("a\n!a/*/c", "a/b/c", false),
        ("a\n!a/*/c", "a/b/d", true),
        ("a\n!**/x", "a", false),
        ("a\n!a/b**", "a/c", true),
        ("a\n!a/b**", "a/bc", false),
        ("*\n!b*", "a", true),
        ("ab\n!a", "ab", true),
    ] {
        let set = IgnoreFile::parse(ignore.as_bytes()).expect("valid").patterns;
        let verdict = set.matches(directory.as_bytes(), &MatchState::default());
        let skipped = set.excludes_all_below(directory.as_bytes(), &verdict);
        assert_eq!(skipped, expected, "{ignore:?} {directory}");
    }
}

#[test]
fn plain_patterns() {
    for (pattern, path, expected) in [
        ("abc", "abc", Some(true)),
        ("*", "abc", Some(true)),
        ("*c", "abc", Some(true)),
        ("a*", "a", Some(true)),
        ("a*", "ab/c", Some(false)),
        ("a*/b", "abc/b", Some(true)),
        ("a*/b", "a/c/b", Some(false)),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Some(false)),
        ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
        ("**", "a/b", Some(false)),
        ("**/b", "a/b", Some(true)),
        ("ab[c]", "abc", Some(true)),
        ("ab[b-d]", "abc", Some(true)),
        ("ab[e-g]", "abc", Some(false)),
        ("ab[^c]", "abc", Some(false)),
        ("ab[^e-g]", "abc", Some(true)),
        ("a[^a]b", "a/b", Some(true)),
        ("a?b", "a/b", Some(false)),
        ("a\\*b", "a*b", Some(true)),
        ("a\\*b", "ab", Some(false)),
        ("[\\]a]", "]", Some(true)),
        ("[\\-x]", "-", Some(true)),
        ("[x\\-]", "-", Some(true)),
        ("a[ζ-α]*", "α", Some(false)),
        ("*☺", "a☺", Some(true)),
        ("", "", Some(true)),
        ("", "a", Some(false)),
        ("[]a]", "]", None),
        ("[-]", "-", None),
        ("[x-]", "x", None),
        ("[-x]", "x", None),
        ("\\", "a", None),
        ("[a-b-c]", "a", None),
        ("[", "a", None),
        ("[^", "a", None),
        ("[^bc", "a", None),
        ("a[", "a", None),
        ("[a-", "a", None),
    ] {
        let actual = Pattern::new(pattern.as_bytes()).ok();
        let actual = actual.map(|pattern| pattern.matches(path.as_bytes()));
        assert_eq!(actual, expected, "{pattern:?} {path:?}");
    }
}

#[test]
fn hostile_patterns_take_polynomial_time() {
    let pattern = "a*".repeat(200) + "b";
    let path = "a".repeat(5000);
    let pattern = Pattern::new(pattern.as_bytes()).expect("valid");
    assert!(!pattern.matches(path.as_bytes()));
}
