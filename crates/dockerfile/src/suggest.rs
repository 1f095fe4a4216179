//! "Did you mean": the nearest of some known names.

/// Finds the option nearest to a mistyped `value`: at most two edits away, the first when several
/// are equally near, none when the value is one of the options.
pub fn suggest<'a>(value: &str, options: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    let mut nearest = 3;
    for option in options {
        if option == value {
            return None;
        }
        if option.len().abs_diff(value.len()) > 8 {
            continue;
        }
        let distance = edits(value, option);
        if distance < nearest {
            nearest = distance;
            best = Some(option);
        }
    }
    best
}

/// Levenshtein distance in characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_within_two_edits() {
        let options = ["mount", "network", "security"];
        for (value, expected) in [
            ("mont", Some("mount")),
            ("mount", None),
            ("netwrk", Some("network")),
            ("m", None),
            ("xyz", None),
        ] {
            assert_eq!(suggest(value, options), expected, "{value}");
        }
    }
}
