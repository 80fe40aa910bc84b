//! What retains much of one heap, and what stands out in it.

use heapsnapshot::Snapshot;
use heapsnapshot::suspects::{HeapSuspect, Suspected};
use serde::Serialize;

use super::inspections::{InspectionReport, inspections};
use super::leaks::{FunctionReport, advice};
use super::{ObjectRef, PathReport};

/// What retains much of one heap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuspectsReport {
    /// All bytes that the snapshot accounts for.
    pub total_size: u64,
    /// The suspects, the largest first.
    pub suspects: Vec<HeapSuspectReport>,
    /// What stands out besides: of each kind of thing that often leaks.
    pub inspections: Vec<InspectionReport>,
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
    /// Whose it is: an npm package, `(application)`, `(node)` or `(unknown)`.
    pub package: String,
    /// The functions that what accumulates there holds, or is.
    pub functions: Vec<FunctionReport>,
    /// What to do, in a line.
    pub advice: &'static str,
}

/// The objects and classes that retain at least a part of the heap (0.1 is 10 %).
#[must_use]
pub fn suspects(snapshot: &Snapshot, threshold: f64) -> SuspectsReport {
    SuspectsReport {
        total_size: snapshot.total_size(),
        suspects: snapshot.suspects(threshold).iter().map(|found| row(snapshot, found)).collect(),
        inspections: inspections(snapshot),
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
        package: snapshot.origin(found.accumulation_point.unwrap_or(node)).to_string(),
        functions: found.functions.iter().map(FunctionReport::new).collect(),
        advice: advice::of_object(snapshot, found.accumulation_point.unwrap_or(node), &found.path),
    }
}
