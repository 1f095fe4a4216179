//! Keys: pinned, and what changes them and what does not.

use std::collections::BTreeMap;
use std::convert::Infallible;

use strata_oci::{DiffId, Digest};
use strata_plan::recipe::{Content, Fact, FactKind};
use strata_plan::{Recipe, RecipeTemplate, Stage, StepKey};
use strata_tree::TreePath;

use crate::case::Case;

fn fact(path: &str, mode: u32, content: &str) -> Fact {
    Fact {
        path: TreePath::parse(path).expect("a path"),
        mode,
        owner: None,
        xattrs: BTreeMap::new(),
        kind: FactKind::File(Digest::of(content.as_bytes())),
    }
}

fn files() -> Content {
    Content::Files([fact("src/main.rs", 0o644, "main"), fact("x", 0o755, "x")].into())
}

/// Fills every hole with the same content.
fn fill(template: &RecipeTemplate, parent: StepKey, content: &Content) -> Recipe {
    let Ok(recipe) = template.fill(parent, |_| Ok::<_, Infallible>(content.clone()));
    recipe
}

/// The recipes of a stage's layers, standing on each other.
fn recipes(stage: &Stage) -> Vec<Recipe> {
    let mut state = StepKey::of_layers(&[DiffId(Digest::of(b"base"))]);
    let templates = stage.steps.iter().filter_map(|step| step.recipe.as_ref());
    let filled = templates.map(|template| {
        let recipe = fill(template, state, &files());
        state = recipe.state_after(state);
        recipe
    });
    filled.collect()
}

fn last(text: &str) -> Recipe {
    recipes(&Case::new(text).stage()).pop().expect("a layer")
}

/// A changed line here means that every cache in the world is cold: raise `recipe::VERSION` and say why.
#[test]
fn keys_are_pinned() {
    let text = "FROM base
WORKDIR /w
COPY --chown=1:2 --chmod=u+x --exclude=*.md . dir/
ADD https://h/x.tgz /x
COPY <<E /e
text
E
ARG MODE=release
RUN --mount=type=cache,target=/c --mount=target=/ctx --mount=type=secret,id=s --network=none make $MODE
COPY --link a /b
RUN <<E
#!/bin/x
E
";
    let shown: Vec<_> = recipes(&Case::new(text).stage())
        .iter()
        .map(|recipe| format!("{} {}", recipe.key(), recipe.to_bytes().len()))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    558440fd332ee2a11fe1c5311ecb97e2faafd6fe5b9e8138cb7b15d389d526d6 95
    8e9fe0fb6e42556d9365b6d2b41a6a550cf593f4cb77e02b7929d1946a5d1641 407
    2a8c327fd930a8a954786bbdbc443a6d3e0256116a1b89784f434a903a47d933 325
    c5c2b6a190993cfaa85138eb00cd748be6dfb1ac7cdc303246d7134cdfe8bcdb 161
    c0779f63c1cb58c26d28b787227e1811d56f6c606743e3b11e63f2e7f3c945d2 838
    c02a724324dc3d16633f1bc2876bc7ad9d9f3d2808d3ad158ce4fc8c27ef27cf 311
    723769efd3afcb85e981eccd39340281066814bca90c1150749276437b09b580 353
    "#);
    insta::assert_snapshot!(StepKey::scratch(), @"fc7ede76ce7d5ab2a78beabde41b2375304589c864eb7fbdaa682632f557e5a9");
}

#[test]
fn what_must_not_change_a_key_does_not() {
    let one = "FROM base\nRUN --mount=type=secret,id=s,required=true x\nCOPY a b\n";
    let expected = recipes(&Case::new(one).stage());
    for other in [
        "# a comment\nFROM base\n\nrun --mount=type=secret,id=s x\nCOPY   a    b\n",
        "FROM base AS name\nRUN --mount=type=secret,id=s x\nLABEL a=b\nCOPY a b\nCMD z\n",
        "FROM base\nRUN --mount=type=secret,id=s x\nENV A=1\nCOPY a b\n",
        "FROM base\nRUN --mount=type=secret,id=s x\nUSER u\nCOPY a ./b\n",
    ] {
        let found = recipes(&Case::new(other).stage());
        assert_eq!(found, expected, "{other}");
    }
    let proxied = recipes(&Case::new(one).arg("HTTP_PROXY", "p").stage());
    assert_eq!(proxied, expected);
    let skipping = recipes(&Case::new(one).with(|request| request.no_cache = true).stage());
    assert_eq!(skipping, expected);
}

#[test]
fn a_miss_says_what_changed() {
    for (before, after, expected) in [
        (
            "ARG NODE_ENV=production\nRUN x",
            "ARG NODE_ENV=test\nRUN x",
            vec!["ARG NODE_ENV production → test"],
        ),
        ("RUN x", "ARG A=1\nRUN x", vec!["ARG A is now 1"]),
        ("ARG A=1\nRUN x", "RUN x", vec!["ARG A is no longer 1"]),
        ("ENV A=1\nRUN x", "ENV A=2\nRUN x", vec!["variable A 1 → 2"]),
        ("ARG A=1\nENV A=$A\nRUN x", "ARG A=2\nENV A=$A\nRUN x", vec!["variable A 1 → 2"]),
        ("ENV A=1\nRUN x", "ARG A=2\nRUN x", vec!["ARG A 1 → 2"]),
        // To a command they are the same.
        ("ENV A=1\nRUN x", "ARG A=1\nRUN x", vec![]),
        ("RUN x", "ENV A=1\nRUN x", vec!["variable A is now 1"]),
        ("RUN x", "RUN y", vec!["command /bin/sh -c x → /bin/sh -c y"]),
        ("RUN x", "RUN --network=none x", vec!["network default → none"]),
        ("RUN x", "USER u\nRUN x", vec!["user empty → u"]),
        ("RUN x", "WORKDIR /\nRUN x", vec![]),
        (
            "RUN --mount=type=tmpfs,target=/t x",
            "RUN x",
            vec!["mount /t is no longer type=tmpfs,size=,access=read-write"],
        ),
        ("COPY a b", "COPY a c", vec!["destination /b → /c"]),
        ("COPY --chown=1 a b", "COPY a b", vec!["--chown is no longer 1"]),
        ("COPY --exclude=x a b", "COPY --exclude=y a b", vec!["--exclude x → y"]),
        ("COPY a b", "RUN x", vec!["another instruction stood here"]),
        ("RUN x\nCOPY a b", "RUN y\nCOPY a b", vec!["what it stands on changed"]),
        ("RUN x\nCOPY --link a b", "RUN y\nCOPY --link a b", vec![]),
        ("COPY a b", "ADD a b", vec!["--unpack false → true"]),
    ] {
        let [before, after] = [before, after].map(|text| last(&format!("FROM base\n{text}\n")));
        let shown: Vec<_> = after.differences(&before).iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{before:?}");
        assert_eq!(shown.is_empty(), before.key() == after.key());
    }
}

#[test]
fn a_miss_names_the_files() {
    let stage = Case::new("FROM base\nCOPY . .\n").stage();
    let template = stage.steps[0].recipe.as_ref().expect("a layer");
    let with = |facts: Vec<Fact>| fill(template, StepKey::scratch(), &Content::Files(facts.into()));
    let before = with(vec![fact("a", 0o644, "1"), fact("b", 0o644, "1"), fact("c", 0o644, "1")]);
    let after = with(vec![fact("a", 0o644, "2"), fact("b", 0o755, "1"), fact("d", 0o644, "1")]);
    let shown: Vec<_> = after.differences(&before).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "a changed (6b86b27… → d4735e3…)",
            "b has another mode, owner or attribute",
            "c is gone",
            "d is new"
        ]
    );
}

#[test]
fn recipes_are_stored_and_read_again() {
    let mut odd = fact("x", 0o644, "x");
    odd.path = TreePath::parse(b"odd\xff").expect("a path");
    odd.xattrs.insert(b"user.note".to_vec(), vec![0, 255]);
    let link = Fact { kind: FactKind::Symlink(b"../x".to_vec()), ..fact("link", 0o777, "") };
    let stage = Case::new("FROM base\nCOPY . .\n").stage();
    let template = stage.steps[0].recipe.as_ref().expect("a layer");
    let recipe = fill(template, StepKey::scratch(), &Content::Files([odd, link].into()));
    let text = serde_json::to_string(&recipe).expect("a recipe is JSON");
    assert_eq!(serde_json::from_str::<Recipe>(&text).expect("the same"), recipe);
}

#[test]
fn a_linked_copy_does_not_depend_on_what_it_stands_on() {
    let stage = |text: &str| Case::new(&format!("FROM base\n{text}\n")).stage();
    for (text, expected) in [
        ("COPY --link a b", true),
        ("COPY --link --chown=1:2 a b", true),
        ("COPY --link --chown=app a b", false),
        ("COPY a b", false),
    ] {
        let stage = stage(text);
        let template = stage.steps[0].recipe.as_ref().expect("a layer");
        assert_eq!(template.is_independent(), expected, "{text}");
    }
}
