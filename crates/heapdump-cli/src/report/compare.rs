//! What changed from one snapshot to the next.

use std::cmp::Reverse;

use heapsnapshot::compare::{self, ClassDiff, IdAgreement, Matching};
use heapsnapshot::{NodeOrdinal, Snapshot};
use serde::Serialize;

use super::{Rows, Sort};

/// The change, class by class.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompareReport {
    /// The total size of the earlier snapshot.
    pub base_size: u64,
    /// The total size of the later one.
    pub target_size: u64,
    /// Whether an id means the same object in both.
    pub ids_comparable: bool,
    /// Whether objects were matched by id; if not, `added` and `removed` are null.
    pub matched_by_id: bool,
    /// What was measured to tell.
    pub id_agreement: IdAgreement,
    /// How many classes differ.
    pub changed_classes: u64,
    /// The classes that were asked for.
    pub classes: Vec<ClassChange>,
}

/// The change in one class.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassChange {
    /// Its name.
    pub name: String,
    /// DevTools' key.
    pub key: String,
    /// Objects that only the later snapshot has.
    pub added: Option<u64>,
    /// Objects that only the earlier one has.
    pub removed: Option<u64>,
    /// The shallow size of those added.
    pub added_size: Option<u64>,
    /// The shallow size of those removed.
    pub removed_size: Option<u64>,
    /// By how many objects the class grew.
    pub count_delta: i64,
    /// By how many bytes of shallow size it grew.
    pub size_delta: i64,
    /// By how many bytes what it retains grew.
    pub retained_delta: i64,
    /// The objects, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectChange>,
}

/// An object that came or went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectChange {
    /// `added` or `removed`.
    pub change: &'static str,
    /// The object's id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its own bytes.
    pub shallow_size: u64,
    /// The bytes that it keeps, or kept, alive.
    pub retained_size: u64,
}

/// Compares two snapshots. With `objects`, each class lists what came and went in it, the largest
/// first and no more than `rows.limit`.
#[must_use]
pub fn compare(
    base: &Snapshot,
    target: &Snapshot,
    matching: Matching,
    rows: &Rows,
    objects: bool,
) -> CompareReport {
    let comparison = compare::compare(base, target, matching);
    let mut picked: Vec<&ClassDiff> =
        comparison.classes.iter().filter(|diff| rows.wants(&diff.key.name)).collect();
    picked.sort_by(|a, b| a.key.cmp(&b.key));
    match rows.sort {
        Sort::Retained => picked.sort_by_key(|diff| Reverse(diff.retained_delta)),
        Sort::Shallow => picked.sort_by_key(|diff| Reverse(diff.size_delta)),
        Sort::Count => picked.sort_by_key(|diff| Reverse(diff.count_delta)),
        Sort::Name => {}
    }
    rows.cut(&mut picked);
    CompareReport {
        base_size: base.total_size(),
        target_size: target.total_size(),
        ids_comparable: comparison.agreement.is_comparable(),
        matched_by_id: comparison.by_id,
        id_agreement: comparison.agreement,
        changed_classes: comparison.classes.len() as u64,
        classes: picked
            .into_iter()
            .map(|diff| class(base, target, diff, objects.then_some(rows)))
            .collect(),
    }
}

fn class(
    base: &Snapshot,
    target: &Snapshot,
    diff: &ClassDiff,
    objects: Option<&Rows>,
) -> ClassChange {
    let found = diff.objects.as_ref();
    let mut list = Vec::new();
    if let (Some(found), Some(rows)) = (found, objects) {
        list.extend(found.added.iter().map(|&node| object("added", target, node)));
        list.extend(found.removed.iter().map(|&node| object("removed", base, node)));
        list.sort_by_key(|change| Reverse(change.retained_size));
        rows.cut(&mut list);
    }
    ClassChange {
        name: diff.key.name.clone(),
        key: diff.key.to_string(),
        added: found.map(|found| found.added.len() as u64),
        removed: found.map(|found| found.removed.len() as u64),
        added_size: found.map(|found| found.added_size),
        removed_size: found.map(|found| found.removed_size),
        count_delta: diff.count_delta,
        size_delta: diff.size_delta,
        retained_delta: diff.retained_delta,
        objects: list,
    }
}

fn object(change: &'static str, snapshot: &Snapshot, node: NodeOrdinal) -> ObjectChange {
    ObjectChange {
        change,
        id: snapshot.id(node).0,
        name: snapshot.display_name(node).into_owned(),
        shallow_size: snapshot.shallow_size(node),
        retained_size: snapshot.retained_size(node),
    }
}
