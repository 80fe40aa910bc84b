//! Some of a snapshot's nodes, and what they retain together.

use std::iter::successors;

use crate::graph::BitSet;
use crate::{NodeOrdinal, Snapshot};

/// A set of nodes of one snapshot.
#[derive(Clone, Debug)]
pub struct NodeSet {
    bits: BitSet,
    count: u64,
}

impl NodeSet {
    /// A set without any.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        NodeSet { bits: BitSet::new(snapshot.node_count()), count: 0 }
    }

    /// What was found in each of the parts of `ahead::in_parts`.
    pub(crate) fn join(parts: Vec<BitSet>) -> Self {
        let bits = BitSet::join(parts);
        NodeSet { count: bits.count(), bits }
    }

    /// Puts a node in; whether it was not there.
    pub fn insert(&mut self, node: NodeOrdinal) -> bool {
        let fresh = self.bits.insert(node.index());
        self.count += u64::from(fresh);
        fresh
    }

    /// Whether a node is in it.
    #[must_use]
    pub fn contains(&self, node: NodeOrdinal) -> bool {
        self.bits.get(node.index())
    }

    /// Which of sixty-four nodes are in it, from one on that is a multiple of that.
    pub(crate) fn word(&self, first: u32) -> u64 {
        self.bits.word(first as usize)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The nodes, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = NodeOrdinal> + '_ {
        let places = successors(self.bits.next(0), |at| self.bits.next(at + 1));
        places.map_while(|at| u32::try_from(at).ok()).map(NodeOrdinal)
    }
}

impl Snapshot {
    /// The nodes for which something holds.
    pub fn nodes_where(&self, mut holds: impl FnMut(NodeOrdinal) -> bool) -> NodeSet {
        self.set_of(self.nodes().filter(|&node| holds(node)))
    }

    /// The set of these nodes.
    pub fn set_of(&self, nodes: impl Iterator<Item = NodeOrdinal>) -> NodeSet {
        let mut set = NodeSet::new(self);
        for node in nodes {
            set.insert(node);
        }
        set
    }

    /// The sum of the nodes' own bytes.
    #[must_use]
    pub fn shallow_size_of(&self, nodes: &NodeSet) -> u64 {
        nodes.iter().fold(0, |sum, node| sum.saturating_add(self.shallow_size(node)))
    }

    /// What the nodes retain together, by dominators: the sum of the retained sizes of those that no
    /// other of them dominates. What several of them hold only together is not in it;
    /// [`Snapshot::freed_without`] counts that too.
    #[must_use]
    pub fn retained_size_of(&self, nodes: &NodeSet) -> u64 {
        let order = self.order();
        let mut retained = 0u64;
        // Of many, those at the top have most of the others below them.
        if nodes.len() > self.node_count() as u64 / 4 {
            let mut place = 0;
            while place < self.node_count() {
                let node = order.node(place);
                if nodes.contains(node) {
                    retained = retained.saturating_add(self.retained_size(node));
                    place = order.end(place);
                } else {
                    place += 1;
                }
            }
            return retained;
        }
        let mut places = BitSet::new(self.node_count());
        for node in nodes.iter() {
            places.set(order.place(node));
        }
        let mut next = 0;
        while let Some(place) = places.next(next) {
            retained = retained.saturating_add(self.retained_size(order.node(place)));
            // What it dominates is in it.
            next = order.end(place);
        }
        retained
    }
}
