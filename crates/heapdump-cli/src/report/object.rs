//! One object: its fields, what holds it, and the way to it.

use std::cmp::Reverse;

use heapsnapshot::paths::{SourcePlace, Step};
use heapsnapshot::{Edge, Frame, NodeOrdinal, Snapshot};
use serde::Serialize;

use super::{ObjectRef, Rows};

/// An edge, and the object at its other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The kind of edge: `property`, `element`, `context`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The property, variable or index.
    pub name: String,
    /// The object at the other end.
    pub object: ObjectRef,
}

/// All about one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReport {
    /// The object.
    pub object: ObjectRef,
    /// Where its constructor, or the function itself, is.
    pub location: Option<SourcePlace>,
    /// The functions that allocated it, the innermost first, if allocations were tracked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allocated_by: Vec<Frame>,
    /// The object that all ways to it lead through.
    pub dominator: ObjectRef,
    /// How many references it holds.
    pub reference_count: u64,
    /// What it holds, as far as asked for.
    pub references: Vec<Reference>,
    /// How many references lead to it.
    pub retainer_count: u64,
    /// What holds it, the nearest to the roots first, as far as asked for.
    pub retainers: Vec<Reference>,
    /// The shortest way from a root.
    pub path: PathReport,
}

/// A way from a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathReport {
    /// In words.
    pub text: String,
    /// Step by step; each is a reference that the step before it holds.
    pub steps: Vec<Reference>,
}

impl PathReport {
    pub(crate) fn new(snapshot: &Snapshot, steps: &[Step]) -> Self {
        PathReport {
            text: snapshot.describe_path(steps),
            steps: steps.iter().map(|step| reference(snapshot, step.edge, step.edge.to)).collect(),
        }
    }
}

/// Describes an object.
#[must_use]
pub fn inspect(snapshot: &Snapshot, node: NodeOrdinal, rows: &Rows) -> ObjectReport {
    let edges: Vec<Edge> = snapshot.edges(node).collect();
    let retainers = retainers(snapshot, node, rows);
    let mut references: Vec<Reference> = edges
        .iter()
        .map(|&edge| reference(snapshot, edge, edge.to))
        .filter(|reference| rows.wants(&reference.name) || rows.wants(&reference.object.name))
        .collect();
    rows.cut(&mut references);
    ObjectReport {
        object: ObjectRef::new(snapshot, node),
        location: snapshot.source_place(node),
        allocated_by: snapshot.allocation_stack(node),
        dominator: ObjectRef::new(snapshot, snapshot.dominator(node)),
        reference_count: edges.len() as u64,
        references,
        retainer_count: snapshot.retainers(node).count() as u64,
        retainers,
        path: PathReport::new(snapshot, &snapshot.path_from_root(node)),
    }
}

/// What holds an object: not weakly, and the nearest to the roots first.
#[must_use]
pub fn retainers(snapshot: &Snapshot, node: NodeOrdinal, rows: &Rows) -> Vec<Reference> {
    let mut found: Vec<(Edge, NodeOrdinal)> = snapshot
        .retainers(node)
        .filter(|edge| edge.kind != heapsnapshot::EdgeKind::Weak)
        .map(|edge| (edge, snapshot.edge_owner(edge.index)))
        .collect();
    found.sort_by_key(|&(edge, from)| (snapshot.distance(from).unwrap_or(u32::MAX), edge.index));
    let mut found: Vec<Reference> = found
        .into_iter()
        .map(|(edge, from)| reference(snapshot, edge, from))
        .filter(|reference| rows.wants(&reference.name) || rows.wants(&reference.object.name))
        .collect();
    rows.cut(&mut found);
    found
}

/// What an object immediately dominates, or, without one, the objects that retain most: the largest
/// first.
#[must_use]
pub fn dominators(snapshot: &Snapshot, node: Option<NodeOrdinal>, rows: &Rows) -> Vec<ObjectRef> {
    let mut nodes: Vec<NodeOrdinal> = match node {
        Some(node) => snapshot.dominated(node).collect(),
        None => snapshot.nodes().collect(),
    };
    if rows.filter.is_some() {
        nodes.retain(|&node| rows.wants(&snapshot.display_name(node)));
    }
    let key = |&node: &NodeOrdinal| (Reverse(snapshot.retained_size(node)), node);
    if rows.limit > 0 && rows.limit < nodes.len() {
        // A few of millions need not all be sorted.
        nodes.select_nth_unstable_by_key(rows.limit, key);
        nodes.truncate(rows.limit);
    }
    nodes.sort_unstable_by_key(key);
    nodes.into_iter().map(|node| ObjectRef::new(snapshot, node)).collect()
}

fn reference(snapshot: &Snapshot, edge: Edge, other: NodeOrdinal) -> Reference {
    Reference {
        kind: snapshot.edge_kind_name(edge).to_owned(),
        name: snapshot.edge_name(edge).into_owned(),
        object: ObjectRef::new(snapshot, other),
    }
}
