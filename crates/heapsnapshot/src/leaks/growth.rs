//! What of a group accounts for its growth: objects that are new, or one that has grown.

use std::cmp::Reverse;

use super::groups::Groups;
use crate::{EdgeKind, NodeOrdinal, Snapshot};

/// An object that accounts for most of a group's growth by itself: an array that was there before,
/// say, and has more elements now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The object in the last snapshot.
    pub node: NodeOrdinal,
    /// What it retains in each snapshot; 0 where it is not.
    pub retained: Vec<u64>,
    /// How many elements it has in each that are objects; all 0 for what has none.
    pub elements: Vec<u64>,
}

impl Container {
    /// Whether it has more elements than in the first snapshot.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.elements.first() < self.elements.last()
    }
}

/// Of the objects of a group in each snapshot, the one that accounts for most of the growth.
pub(super) fn container(
    groups: &[Groups<'_>],
    heads: &[Vec<NodeOrdinal>],
    by_id: bool,
    growth: u64,
) -> Option<Container> {
    let snapshots: Vec<&Snapshot> = groups.iter().map(|groups| groups.snapshot).collect();
    let (last, earlier) = snapshots.split_last()?;
    let (of_last, of_earlier) = heads.split_last()?;
    let first = earlier.first()?;
    let node = if by_id {
        *of_last.iter().max_by_key(|&&node| (grown_by_id(first, last, node), Reverse(node)))?
    } else {
        largest(last, of_last)?
    };
    let mut found: Vec<Option<NodeOrdinal>> = if by_id {
        earlier.iter().map(|snapshot| snapshot.find(last.id(node))).collect()
    } else {
        let before = of_earlier.first().and_then(|heads| largest(first, heads));
        let before = before.map_or(0, |node| first.retained_size(node));
        // To compare ways takes as long as to find them: only where one has grown so much.
        if !is_most(last.retained_size(node).saturating_sub(before), growth) {
            return None;
        }
        let way = words(last, node);
        let same = |(snapshot, heads): (&&Snapshot, &Vec<NodeOrdinal>)| {
            largest_few(snapshot, heads).into_iter().find(|&node| words(snapshot, node) == way)
        };
        earlier.iter().zip(of_earlier).map(same).collect()
    };
    found.push(Some(node));
    let each = |of: fn(&Snapshot, NodeOrdinal) -> u64| {
        let pairs = snapshots.iter().zip(&found);
        pairs.map(|(snapshot, node)| node.map_or(0, |node| of(snapshot, node))).collect::<Vec<_>>()
    };
    let retained = each(Snapshot::retained_size);
    let before = retained.first().copied().unwrap_or(0);
    // What is new and large is an object like others, not one that has grown.
    if before == 0 || !is_most(last.retained_size(node).saturating_sub(before), growth) {
        return None;
    }
    Some(Container { node, retained, elements: each(elements) })
}

/// By how much an object retains more than before; all of it, if it is new.
pub(super) fn grown_by_id(first: &Snapshot, last: &Snapshot, node: NodeOrdinal) -> u64 {
    let before = first.find(last.id(node)).map_or(0, |node| first.retained_size(node));
    last.retained_size(node).saturating_sub(before)
}

/// Whether a part is at least half of the whole.
pub(super) fn is_most(part: u64, whole: u64) -> bool {
    part > 0 && part >= whole - whole / 2
}

/// Whether no step to a later snapshot is less than an eighth of the first one.
pub(super) fn goes_on(series: &[u64]) -> bool {
    let mut steps = series.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let least = steps.next().unwrap_or(0).div_ceil(8);
    steps.all(|step| step >= least)
}

/// Keeps the first of some nodes that together account for most of the growth.
pub(super) fn keep_most(
    nodes: &mut Vec<NodeOrdinal>,
    growth: u64,
    of: impl Fn(NodeOrdinal) -> u64,
) {
    let most = growth - growth / 2;
    nodes.truncate(first_that_make(nodes, most.max(1), of));
}

/// How many of the first nodes it takes to come to a sum; all of them, if they do not.
pub(super) fn first_that_make(
    nodes: &[NodeOrdinal],
    whole: u64,
    of: impl Fn(NodeOrdinal) -> u64,
) -> usize {
    let mut sum: u64 = 0;
    let enough = nodes.iter().position(|&node| {
        sum = sum.saturating_add(of(node));
        sum >= whole
    });
    enough.map_or(nodes.len(), |last| last + 1)
}

fn largest(snapshot: &Snapshot, nodes: &[NodeOrdinal]) -> Option<NodeOrdinal> {
    nodes.iter().copied().max_by_key(|&node| (snapshot.retained_size(node), Reverse(node)))
}

fn largest_few(snapshot: &Snapshot, nodes: &[NodeOrdinal]) -> Vec<NodeOrdinal> {
    const FEW: usize = 16;
    let mut nodes = nodes.to_vec();
    nodes.sort_by_key(|&node| (Reverse(snapshot.retained_size(node)), node));
    nodes.truncate(FEW);
    nodes
}

fn words(snapshot: &Snapshot, node: NodeOrdinal) -> String {
    snapshot.describe_path(&snapshot.path_from_root(node))
}

/// Numbers have no edges in a snapshot, and are not counted.
fn elements(snapshot: &Snapshot, node: NodeOrdinal) -> u64 {
    snapshot.edges(node).filter(|edge| edge.kind == EdgeKind::Element).count() as u64
}
