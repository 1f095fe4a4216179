//! Jobs of a `.gitlab-ci.yml`, and the script that a runner makes of one.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

/// The lines of one job: those indented below its name.
fn job<'a>(text: &'a str, name: &str) -> Result<Vec<&'a str>> {
    let head = format!("{name}:");
    let lines = text.lines().skip_while(|line| *line != head).skip(1);
    let lines: Vec<&str> =
        lines.take_while(|line| line.starts_with(' ') || line.is_empty()).collect();
    ensure!(!lines.is_empty(), "there is no job `{name}`");
    Ok(lines)
}

/// The commands of a job's `script` or `after_script`: a list of plain or literal (`|`) scalars.
pub(crate) fn commands(text: &str, name: &str, key: &str) -> Result<Vec<String>> {
    let head = format!("  {key}:");
    let lines = job(text, name)?;
    let items = lines.into_iter().skip_while(|line| *line != head).skip(1);
    let mut commands: Vec<(String, bool)> = Vec::new();
    for line in items.take_while(|line| line.starts_with("    ") || line.is_empty()) {
        if let Some(first) = line.strip_prefix("    - ") {
            let literal = first == "|";
            commands.push((if literal { String::new() } else { first.to_owned() }, literal));
        } else if let Some((command, literal)) = commands.last_mut() {
            command.push(if *literal { '\n' } else { ' ' });
            command.push_str(line.trim());
        }
    }
    ensure!(!commands.is_empty() || key != "script", "`{name}` has no script");
    Ok(commands.into_iter().map(|(command, _)| command).collect())
}

/// Every job that has a script.
pub(crate) fn jobs(text: &str) -> Vec<&str> {
    let names = text.lines().filter_map(|line| line.strip_suffix(':'));
    names
        .filter(|name| !name.starts_with([' ', '#']) && commands(text, name, "script").is_ok())
        .collect()
}

/// What a runner asks an image for: a shell, wherever it is.
pub(crate) const DETECTOR: &str = "\
if [ -x /usr/local/bin/bash ]; then exec /usr/local/bin/bash
elif [ -x /usr/bin/bash ]; then exec /usr/bin/bash
elif [ -x /bin/bash ]; then exec /bin/bash
elif [ -x /usr/local/bin/sh ]; then exec /usr/local/bin/sh
elif [ -x /usr/bin/sh ]; then exec /usr/bin/sh
elif [ -x /bin/sh ]; then exec /bin/sh
elif [ -x /busybox/sh ]; then exec /busybox/sh
else echo shell not found; exit 1
fi";

/// The script as a runner writes it to that shell: variables, the project's directory, and the commands in a shell of
/// their own with nothing on its standard input.
pub(crate) fn script(
    variables: &[(String, String)],
    directory: &str,
    commands: &[String],
) -> Result<String> {
    let mut inner = String::new();
    for (name, value) in variables {
        writeln!(inner, "export {name}={}", quoted(value))?;
    }
    writeln!(inner, "cd {}", quoted(directory))?;
    for command in commands {
        let shown = command.lines().next().context("a command has a line")?;
        writeln!(inner, "echo {}", quoted(&format!("$ {shown}")))?;
        writeln!(inner, "{command}")?;
    }
    Ok(format!("set -o errexit\nset +o noclobber\n: | eval {}\nexit 0\n", quoted(&inner)))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[test]
fn script_of_a_job_is_read() -> Result<()> {
    let text = "one:\n  stage: build\n  script:\n    - a\n      --b c\n    - |\n      d\n      e\n  rules:\n    - if: $X\n";
    assert_eq!(commands(text, "one", "script")?, ["a --b c", "\nd\ne"]);
    assert_eq!(jobs(text), ["one"]);
    assert_eq!(quoted("it's"), r"'it'\''s'");
    Ok(())
}
