//! All that a report says of one heap, and an object's page.

use std::cmp::Reverse;
use std::collections::HashSet;

use heapsnapshot::merged::{Measure, TreeBy, TreeQuestion};
use heapsnapshot::{EdgeKind, NodeKind, NodeOrdinal, Snapshot, Statistics};
use serde::Serialize;

use super::{
    By, ObjectRef, ObjectReport, Reference, Rows, Selection, SharesReport, Sort, StringsReport,
    SummaryReport, SuspectsReport, TreeNode, View, kept_alone, nearest, retainers, shares, strings,
    summary, suspects, tree,
};

/// A page has no more steps of the way to its object: words say the rest.
const STEPS: usize = 100;

/// How much a report tells.
#[derive(Clone, Debug)]
pub struct HeapLimits {
    /// Classes, packages and duplicate strings, of each.
    pub rows: usize,
    /// Nodes of the tree.
    pub tree: usize,
    /// Objects that have a page.
    pub objects: usize,
    /// Fields and retainers on a page.
    pub references: usize,
    /// The part of the heap from which on something is a suspect.
    pub threshold: f64,
}

impl Default for HeapLimits {
    fn default() -> Self {
        HeapLimits { rows: 200, tree: 700, objects: 40, references: 20, threshold: 0.1 }
    }
}

/// One heap: what it is made of, and what holds it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeapReport {
    /// What the memory is used for.
    pub statistics: Statistics,
    /// The classes.
    pub summary: SummaryReport,
    /// What retains much.
    pub suspects: SuspectsReport,
    /// The tree of dominators.
    pub tree: TreeNode,
    /// The objects that retain most, and those that the suspects name.
    pub objects: Vec<ObjectPage>,
    /// Texts that are there more than once.
    pub strings: StringsReport,
    /// Whose code made and holds what.
    pub packages: SharesReport,
}

/// All that a page about an object shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectPage {
    /// What `inspect-object` says; `references` are the largest first, and V8's own links last.
    #[serde(flatten)]
    pub report: ObjectReport,
    /// What a program calls it, such as `` `sessions` in server.js ``.
    pub named: Option<String>,
    /// What it alone keeps alive, by class: what would be freed with it.
    pub keeps: Vec<TreeNode>,
}

/// Describes a heap.
///
/// # Errors
/// None that a snapshot could cause.
pub fn heap(snapshot: &Snapshot, limits: &HeapLimits) -> Result<HeapReport, String> {
    let rows = Rows { limit: limits.rows, ..Rows::default() };
    let summary = summary(snapshot, &rows, &Selection::default())?;
    let suspects = suspects(snapshot, limits.threshold);
    let question = TreeQuestion {
        by: TreeBy::Dominators,
        measure: Measure::Bytes,
        of: None,
        within: Vec::new(),
        most: limits.tree,
    };
    let of_page = Rows { limit: limits.references, ..Rows::default() };
    let pages = notable(snapshot, &suspects, limits.objects);
    Ok(HeapReport {
        statistics: snapshot.statistics(),
        tree: tree(snapshot, &question)?,
        objects: pages.into_iter().map(|node| page(snapshot, node, &of_page)).collect(),
        strings: strings(snapshot, &Rows { sort: Sort::Shallow, ..rows.clone() }),
        packages: shares(snapshot, By::Package, &rows),
        summary,
        suspects,
    })
}

/// An object's page, with so many fields and retainers as `rows` say.
#[must_use]
pub fn page(snapshot: &Snapshot, node: NodeOrdinal, rows: &Rows) -> ObjectPage {
    let view = View::default();
    let mut edges: Vec<_> = snapshot.edges(node).collect();
    let reference_count = edges.len() as u64;
    let is_own = |kind| matches!(kind, EdgeKind::Property | EdgeKind::Element | EdgeKind::Context);
    edges.sort_by_key(|edge| (!is_own(edge.kind), Reverse(snapshot.retained_size(edge.to))));
    let mut references: Vec<Reference> = Vec::new();
    for edge in edges {
        let reference = super::object::reference(snapshot, edge, edge.to);
        if rows.wants(&reference.name) || rows.wants(&reference.object.name) {
            references.push(reference);
        }
        if rows.limit > 0 && references.len() >= rows.limit {
            break;
        }
    }
    ObjectPage {
        report: ObjectReport {
            object: ObjectRef::new(snapshot, node),
            location: snapshot.source_place(node),
            allocated_by: snapshot.allocation_stack(node),
            dominator: ObjectRef::new(snapshot, snapshot.dominator(node)),
            reference_count,
            references,
            retainer_count: snapshot.retainers(node).count() as u64,
            retainers: retainers(snapshot, node, rows, &view),
            path: nearest(snapshot, node, &view, STEPS),
        },
        named: snapshot.name_of(node),
        keeps: kept_alone(snapshot, node, 12),
    }
}

/// The objects that a report has pages of: those that suspects name, then the largest.
fn notable(snapshot: &Snapshot, suspects: &SuspectsReport, limit: usize) -> Vec<NodeOrdinal> {
    let named = suspects.suspects.iter().flat_map(|suspect| {
        [Some(suspect.object.node), suspect.accumulation_point.as_ref().map(|point| point.node)]
    });
    let mut seen = HashSet::new();
    let mut found: Vec<NodeOrdinal> = named.flatten().filter(|&node| seen.insert(node)).collect();
    let largest = snapshot.largest_objects(limit);
    found.extend(largest.into_iter().filter(|&node| seen.insert(node)));
    found.truncate(limit);
    found.sort_by_key(|&node| Reverse((snapshot.retained_size(node), Reverse(node))));
    found
}

/// Whether an object's name is its contents.
pub(crate) fn is_text(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::String | NodeKind::ConsString | NodeKind::SlicedString)
}
