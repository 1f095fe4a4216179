//! `docs/dockerfile.md` says what is shown by what; here that is looked up.

use std::path::Path;

use strata_dockerfile::Rule;

const STATES: [&str; 4] = ["done", "differs", "refused", "missing"];

/// The cells of each row below a heading.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().filter(|line| line.starts_with("| ") || line.starts_with("|-"));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    let rows: Vec<Vec<&str>> = cells.collect();
    rows.split(|row| row[0].starts_with("--"))
        .flatten()
        .filter(|row| row.last() != Some(&"shown by"))
        .cloned()
        .collect()
}

#[test]
fn every_row_is_shown_by_something() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/dockerfile.md")).expect("is there");
    let rows = rows(&page);
    assert!(rows.len() > 70, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let evidence = row.last().expect("a row has cells").trim_matches('`');
        let (file, function) = evidence.split_once('#').unwrap_or((evidence, ""));
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let is_there = match function {
            "" => !text.is_empty(),
            function => text.contains(&format!("fn {function}(")),
        };
        if !is_there {
            wrong.push(format!("{}: there is no `{evidence}`", row[0]));
        }
        if row.len() == 3 {
            let state = row[1].split(':').next().unwrap_or_default();
            let is_explained = row[1] == "done" || row[1].contains(": ");
            if !STATES.contains(&state) || !is_explained {
                wrong.push(format!("{}: the state `{}` is unknown or unexplained", row[0], row[1]));
            }
        }
    }
    for rule in Rule::ALL {
        if !page.contains(rule.name()) {
            wrong.push(format!("{} is not on the page", rule.name()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
