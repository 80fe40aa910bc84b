//! One object: its fields, what holds it, and the way to it.

use std::cmp::Reverse;

use heapsnapshot::paths::{SourcePlace, Step};
use heapsnapshot::retainers::{Detour, JsHolder};
use heapsnapshot::{Edge, Frame, NodeOrdinal, NodeSet, Snapshot};
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
    /// A way from a root, through the application's code where there is one.
    pub path: PathReport,
}

/// A way from a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathReport {
    /// In words.
    pub text: String,
    /// How many steps before those below are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// Step by step; each is a reference that the step before it holds.
    pub steps: Vec<Reference>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl PathReport {
    pub(crate) fn new(snapshot: &Snapshot, steps: &[Step]) -> Self {
        PathReport {
            text: snapshot.describe_path(steps),
            left_out: 0,
            steps: steps.iter().map(|step| reference(snapshot, step.edge, step.edge.to)).collect(),
        }
    }
}

/// How to look at what holds an object.
#[derive(Debug, Default)]
pub struct View<'a> {
    around: Option<Detour<'a>>,
    js_only: bool,
}

impl<'a> View<'a> {
    /// With some objects left out, and everything that leads through them. With `js_only`, only what a
    /// program sees is shown.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, ignored: &[NodeOrdinal], js_only: bool) -> Self {
        let around = (!ignored.is_empty()).then(|| {
            let mut nodes = NodeSet::new(snapshot);
            for &node in ignored {
                nodes.insert(node);
            }
            snapshot.around(nodes)
        });
        View { around, js_only }
    }

    /// An object with its distance on the ways that count.
    pub(crate) fn object(&self, snapshot: &Snapshot, node: NodeOrdinal) -> ObjectRef {
        let mut object = ObjectRef::new(snapshot, node);
        object.distance = self.distance(snapshot, node);
        object
    }

    fn distance(&self, snapshot: &Snapshot, node: NodeOrdinal) -> Option<u32> {
        match &self.around {
            Some(around) => around.distance(node),
            None => snapshot.distance(node),
        }
    }

    /// The edges, each with the node at its other end and a name.
    fn holders(&self, snapshot: &'a Snapshot, node: NodeOrdinal) -> Vec<JsHolder<'_>> {
        let plain = |step: Step| JsHolder {
            from: step.from,
            edge: step.edge,
            name: snapshot.edge_name(step.edge),
        };
        match (&self.around, self.js_only) {
            (None, false) => snapshot.holders(node).map(plain).collect(),
            (None, true) => snapshot.js_holders(node),
            (Some(around), false) => around.holders(node).map(plain).collect(),
            (Some(around), true) => around.js_holders(node),
        }
    }
}

/// Describes an object.
#[must_use]
pub fn inspect(snapshot: &Snapshot, node: NodeOrdinal, rows: &Rows) -> ObjectReport {
    let edges: Vec<Edge> = snapshot.edges(node).collect();
    let retainers = retainers(snapshot, node, rows, &View::default());
    let references = edges
        .iter()
        .map(|&edge| reference(snapshot, edge, edge.to))
        .filter(|reference| rows.wants(&reference.name) || rows.wants(&reference.object.name))
        .take(if rows.limit > 0 { rows.limit } else { usize::MAX })
        .collect();
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
pub fn retainers<'a>(
    snapshot: &'a Snapshot,
    node: NodeOrdinal,
    rows: &Rows,
    view: &View<'a>,
) -> Vec<Reference> {
    let mut holders = view.holders(snapshot, node);
    holders.sort_by_cached_key(|holder| view.distance(snapshot, holder.from).unwrap_or(u32::MAX));
    // A million may hold it: only those are described that are wanted.
    if rows.filter.is_none() {
        rows.cut(&mut holders);
    }
    let mut found: Vec<Reference> = holders
        .into_iter()
        .map(|holder| Reference {
            kind: snapshot.edge_kind_name(holder.edge).to_owned(),
            name: holder.name.into_owned(),
            object: view.object(snapshot, holder.from),
        })
        .filter(|reference| rows.wants(&reference.name) || rows.wants(&reference.object.name))
        .collect();
    rows.cut(&mut found);
    found
}

/// The shortest way from a root.
#[must_use]
pub fn path(snapshot: &Snapshot, node: NodeOrdinal, view: &View<'_>) -> PathReport {
    nearest(snapshot, node, view, usize::MAX)
}

/// The shortest way from a root; of one that is longer than `most`, the last steps: through a list of a million there are
/// as many.
#[must_use]
pub fn nearest(snapshot: &Snapshot, node: NodeOrdinal, view: &View<'_>, most: usize) -> PathReport {
    let steps = match &view.around {
        Some(around) => around.path(node),
        None => snapshot.path_from_root(node),
    };
    let text = snapshot.describe_path(&steps);
    if view.js_only {
        let mut short = snapshot.js_path(&steps);
        let left_out = short.len().saturating_sub(most);
        let steps = short.drain(left_out..).map(|(holder, to)| Reference {
            kind: snapshot.edge_kind_name(holder.edge).to_owned(),
            name: holder.name.into_owned(),
            object: view.object(snapshot, to),
        });
        return PathReport { text, left_out: left_out as u64, steps: steps.collect() };
    }
    let left_out = steps.len().saturating_sub(most);
    let steps = steps.iter().skip(left_out).map(|step| Reference {
        object: view.object(snapshot, step.edge.to),
        ..reference(snapshot, step.edge, step.edge.to)
    });
    PathReport { text, left_out: left_out as u64, steps: steps.collect() }
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

pub(super) fn reference(snapshot: &Snapshot, edge: Edge, other: NodeOrdinal) -> Reference {
    Reference {
        kind: snapshot.edge_kind_name(edge).to_owned(),
        name: snapshot.edge_name(edge).into_owned(),
        object: ObjectRef::new(snapshot, other),
    }
}
