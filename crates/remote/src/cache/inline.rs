//! The cache that rides in an image's config: which key each of its layers has.

use serde::{Deserialize, Serialize};
use strata_oci::{DiffId, Image, LayerRef, Timestamp};
use strata_plan::StepKey;

use super::records::{Record, Records};

/// The field of the config.
const FIELD: &str = "strata.cache.v1";

/// One step. Recipes are left out: a config is read by everybody who pulls the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    key: StepKey,
    diff_id: DiffId,
    created: Timestamp,
}

/// Puts the keys of its own layers into an image.
pub(super) fn write(image: &mut Image, steps: &Records) {
    let own: Vec<&LayerRef> = image.layers.iter().collect();
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for (key, record) in &steps.steps {
        let (diff_id, created) = (record.diff_id, record.created.clone());
        let place = own.iter().position(|layer| layer.diff_id == diff_id);
        rows.extend(place.map(|place| (place, Row { key: *key, diff_id, created })));
    }
    rows.sort_by_key(|(place, row)| (*place, row.key));
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let value = serde_json::to_value(rows).expect("rows have nothing that JSON lacks");
    image.config.extra.insert(FIELD.to_owned(), value);
}

/// Reads them; nothing if the image carries none.
pub(super) fn read(image: &Image, now: i64) -> Option<Records> {
    let rows = image.config.extra.get(FIELD)?;
    let rows: Vec<Row> = Deserialize::deserialize(rows)
        .inspect_err(|error| tracing::debug!(%error, "an inline cache cannot be used"))
        .ok()?;
    let mut records = Records::default();
    for Row { key, diff_id, created } in rows {
        let layer = image.layers.iter().find(|layer| layer.diff_id == diff_id)?.blob.clone();
        let record =
            Record { layer, diff_id, created, used: now, ran: None, slot: None, recipe: None };
        records.steps.insert(key, record);
    }
    Some(records)
}
