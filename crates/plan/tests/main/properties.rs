//! Laws: whatever is written, planning ends, and plans hold together.

use std::convert::Infallible;

use proptest::prelude::*;
use strata_dockerfile::{Source, parse};
use strata_plan::recipe::Content;
use strata_plan::{Need, Op, Plan, StepKey};

use crate::case::Case;

/// Lines that go together in every order, some of them wrong.
const LINES: &[&str] = &[
    "FROM base",
    "FROM base AS a",
    "FROM a AS b",
    "FROM --platform=$BUILDPLATFORM tools AS c",
    "FROM scratch",
    "ARG X=1 Y",
    "ENV X=2 Z=$X",
    "COPY --from=a /x /y",
    "COPY --from=0 x* /y/",
    "COPY --link --chown=app . ${Z:-w}",
    "ADD https://h/x.tgz /y",
    "RUN --mount=from=b,target=/t echo $X",
    "RUN --mount=type=cache,target=c true",
    "WORKDIR w",
    "ONBUILD COPY --from=tools x y",
    "ONBUILD RUN true",
    "USER $X",
    "EXPOSE $X",
    "ENTRYPOINT [\"e\"]",
    "CMD c",
];

fn dockerfiles() -> impl Strategy<Value = String> {
    let line = prop::sample::select(LINES);
    prop::collection::vec(line, 0..12)
        .prop_map(|lines| format!("FROM base\n{}\n", lines.join("\n")))
}

fn keys(plan: &Plan) -> Vec<StepKey> {
    let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    let recipes = steps.filter_map(|step| step.recipe.as_ref()).map(|template| {
        let content = |_| Ok::<_, Infallible>(Content::State(StepKey::scratch()));
        let Ok(recipe) = template.fill(StepKey::scratch(), content);
        recipe.key()
    });
    recipes.collect()
}

proptest! {
    #[test]
    fn plans_hold_together(text in dockerfiles()) {
        let mut case = Case::new(&text);
        let Ok(plan) = case.run() else {
            return Ok(());
        };
        prop_assert_eq!(plan.target_stage().number, plan.stages.last().expect("a stage").number);
        for (index, stage) in plan.stages.iter().enumerate() {
            prop_assert_eq!(stage.id.index(), index);
            prop_assert!(stage.dependencies().iter().all(|id| *id < stage.id), "{}", plan);
            for step in &stage.steps {
                prop_assert_eq!(step.makes_layer(), step.recipe.is_some());
                prop_assert_eq!(step.makes_layer(), step.need > Need::Config);
                prop_assert_eq!(step.makes_layer(), step.position.is_some());
                let layer = step.history.as_ref().is_some_and(|row| !row.empty_layer);
                prop_assert_eq!(step.makes_layer(), layer);
                prop_assert_eq!(matches!(step.op, Op::Run(_)), step.need == Need::Root);
                prop_assert!(plan.source(step.span).text().get(step.span.range()).is_some());
            }
        }
    }

    #[test]
    fn planning_is_a_function(text in dockerfiles()) {
        let [one, two] = [Case::new(&text).run(), Case::new(&text).run()];
        match (one, two) {
            (Ok(one), Ok(two)) => {
                prop_assert_eq!(one.to_string(), two.to_string());
                prop_assert_eq!(keys(&one), keys(&two));
            }
            (one, two) => prop_assert_eq!(one.err(), two.err()),
        }
    }

    #[test]
    fn no_text_breaks_the_planner(lines in prop::collection::vec("[ -~]{0,40}", 0..6)) {
        let text = format!("FROM base\n{}\n", lines.join("\n"));
        if parse(&Source::new(0, "Dockerfile", text.as_str())).is_ok() {
            let _ = Case::new(&text).run();
        }
    }

    #[test]
    fn arguments_can_be_anything(value in ".{0,30}") {
        let text = "ARG A\nFROM ${A:-base}\nARG A\nENV B=$A\nCOPY --chmod=$A --chown=$A $A /$A\n\
                    EXPOSE $A\nWORKDIR $A\nRUN --mount=target=/x$A,source=$A x\nSTOPSIGNAL $A\n";
        let _ = Case::new(text).arg("A", &value).run();
        let copy = "FROM base\nARG A\nADD $A /\nUSER $A\nVOLUME $A\nRUN x\n";
        let _ = Case::new(copy).arg("A", &value).run();
    }
}
