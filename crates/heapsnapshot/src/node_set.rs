//! Some of a snapshot's nodes, and what they retain together.

use crate::analysis::retained;
use crate::graph::BitSet;
use crate::{NodeOrdinal, Snapshot};

/// A set of nodes of one snapshot.
#[derive(Clone, Debug)]
pub struct NodeSet {
    bits: BitSet,
    nodes: u32,
    count: u64,
}

impl NodeSet {
    /// A set without any.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let nodes = u32::try_from(snapshot.node_count()).unwrap_or(u32::MAX);
        NodeSet { bits: BitSet::new(snapshot.node_count()), nodes, count: 0 }
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
        (0..self.nodes).map(NodeOrdinal).filter(|&node| self.contains(node))
    }
}

impl Snapshot {
    /// The nodes for which something holds.
    pub fn nodes_where(&self, mut holds: impl FnMut(NodeOrdinal) -> bool) -> NodeSet {
        let mut set = NodeSet::new(self);
        for node in self.nodes().filter(|&node| holds(node)) {
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
        let group_of = |node| if nodes.contains(node) { 0 } else { retained::NO_GROUP };
        retained::by_group(self, 1, group_of, |_| true).into_iter().sum()
    }
}
