//! Texts that are in memory more than once.

use std::cmp::Reverse;

use heapsnapshot::Snapshot;
use serde::Serialize;

use super::{Rows, Sort};

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
