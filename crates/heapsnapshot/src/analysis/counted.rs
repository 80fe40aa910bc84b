//! Which edges lead to a distance: the filter of `calculateDistances` in DevTools.

use crate::graph::Edges;
use crate::{EdgeIndex, EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// The names by which edges are told apart.
#[derive(Debug)]
pub(crate) struct Counted {
    contexts: Vec<StringIndex>,
    descriptors: Vec<StringIndex>,
}

/// Whether an edge leads to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    Yes,
    No,
    /// Together with the other edge of this pair of a weak map: one comes from the key, one from the table.
    Half(u32),
}

impl Counted {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Counted {
            contexts: snapshot.strings.all_that_are(&["system / NativeContext"]),
            descriptors: snapshot.strings.all_that_are(&["(map descriptors)"]),
        }
    }

    /// Whether some of a node's edges are to be skipped by their names.
    pub(crate) fn is_careful(&self, snapshot: &Snapshot, node: u32) -> bool {
        let node = NodeOrdinal(node);
        let name = snapshot.nodes.name(node);
        match snapshot.nodes.kind(node) {
            NodeKind::Hidden => self.contexts.contains(&name),
            NodeKind::Array => self.descriptors.contains(&name),
            _ => false,
        }
    }

    /// Whether an edge leads anywhere. `careful`: whether its node is.
    #[inline]
    pub(crate) fn leads(
        &self,
        snapshot: &Snapshot,
        node: u32,
        edge: usize,
        careful: bool,
    ) -> Leads {
        let tag = snapshot.edges.tag(edge);
        if tag == Edges::WEAK {
            return Leads::No;
        }
        let is_plain = tag != Edges::INTERNAL && tag != Edges::SPECIAL;
        if is_plain && !careful {
            return Leads::Yes;
        }
        leads_by_name(snapshot, node, edge, careful)
    }
}

/// The pair of a weak map that an edge is of.
pub(crate) fn pair_of(snapshot: &Snapshot, edge: EdgeIndex) -> Option<u32> {
    if snapshot.ephemerons.is_empty() || snapshot.edges.kind(edge) != EdgeKind::Internal {
        return None;
    }
    let name = u32::try_from(snapshot.edges.name(edge.index())).ok()?;
    snapshot.ephemerons.get(StringIndex(name)).map(|pair| pair.pair)
}

fn leads_by_name(snapshot: &Snapshot, node: u32, edge: usize, careful: bool) -> Leads {
    let index = EdgeIndex(u32::try_from(edge).unwrap_or(u32::MAX));
    if careful && snapshot.nodes.kind(NodeOrdinal(node)) == NodeKind::Array {
        // Maps may share their descriptors: those links may not be this map's.
        let number = leading_number(snapshot, index);
        let is_shared = number.is_some_and(|number| number >= 2 && number % 3 == 1);
        return if is_shared { Leads::No } else { Leads::Yes };
    }
    if careful
        && let Some(edge) = snapshot.edge(index)
        && snapshot.edge_name(edge) == "sloppy_function_map"
    {
        return Leads::No;
    }
    pair_of(snapshot, index).map_or(Leads::Yes, Leads::Half)
}

/// `parseInt` of an edge's name.
fn leading_number(snapshot: &Snapshot, edge: EdgeIndex) -> Option<i64> {
    let name = snapshot.edge_name(snapshot.edge(edge)?);
    let text = name.trim_start();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse::<i64>().ok().map(|number| sign * number)
}
