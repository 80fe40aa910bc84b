//! What the heap is made of.

use std::cmp::Reverse;

use heapsnapshot::{Class, ClassIndex, Location, Snapshot, Statistics};
use serde::Serialize;

use super::{Rows, Sort};

/// The heap, class by class.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryReport {
    /// How many nodes the snapshot has.
    pub nodes: u64,
    /// How many edges it has.
    pub edges: u64,
    /// All bytes that it accounts for.
    pub total_size: u64,
    /// How many classes there are.
    pub class_count: u64,
    /// The classes that were asked for.
    pub classes: Vec<ClassRow>,
    /// What is wrong with the file, if it was salvaged.
    pub missing: Vec<String>,
}

/// A class.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassRow {
    /// Its name.
    pub name: String,
    /// DevTools' key: two classes may have one name.
    pub key: String,
    /// Where its constructor is.
    pub location: Option<Location>,
    /// How many objects it has.
    pub count: u64,
    /// The sum of their shallow sizes.
    pub shallow_size: u64,
    /// What all of them retain together.
    pub retained_size: u64,
    /// The least of their distances; -5 if one of them is held by nothing.
    pub distance: i32,
}

/// The classes of a snapshot.
#[must_use]
pub fn summary(snapshot: &Snapshot, rows: &Rows) -> SummaryReport {
    // First: it computes the distances and the dominators at the same time.
    let distances = snapshot.class_distances();
    let mut picked: Vec<(ClassIndex, &Class)> = snapshot.classes().iter().collect();
    let class_count = picked.len() as u64;
    picked.retain(|(_, class)| rows.wants(&class.key.name));
    picked.sort_by(|(_, a), (_, b)| a.key.cmp(&b.key));
    match rows.sort {
        Sort::Retained => picked.sort_by_key(|(_, class)| Reverse(class.retained_size)),
        Sort::Shallow => picked.sort_by_key(|(_, class)| Reverse(class.shallow_size)),
        Sort::Count => picked.sort_by_key(|(_, class)| Reverse(class.count)),
        Sort::Name => {}
    }
    rows.cut(&mut picked);
    SummaryReport {
        nodes: snapshot.node_count() as u64,
        edges: snapshot.edge_count() as u64,
        total_size: snapshot.total_size(),
        class_count,
        classes: picked
            .into_iter()
            .map(|(index, class)| row(class, distances[index.0 as usize]))
            .collect(),
        missing: snapshot.missing().iter().map(ToString::to_string).collect(),
    }
}

/// What the memory is used for.
#[must_use]
pub fn statistics(snapshot: &Snapshot) -> Statistics {
    snapshot.statistics()
}

fn row(class: &Class, distance: i32) -> ClassRow {
    ClassRow {
        name: class.key.name.clone(),
        key: class.key.to_string(),
        location: class.key.location,
        count: class.count,
        shallow_size: class.shallow_size,
        retained_size: class.retained_size,
        distance,
    }
}
