//! Laws that hold for any text.

use proptest::prelude::*;
use strata_dockerfile::{
    Escape, Expander, IgnoreFile, Instruction, Literal, MatchState, Pattern, PatternSet, Source,
    Span, Word, parse, parse_trigger,
};

/// Text that comes close to being a Dockerfile.
fn dockerfile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("FROM a AS b\n".to_owned()),
        Just("# escape=`\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\\\r\n".to_owned()),
        Just("`\n".to_owned()),
        Just("\n# c\n".to_owned()),
        Just("<<EOF <<-'E\"' /x\nü\nEOF\n\tE\"\n".to_owned()),
        Just("<<EOF".to_owned()),
        Just("EOF\n".to_owned()),
        Just("ONBUILD ".to_owned()),
        Just("RUN --mount=type=cache,\"target=/ü\",ro ".to_owned()),
        Just("COPY --from=x --chown=\"ü\":' y' --exclude=".to_owned()),
        Just("HEALTHCHECK --interval=1s CMD ".to_owned()),
        Just("[\"a\\u00fc\", \"\\\"b\"]".to_owned()),
        Just("ENV a=${b:-c} d='e f' ".to_owned()),
        "(ADD|ARG|CMD|ENTRYPOINT|EXPOSE|LABEL|MAINTAINER|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR) ",
        "[-a-z\"'\\\\`$<>{}=,:#! \t\u{a0}ü\n]{0,12}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn check(source: &Source, span: Span) {
    assert_eq!(span.source, source.index());
    assert!(span.start <= span.end, "{span:?}");
    assert!(source.text().get(span.range()).is_some(), "{span:?} of {:?}", source.text());
}

fn words(instruction: &Instruction) -> (Vec<&Word>, Vec<&Literal>) {
    match instruction {
        Instruction::Copy(copy) => {
            let mut words: Vec<&Word> = copy.sources.iter().collect();
            words.push(&copy.destination);
            words.extend(copy.chown.iter().chain(&copy.chmod));
            (words, copy.from.iter().chain(&copy.excludes).collect())
        }
        Instruction::Add(add) => {
            let mut words: Vec<&Word> = add.sources.iter().collect();
            words.push(&add.destination);
            words.extend(add.chown.iter().chain(&add.chmod).chain(&add.checksum));
            (words, add.excludes.iter().collect())
        }
        Instruction::Env(env) => {
            (env.pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect(), vec![])
        }
        Instruction::Label(label) => {
            (label.pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect(), vec![])
        }
        Instruction::Arg(arg) => (
            arg.args.iter().filter_map(|arg| arg.value.as_ref()).collect(),
            arg.args.iter().map(|arg| &arg.name).collect(),
        ),
        Instruction::Run(run) => (
            run.mounts
                .iter()
                .flat_map(|mount| &mount.fields)
                .filter_map(|field| field.value.as_ref())
                .collect(),
            vec![],
        ),
        Instruction::Onbuild(onbuild) => words(&onbuild.trigger.node),
        Instruction::Expose(expose) => (expose.ports.iter().collect(), vec![]),
        Instruction::Volume(volume) => (volume.paths.iter().collect(), vec![]),
        Instruction::Workdir(workdir) => (vec![&workdir.path], vec![]),
        Instruction::User(user) => (vec![&user.user], vec![]),
        Instruction::Stopsignal(stopsignal) => (vec![&stopsignal.signal], vec![]),
        Instruction::Maintainer(maintainer) => (vec![], vec![&maintainer.name]),
        Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Healthcheck(_)
        | Instruction::Shell(_) => (vec![], vec![]),
    }
}

fn check_all(source: &Source) {
    match parse(source) {
        Err(errors) => {
            assert!(errors.iter().count() > 0);
            assert!(errors.iter().is_sorted_by_key(|error| error.span.start));
            errors.iter().for_each(|error| check(source, error.span));
        }
        Ok(dockerfile) => {
            dockerfile.warnings.iter().for_each(|warning| check(source, warning.span));
            for stage in &dockerfile.stages {
                check(source, stage.from.span);
                check(source, stage.from.node.image.span);
                for statement in &stage.instructions {
                    check(source, statement.span);
                    check(source, statement.keyword.span);
                    statement.comments.iter().for_each(|comment| check(source, comment.span));
                    let (words, literals) = words(&statement.node);
                    for word in words {
                        check(source, word.span);
                    }
                    for literal in literals {
                        check(source, literal.span);
                    }
                }
            }
        }
    }
}

/// Each of these took quadratic time in some draft, or could have.
#[test]
fn hostile_texts_take_linear_time() {
    let started = std::time::Instant::now();
    for text in [
        "# a\n".repeat(60_000) + "ARG " + &"key ".repeat(60_000) + "\nFROM a",
        "FROM a\nCOPY ".to_owned() + &"<<a ".repeat(50_000) + "/x\n" + &"a\n".repeat(50_000),
        "FROM a\nRUN ".to_owned() + &"<<a$x ".repeat(50_000) + "\n" + &"a$x\n".repeat(50_000),
        "FROM a\nRUN ".to_owned() + &"[".repeat(500_000),
        "FROM a\nRUN --mount=".to_owned() + &"src=/x,".repeat(50_000),
        "FROM a\nCOPY --chown=".to_owned() + &"\"a\"".repeat(100_000) + " a b",
        "FROM a\nRUN \\\n".to_owned() + &"x\\\n\n".repeat(100_000),
        "FROM a AS b\n".repeat(20_000),
        "x\n".repeat(200_000),
    ] {
        check_all(&Source::new(0, "Dockerfile", text));
    }
    // A second or two; quadratic would be minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_parses_to_spans_inside_it(text in dockerfile()) {
        check_all(&Source::new(0, "Dockerfile", text.clone()));
        check_all(&Source::new(1, "Dockerfile", format!("FROM a\n{text}")));
        if let Err(errors) = parse_trigger(&Source::new(2, "trigger", text.clone())) {
            let source = Source::new(2, "trigger", text);
            errors.iter().for_each(|error| check(&source, error.span));
        }
    }

    #[test]
    fn any_word_expands_or_says_why(text in "[-a-z\"'\\\\`$<{}:+?#%/*! ü0-9]{0,40}") {
        for expander in [
            Expander::new(Escape::Backslash),
            Expander::new(Escape::Backtick),
            Expander::heredoc(),
            Expander::display(Escape::Backslash),
        ] {
            let lookup = |name: &str| (name == "a").then(|| "v $b*".to_owned());
            let word = expander.process_word(&text, &lookup);
            let words = expander.process_words(&text, &lookup);
            prop_assert_eq!(word.err(), words.err());
        }
    }

    #[test]
    fn words_without_special_characters_stay(text in "[-a-z./:=@ü]{0,20}") {
        let expansion = Expander::new(Escape::Backslash).process_word(&text, &|_| None);
        prop_assert_eq!(expansion.map(|expansion| expansion.text), Ok(text));
    }

    #[test]
    fn a_walk_agrees_with_single_questions(
        patterns in prop::collection::vec("!?(\\*\\*|\\*|a|b|/|a\\*|\\?|\\[ab\\]){1,5}", 0..6),
        path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
    ) {
        let Ok(set) = PatternSet::new(patterns.iter().map(String::as_bytes)) else {
            return Ok(());
        };
        let mut state = MatchState::default();
        let mut skipped = false;
        let mut excluded = false;
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            let verdict = set.matches(&path.as_bytes()[..end], &state);
            excluded = verdict.excluded;
            prop_assert!(!skipped || excluded, "{patterns:?}: {} is below a skipped directory", &path[..end]);
            skipped |= set.excludes_all_below(&path.as_bytes()[..end], &verdict);
            state = verdict.state;
        }
        prop_assert_eq!(set.matches(path.as_bytes(), &MatchState::default()).excluded, excluded);
    }

    #[test]
    fn an_escaped_name_matches_only_itself(name in "[^\u{0}/]{1,8}", other in "[^\u{0}/]{1,8}") {
        let escaped: String = name.chars().flat_map(|character| ['\\', character]).collect();
        let pattern = Pattern::new(escaped.as_bytes()).expect("escapes are valid");
        prop_assert!(pattern.matches(name.as_bytes()));
        prop_assert_eq!(pattern.matches(other.as_bytes()), name == other);
    }

    #[test]
    fn any_ignore_file_is_read_or_refused(
        text in prop::collection::vec(any::<u8>(), 0..60),
        path in any::<Vec<u8>>(),
    ) {
        if let Ok(file) = IgnoreFile::parse(&text) {
            let verdict = file.patterns.matches(&path, &MatchState::default());
            file.patterns.excludes_all_below(&path, &verdict);
        }
    }
}
