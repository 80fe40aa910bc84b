//! The answers as plain data: what `--json` prints, and what `heapdump-rs/analyze` gives to JavaScript.
//!
//! Each function takes loaded snapshots and gives a value that serialises; none does any I/O.

mod compare;
mod heap;
mod hide;
mod inspections;
mod leaks;
mod object;
mod objects;
mod selection;
mod shares;
mod strings;
mod summary;
mod suspects;
mod tree;
mod trend;

pub use crate::times::TimesFrom;
pub use compare::{ClassChange, CompareReport, ObjectChange, compare};
pub use heap::{HeapLimits, HeapReport, ObjectPage, heap, page};
pub use hide::Hide;
pub use inspections::InspectionReport;
pub use leaks::{FunctionReport, LeaksReport, Series, SuspectReport, TracedObject, find_leaks};
pub use object::{
    ObjectReport, PathReport, Reference, View, dominators, inspect, nearest, path, retainers,
};
pub use objects::{FoundObject, ObjectSort, ObjectsQuestion, ObjectsReport, objects};
pub use selection::{Selection, SelectionReport, Selector};
pub use shares::{By, ShareRow, SharesReport, shares};
pub use strings::{StringRow, StringsReport, strings};
pub use summary::{ClassRow, SummaryReport, statistics, summary};
pub use suspects::{HeapSuspectReport, SuspectsReport, suspects};
pub(crate) use tree::key;
pub use tree::{TreeNode, kept_alone, tree};
pub use trend::{
    AgainstReport, Outcome, Rates, TrendGroup, TrendReport, TrendRun, TrendSnapshot, Verdict,
    against,
};

use heapsnapshot::{NodeOrdinal, Snapshot};
use serde::Serialize;

/// What to sort a list by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The retained size, or its growth.
    #[default]
    Retained,
    /// The shallow size, or its growth.
    Shallow,
    /// The number of objects, or its growth.
    Count,
    /// The name.
    Name,
}

/// Which rows of a list are wanted.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// How many rows; 0 for all.
    pub limit: usize,
    /// Only rows whose name contains this, in any case.
    pub filter: Option<String>,
    /// The order.
    pub sort: Sort,
}

impl Rows {
    pub(crate) fn wants(&self, name: &str) -> bool {
        match &self.filter {
            Some(filter) => name.to_lowercase().contains(&filter.to_lowercase()),
            None => true,
        }
    }

    pub(crate) fn cut<T>(&self, rows: &mut Vec<T>) {
        if self.limit > 0 {
            rows.truncate(self.limit);
        }
    }
}

/// An object, as every answer describes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The id, without `@`.
    pub id: u64,
    /// The name that DevTools shows.
    pub name: String,
    /// The class that it is counted in.
    pub class: String,
    /// The kind of node.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its own bytes.
    pub shallow_size: u64,
    /// The bytes that it keeps alive, itself included.
    pub retained_size: u64,
    /// How far it is from the roots; null if nothing leads to it.
    pub distance: Option<u32>,
    #[serde(skip)]
    pub(crate) node: NodeOrdinal,
}

impl ObjectRef {
    pub(crate) fn new(snapshot: &Snapshot, node: NodeOrdinal) -> Self {
        ObjectRef {
            id: snapshot.id(node).0,
            name: snapshot.display_name(node).into_owned(),
            class: snapshot.class_name(node).to_owned(),
            kind: snapshot.kind_name(node).to_owned(),
            shallow_size: snapshot.shallow_size(node),
            retained_size: snapshot.retained_size(node),
            distance: snapshot.distance(node),
            node,
        }
    }
}
