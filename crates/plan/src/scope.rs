//! Variables of a stage: ENV and ARG share one space, the later word counts.

use std::collections::{BTreeMap, BTreeSet};

/// The variables in scope, and which of them ARG declares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    variables: Vec<(String, String)>,
    /// Where each name is in `variables`: a base may have very many.
    places: BTreeMap<String, usize>,
    /// ARGs in the order of their declarations, with what they were declared to be.
    declared: Vec<(String, Option<String>)>,
    /// The variables that an ARG set last.
    arguments: BTreeSet<String>,
    /// Whether there may be variables that are not known, those of a base that was left open.
    pub(crate) is_open: bool,
}

impl Scope {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|place| self.variables[*place].1.as_str())
    }

    /// Sets a variable: in the place it had, else at the end.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.arguments.remove(name);
        if let Some(place) = self.places.get(name) {
            value.clone_into(&mut self.variables[*place].1);
            return;
        }
        self.places.insert(name.to_owned(), self.variables.len());
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable away.
    pub(crate) fn unset(&mut self, name: &str) {
        let Some(place) = self.places.remove(name) else { return };
        self.arguments.remove(name);
        self.variables.remove(place);
        for other in self.places.values_mut().filter(|other| **other > place) {
            *other -= 1;
        }
    }

    /// Declares an ARG. Without a value it is declared but not set.
    pub(crate) fn declare(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(name, value);
            self.arguments.insert(name.to_owned());
        }
        match self.declared.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value.map(str::to_owned),
            None => self.declared.push((name.to_owned(), value.map(str::to_owned))),
        }
    }

    /// Whether a variable without a value is nevertheless no mistake.
    pub(crate) fn may_be_unset(&self, name: &str) -> bool {
        self.is_open || self.is_declared(name)
    }

    pub(crate) fn is_declared(&self, name: &str) -> bool {
        self.declared.iter().any(|(key, _)| key == name)
    }

    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The variables whose value is that of an ARG.
    pub(crate) fn arguments(&self) -> &BTreeSet<String> {
        &self.arguments
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    /// The ARGs as the history of a RUN shows them: `|2 A=1 B=2 `, or nothing.
    pub(crate) fn run_prefix(&self) -> String {
        if self.declared.is_empty() {
            return String::new();
        }
        let shown = self.declared.iter().map(|(name, value)| {
            let value = self.get(name).or(value.as_deref()).unwrap_or_default();
            format!("{name}={value} ")
        });
        format!("|{} {}", self.declared.len(), shown.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_count_and_history_shows_what_counts() {
        let mut scope = Scope::default();
        scope.set("A", "env");
        scope.declare("A", Some("arg"));
        scope.declare("B", None);
        scope.set("C", "3");
        scope.declare("A", Some("again"));
        scope.set("A", "env2");
        assert_eq!(scope.get("A"), Some("env2"));
        assert_eq!(scope.get("B"), None);
        assert!(scope.arguments().is_empty(), "ENV had the last word");
        assert_eq!(scope.run_prefix(), "|2 A=env2 B= ");
        assert_eq!(scope.names().collect::<Vec<_>>(), ["A", "C"]);
        scope.unset("A");
        scope.set("C", "4");
        assert_eq!((scope.get("A"), scope.get("C")), (None, Some("4")));
    }
}
