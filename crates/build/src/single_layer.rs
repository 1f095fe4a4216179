//! All that a build put onto its base as one layer.

use std::sync::Arc;

use strata_oci::{History, LayerRef};

use crate::engine::Session;
use crate::error::ErrorKind;
use crate::stage::{StageLayer, StageOutput};
use crate::trees::tree_of;
use crate::{sealing, spool};

/// Makes one layer of a stage's own layers: the difference between the files of its base and its own. What was put
/// there and removed again is in none. The layers of the steps stay in the store, where caches find them.
pub(crate) async fn squash(
    session: &Arc<Session>,
    output: &StageOutput,
) -> Result<Vec<StageLayer>, ErrorKind> {
    let below = output.layers.iter().take_while(|layer| layer.created.is_none()).count();
    let Some(last) = output.layers.get(below + 1..).and_then(<[StageLayer]>::last) else {
        return Ok(output.layers.clone());
    };
    let references: Vec<LayerRef> = output.layers.iter().map(|layer| layer.layer.clone()).collect();
    let base = tree_of(session, &references[..below]).await?;
    let changes = base.diff(&tree_of(session, &references).await?);
    let changes = spool::gather(session, changes).await?;
    let layer = sealing::write(session, changes, None).await?.layer;
    session.know_layer(&layer);
    let mut layers = output.layers[..below].to_vec();
    layers.push(StageLayer { layer, created: last.created.clone() });
    Ok(layers)
}

/// Lets the last of a history's `count` last rows with a layer stand for all of them.
pub(crate) fn squash_history(history: &mut [History], count: usize) {
    let own = history.iter_mut().rev().filter(|row| !row.empty_layer).take(count);
    for row in own.skip(1) {
        row.empty_layer = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_row_stands_for_the_layer() {
        let rows = |pattern: &str| -> Vec<History> {
            let row = |letter| History { empty_layer: letter == 'e', ..History::default() };
            pattern.chars().map(row).collect()
        };
        for (before, count, after) in
            [("llell", 3, "leeel"), ("lel", 1, "lel"), ("lle", 2, "ele"), ("le", 0, "le")]
        {
            let mut history = rows(before);
            squash_history(&mut history, count);
            assert_eq!(history, rows(after), "{before} {count}");
        }
    }
}
