//! A build context as the engine sees it: a tree, and the files behind it.

use std::sync::Arc;

use strata_context::{Context, Verdict};
use strata_dockerfile::{IgnoreFile, MatchState, suggest};
use strata_layer::Content;
use strata_tree::{Tree, TreePath};

use crate::error::{ErrorKind, MissingReason};

/// The patterns that leave files out of a context.
#[derive(Debug, Clone)]
pub struct Ignore {
    /// The name of the file they came from, for messages.
    pub file: String,
    /// The patterns.
    pub patterns: IgnoreFile,
}

/// A directory that files are copied from.
#[derive(Debug)]
pub struct BuildContext {
    context: Arc<Context>,
    tree: Tree<Content>,
    ignore: Option<Ignore>,
}

impl BuildContext {
    /// Reads the names and metadata of a context, without what is ignored. `number` is what contents carry.
    pub fn scan(number: u32, context: Context, ignore: Option<Ignore>) -> Result<Self, ErrorKind> {
        let content = |path: &TreePath| Content::Context { context: number, path: path.clone() };
        let tree = match &ignore {
            Some(ignore) => context.scan(&mut filter(ignore), content)?,
            None => context.scan(&mut strata_context::KeepAll, content)?,
        };
        Ok(Self { context: Arc::new(context), tree, ignore })
    }

    /// The files.
    pub fn tree(&self) -> &Tree<Content> {
        &self.tree
    }

    /// The opened directory.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What leaves files out.
    pub fn ignore(&self) -> Option<&Ignore> {
        self.ignore.as_ref()
    }

    /// Why nothing stands at a path.
    pub fn missing_reason(&self, path: &TreePath) -> MissingReason {
        if let Some(ignore) = &self.ignore {
            let verdict = ignore.patterns.patterns.matches(path.as_bytes(), &MatchState::default());
            let rule = verdict.rule.filter(|_| verdict.excluded);
            if let Some((line, pattern)) = rule.and_then(|rule| ignore.patterns.patterns.rule(rule))
            {
                let (file, pattern) = (ignore.file.clone(), pattern.to_owned());
                return MissingReason::Ignored { file, line, pattern };
            }
        }
        self.similar(path).map_or(MissingReason::Unknown, |path| MissingReason::Similar { path })
    }

    // A name in the same directory that looks like the one that was meant.
    fn similar(&self, path: &TreePath) -> Option<TreePath> {
        let parent = path.parent()?;
        let wanted = String::from_utf8_lossy(path.file_name()?).into_owned();
        let directory = self.tree.get(&parent)?.as_directory()?;
        let names: Vec<String> = directory
            .children()
            .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect();
        let found = suggest(&wanted, names.iter().map(String::as_str))?;
        parent.join(found).ok()
    }
}

fn filter(ignore: &Ignore) -> impl FnMut(&TreePath, bool) -> Verdict {
    let patterns = &ignore.patterns.patterns;
    // The states of the directories on the way to where the scan is.
    let mut states: Vec<(TreePath, MatchState)> = Vec::new();
    move |path, is_directory| {
        while states.last().is_some_and(|(above, _)| !path.starts_with(above)) {
            states.pop();
        }
        let top = MatchState::default();
        let parent = states.last().map_or(&top, |(_, state)| state);
        let verdict = patterns.matches(path.as_bytes(), parent);
        let decision = match (verdict.excluded, is_directory) {
            (false, _) => Verdict::Keep,
            (true, true) if patterns.excludes_all_below(path.as_bytes(), &verdict) => {
                return Verdict::SkipSubtree;
            }
            (true, _) => Verdict::Skip,
        };
        if is_directory {
            states.push((path.clone(), verdict.state));
        }
        decision
    }
}
