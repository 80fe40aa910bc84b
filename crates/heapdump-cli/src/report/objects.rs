//! The objects that a question is about, a page at a time.

use std::collections::BTreeMap;

use heapsnapshot::query::Query;
use heapsnapshot::{Detachedness, NodeOrdinal, NodeSet, Snapshot};
use serde::Serialize;

use super::{ObjectRef, Rows, Selection, SelectionReport};

/// Which objects are asked for, and in what order.
#[derive(Clone, Debug, Default)]
pub struct ObjectsQuestion {
    /// What must hold for them.
    pub query: Query,
    /// Only some of all objects.
    pub selection: Selection,
    /// The order.
    pub sort: ObjectSort,
    /// Which page of `Rows::limit` objects, from 1.
    pub page: usize,
}

/// What to sort objects by: sizes and edges from the most, all others from the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectSort {
    /// The retained size.
    #[default]
    Retained,
    /// The shallow size.
    Shallow,
    /// The distance from the roots.
    Distance,
    /// The number of references that it holds.
    Edges,
    /// The name.
    Name,
    /// The class.
    Class,
    /// The id.
    Id,
}

/// The objects of a snapshot that fit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsReport {
    /// How many fit.
    pub count: u64,
    /// The sum of their own bytes.
    pub shallow_size: u64,
    /// What they retain together: one within another counts once.
    pub retained_size: u64,
    /// What was selected before, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<SelectionReport>,
    /// Which page this is, from 1.
    pub page: u64,
    /// How many there are.
    pub pages: u64,
    /// The objects on it.
    pub objects: Vec<FoundObject>,
}

/// An object that fits.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundObject {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// How many references it holds.
    pub edges: u64,
    /// Whether the embedder says that it is detached from its tree.
    pub detached: bool,
    /// The values of the properties that were asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, ObjectRef>,
}

/// The objects that fit, of which a page is listed.
///
/// # Errors
/// When what is selected is not there.
pub fn objects(
    snapshot: &Snapshot,
    question: &ObjectsQuestion,
    rows: &Rows,
) -> Result<ObjectsReport, String> {
    let mut query = question.query.clone();
    let mut selection = None;
    if let Some((nodes, report)) = question.selection.nodes(snapshot)? {
        query.within = Some(nodes);
        selection = Some(report);
    }
    let mut found = snapshot.select(&query);
    if rows.filter.is_some() {
        let wanted = found.iter().filter(|&node| rows.wants(&snapshot.display_name(node)));
        found = snapshot.set_of(wanted);
    }
    let count = usize::try_from(found.len()).unwrap_or(usize::MAX);
    let size = if rows.limit == 0 { count.max(1) } else { rows.limit };
    let page = question.page.max(1);
    let skipped = (page - 1).saturating_mul(size);
    let listed = sorted_page(snapshot, &found, question.sort, skipped, size);
    Ok(ObjectsReport {
        count: count as u64,
        shallow_size: snapshot.shallow_size_of(&found),
        retained_size: snapshot.retained_size_of(&found),
        selection,
        page: page as u64,
        pages: count.div_ceil(size) as u64,
        objects: listed
            .into_iter()
            .map(|node| describe(snapshot, node, &query.properties))
            .collect(),
    })
}

/// Those nodes that are on a page. A few of millions need not all be sorted.
fn sorted_page(
    snapshot: &Snapshot,
    nodes: &NodeSet,
    sort: ObjectSort,
    skipped: usize,
    size: usize,
) -> Vec<NodeOrdinal> {
    let end = skipped.saturating_add(size);
    if skipped as u64 >= nodes.len() {
        return Vec::new();
    }
    let mut listed = match sort {
        ObjectSort::Name => {
            let mut nodes: Vec<NodeOrdinal> = nodes.iter().collect();
            nodes.sort_by_cached_key(|&node| snapshot.display_name(node));
            nodes
        }
        ObjectSort::Class => {
            let mut nodes: Vec<NodeOrdinal> = nodes.iter().collect();
            nodes.sort_by(|&a, &b| snapshot.class_name(a).cmp(snapshot.class_name(b)));
            nodes
        }
        ObjectSort::Retained => nodes.least(end, |node| !snapshot.retained_size(node)),
        ObjectSort::Shallow => nodes.least(end, |node| !snapshot.shallow_size(node)),
        ObjectSort::Edges => nodes.least(end, |node| !(snapshot.reference_count(node) as u64)),
        ObjectSort::Distance => {
            nodes.least(end, |node| snapshot.distance(node).map_or(u64::MAX, u64::from))
        }
        ObjectSort::Id => nodes.least(end, |node| snapshot.id(node).0),
    };
    listed.truncate(end);
    listed.split_off(skipped)
}

fn describe(snapshot: &Snapshot, node: NodeOrdinal, properties: &[String]) -> FoundObject {
    let value = |name: &String| {
        snapshot.property(node, name).map(|value| (name.clone(), ObjectRef::new(snapshot, value)))
    };
    FoundObject {
        object: ObjectRef::new(snapshot, node),
        edges: snapshot.reference_count(node) as u64,
        detached: snapshot.detachedness(node) == Detachedness::Detached,
        properties: properties.iter().filter_map(value).collect(),
    }
}
