//! Texts that are in memory more than once, and what retains much of one heap.

use std::cmp::Reverse;

use heapsnapshot::Snapshot;
use heapsnapshot::suspects::{HeapSuspect, Suspected};
use serde::Serialize;

use super::{ObjectRef, PathReport, Rows, Sort};

/// The texts that several strings have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StringsReport {
    /// How many texts there are more than once.
    pub duplicates: u64,
    /// What one string of each would save.
    pub wasted_size: u64,
    /// The texts that were asked for.
    pub strings: Vec<StringRow>,
}

/// A text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StringRow {
    /// The text, as far as the snapshot has it.
    pub text: String,
    /// How many strings have it.
    pub count: u64,
    /// The sum of their shallow sizes.
    pub shallow_size: u64,
    /// The sum of what they retain.
    pub retained_size: u64,
    /// What one string instead of these would save.
    pub wasted_size: u64,
    /// One of them.
    pub example_id: u64,
}

/// The duplicate strings of a snapshot.
#[must_use]
pub fn strings(snapshot: &Snapshot, rows: &Rows) -> StringsReport {
    let found = snapshot.duplicate_strings();
    let wasted_size = found.iter().fold(0, |sum: u64, text| sum.saturating_add(text.wasted()));
    let duplicates = found.len() as u64;
    let mut picked: Vec<StringRow> = found
        .into_iter()
        .filter(|found| rows.wants(&found.text))
        .map(|found| StringRow {
            count: found.nodes.len() as u64,
            shallow_size: found.shallow_size,
            retained_size: found.retained_size,
            wasted_size: found.wasted(),
            example_id: found.nodes.first().map_or(0, |&node| snapshot.id(node).0),
            text: found.text,
        })
        .collect();
    match rows.sort {
        Sort::Retained => picked.sort_by_key(|row| Reverse(row.retained_size)),
        Sort::Shallow => picked.sort_by_key(|row| Reverse(row.wasted_size)),
        Sort::Count => picked.sort_by_key(|row| Reverse(row.count)),
        Sort::Name => picked.sort_by(|a, b| a.text.cmp(&b.text)),
    }
    rows.cut(&mut picked);
    StringsReport { duplicates, wasted_size, strings: picked }
}

/// What retains much of one heap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuspectsReport {
    /// All bytes that the snapshot accounts for.
    pub total_size: u64,
    /// The suspects, the largest first.
    pub suspects: Vec<HeapSuspectReport>,
}

/// An object or a class that retains much.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeapSuspectReport {
    /// What it is.
    pub class: String,
    /// How many objects: one, or all of a class.
    pub count: u64,
    /// What it retains.
    pub retained_size: u64,
    /// The object, or the largest of the class.
    pub object: ObjectRef,
    /// Where what it retains divides among many.
    pub accumulation_point: Option<ObjectRef>,
    /// The way to that.
    pub path: PathReport,
}

/// The objects and classes that retain at least a part of the heap (0.1 is 10 %).
#[must_use]
pub fn suspects(snapshot: &Snapshot, threshold: f64) -> SuspectsReport {
    SuspectsReport {
        total_size: snapshot.total_size(),
        suspects: snapshot.suspects(threshold).iter().map(|found| row(snapshot, found)).collect(),
    }
}

fn row(snapshot: &Snapshot, found: &HeapSuspect) -> HeapSuspectReport {
    let (node, count) = match found.what {
        Suspected::Object(node) => (node, 1),
        Suspected::Class { count, largest, .. } => (largest, count),
    };
    HeapSuspectReport {
        class: snapshot.class_name(node).to_owned(),
        count,
        retained_size: found.retained,
        object: ObjectRef::new(snapshot, node),
        accumulation_point: found.accumulation_point.map(|at| ObjectRef::new(snapshot, at)),
        path: PathReport::new(snapshot, &found.path),
    }
}
