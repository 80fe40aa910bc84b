//! What the heap is made of.

use std::cmp::Reverse;

use heapsnapshot::{Class, Location, Snapshot, Statistics};
use serde::Serialize;

use super::{Rows, Selection, SelectionReport, Sort};

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
    /// What was selected, if not all: the classes and their sums are of these objects alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<SelectionReport>,
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

/// The classes of a snapshot, or of some of its objects.
///
/// # Errors
/// When what is selected is not there.
pub fn summary(
    snapshot: &Snapshot,
    rows: &Rows,
    selection: &Selection,
) -> Result<SummaryReport, String> {
    // First: it computes the distances and the dominators at the same time.
    let distances = snapshot.class_distances();
    let (mut classes, selection) = match selection.nodes(snapshot)? {
        Some((nodes, report)) => {
            let within = snapshot.classes_within(&nodes).into_iter();
            let rows = within.map(|(_, class, distance)| row(&class, distance));
            (rows.collect::<Vec<_>>(), Some(report))
        }
        None => {
            let all = snapshot.classes().iter();
            (all.map(|(index, class)| row(class, distances[index.0 as usize])).collect(), None)
        }
    };
    let class_count = classes.len() as u64;
    classes.retain(|class| rows.wants(&class.name));
    classes.sort_by(|a, b| (&a.name, a.location).cmp(&(&b.name, b.location)));
    match rows.sort {
        Sort::Retained => classes.sort_by_key(|class| Reverse(class.retained_size)),
        Sort::Shallow => classes.sort_by_key(|class| Reverse(class.shallow_size)),
        Sort::Count => classes.sort_by_key(|class| Reverse(class.count)),
        Sort::Name => {}
    }
    rows.cut(&mut classes);
    Ok(SummaryReport {
        nodes: snapshot.node_count() as u64,
        edges: snapshot.edge_count() as u64,
        total_size: snapshot.total_size(),
        class_count,
        selection,
        classes,
        missing: snapshot.missing().iter().map(ToString::to_string).collect(),
    })
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
