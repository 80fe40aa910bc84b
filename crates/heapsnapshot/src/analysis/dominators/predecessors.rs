//! For each node, who retains it.

use super::walk::{Order, Page, State, is_essential};
use crate::NodeOrdinal;
use crate::graph::{BitSet, Edges, Nodes};

/// For each node, the numbers of those that retain it, without its tree parent. The lists are in
/// the order of the walk, one after the other.
pub(super) struct Predecessors {
    pub(super) entries: Vec<u32>,
    /// Which entries are the first of a list.
    pub(super) firsts: BitSet,
    /// Which nodes, by their place in the order, have a list.
    pub(super) present: BitSet,
    /// Each node's tree parent, by its place in the order.
    pub(super) parents: Vec<u32>,
}

impl Predecessors {
    pub(super) fn collect(
        nodes: &Nodes,
        edges: &Edges,
        root: NodeOrdinal,
        page: &Page,
        order: &Order,
        mut states: Vec<State>,
        others: usize,
    ) -> Self {
        let mut present = BitSet::new(order.ordinals.len());
        // The same by ordinal: small enough for the cache, where the states are not.
        let mut wanted = BitSet::new(nodes.len());
        let mut parents = Vec::with_capacity(order.ordinals.len());
        let mut firsts = BitSet::new(others);
        let mut total = 0usize;
        // The root's list would never be read.
        states[root.index()].others = 0;
        for (place, &node) in order.ordinals.iter().enumerate() {
            let state = &mut states[node as usize];
            parents.push(state.parent);
            if state.others > 0 {
                present.set(place);
                wanted.set(node as usize);
                firsts.set(total);
                total += state.others as usize;
                state.others = u32::try_from(total).unwrap_or(u32::MAX);
            }
        }
        let mut entries = vec![0u32; total];
        let mut number = 0;
        for (place, &node) in order.ordinals.iter().enumerate() {
            if order.leaves.get(place) {
                continue;
            }
            number += 1;
            let is_root = node == root.0;
            let inside = is_root || page.has(node);
            for edge in nodes.edges(node) {
                let to = edges.to[edge];
                let tag = edges.tag(edge);
                let counts = if is_root {
                    tag != Edges::WEAK && !edges.is_ephemeron(edge)
                } else {
                    is_essential(edges, edge, tag)
                };
                if !counts || !wanted.get(to as usize) || to == node || (!inside && page.has(to)) {
                    continue;
                }
                let state = &mut states[to as usize];
                if state.parent != number {
                    state.others -= 1;
                    if let Some(entry) = entries.get_mut(state.others as usize) {
                        *entry = number;
                    }
                }
            }
        }
        Predecessors { entries, firsts, present, parents }
    }
}
