//! Some of a snapshot's nodes, and what they retain together.

use std::iter::successors;
use std::ops::Range;

use crate::ahead;
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
        self.among(0..self.bits.length())
    }

    /// Those in a part of the file, which begins at a multiple of sixty-four.
    fn among(&self, part: Range<u32>) -> impl Iterator<Item = NodeOrdinal> + '_ {
        self.bits.ones(part).map(NodeOrdinal)
    }

    /// The `count` nodes with the least keys, in their order.
    pub fn least(&self, count: usize, key: impl Fn(NodeOrdinal) -> u64 + Sync) -> Vec<NodeOrdinal> {
        let keyed = |part| self.among(part).map(|node| (key(node), node));
        let parts = ahead::in_parts(self.bits.length(), |part| least(keyed(part), count));
        let mut all = parts.concat();
        all.sort_unstable();
        all.into_iter().take(count).map(|(_, node)| node).collect()
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
        let sizes = |part| nodes.among(part).map(|node| self.shallow_size(node));
        sum(ahead::in_parts(nodes.bits.length(), |part| sum(sizes(part))))
    }

    /// What the nodes retain together, by dominators: the sum of the retained sizes of those that no
    /// other of them dominates. What several of them hold only together is not in it;
    /// [`Snapshot::freed_without`] counts that too.
    #[must_use]
    pub fn retained_size_of(&self, nodes: &NodeSet) -> u64 {
        let order = self.order();
        let count = nodes.bits.length();
        // Of many, those at the top have most of the others below them.
        if nodes.len() > u64::from(count) / 4 {
            let next = |mut places: Range<usize>| places.find(|&at| nodes.contains(order.node(at)));
            return sum(ahead::in_parts(count, |part| self.retained_at(part, nodes, next)));
        }
        let found = ahead::in_parts(count, |part| {
            let mut places = BitSet::new(count as usize);
            nodes.among(part).for_each(|node| places.set(order.place(node)));
            places
        });
        let places = found.into_iter().reduce(|mut all, some| {
            all.add(&some);
            all
        });
        let Some(places) = places else { return 0 };
        let next = |part: Range<usize>| places.next(part.start).filter(|&at| at < part.end);
        sum(ahead::in_parts(count, |part| self.retained_at(part, nodes, next)))
    }

    /// What those retain that stand at some places of the order of dominators. `next`: the first of them in a range.
    fn retained_at(
        &self,
        part: Range<u32>,
        nodes: &NodeSet,
        next: impl Fn(Range<usize>) -> Option<usize>,
    ) -> u64 {
        let order = self.order();
        let (first, end) = (part.start as usize, part.end as usize);
        // What one before the part dominates is in that one's.
        let above = |&node: &NodeOrdinal| Some(self.dominator(node)).filter(|&above| above != node);
        let outer =
            successors(above(&order.node(first)), above).filter(|&node| nodes.contains(node));
        let mut place = outer.last().map_or(first, |node| order.end(order.place(node)));
        let mut retained = 0u64;
        while place < end
            && let Some(at) = next(place..end)
        {
            retained = retained.saturating_add(self.retained_size(order.node(at)));
            place = order.end(at);
        }
        retained
    }
}

fn sum(sizes: impl IntoIterator<Item = u64>) -> u64 {
    sizes.into_iter().fold(0, u64::saturating_add)
}

/// The least of a row, in order. Never are more than twice as many kept as are wanted.
fn least<T: Copy + Ord>(mut row: impl Iterator<Item = T>, count: usize) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    let room = count.saturating_mul(2).max(1024);
    let mut worst = None;
    while let Some(next) = row.find(|next| worst.is_none_or(|worst| *next < worst)) {
        kept.push(next);
        if kept.len() >= room && count > 0 {
            let (_, last, _) = kept.select_nth_unstable(count - 1);
            worst = Some(*last);
            kept.truncate(count);
        }
    }
    kept.sort_unstable();
    kept.truncate(count);
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use proptest::prelude::*;

    use super::*;

    /// A heap where each node but the first is held by one before it.
    fn tree(holders: &[usize]) -> Snapshot {
        let count = holders.len() + 1;
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for node in 0..count {
            let held: Vec<usize> = (1..count).filter(|&to| holders[to - 1] % to == node).collect();
            nodes.push(format!("0,0,{},{},{}", node + 1, 1u64 << (node % 40), held.len()));
            edges.extend(held.iter().map(|to| format!("0,0,{}", 5 * to)));
        }
        let json = format!(
            r#"{{"snapshot":{{"meta":{{
            "node_fields":["type","name","id","self_size","edge_count"],"node_types":[["object"],"string","number","number","number"],
            "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property"],"string_or_number","node"]}},
            "node_count":{count},"edge_count":{}}},"nodes":[{}],"edges":[{}],"strings":["x"]}}"#,
            edges.len(),
            nodes.join(","),
            edges.join(",")
        );
        Snapshot::read(json.as_bytes()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Wherever it is cut in two, which a heap of this size never is.
        #[test]
        fn parts_retain_what_the_whole_does(
            holders in proptest::collection::vec(0usize..1000, 0..90),
            chosen in proptest::collection::vec(proptest::bool::weighted(0.1), 91),
            cut in 0u32..91,
        ) {
            let snapshot = tree(&holders);
            let nodes = snapshot.nodes_where(|node| chosen[node.index()]);
            let order = snapshot.order();
            let next = |mut places: Range<usize>| places.find(|&at| nodes.contains(order.node(at)));
            let count = u32::try_from(snapshot.node_count()).unwrap();
            let cut = cut.min(count - 1);
            let parts = [0..cut, cut..count].map(|part| snapshot.retained_at(part, &nodes, next));
            prop_assert_eq!(sum(parts), snapshot.retained_size_of(&nodes));
            prop_assert_eq!(snapshot.retained_at(0..count, &nodes, next), snapshot.retained_size_of(&nodes));
        }
    }

    #[test]
    fn the_least_are_in_order() {
        let snapshot = tree(&[0; 80]);
        let nodes = snapshot.nodes_where(|node| node.0 % 2 == 1);
        let least = |count| nodes.least(count, |node| u64::from(node.0 / 4 % 2));
        assert_eq!(least(3), [1, 3, 9].map(NodeOrdinal));
        assert_eq!(least(100).len(), 40);
        assert!(least(0).is_empty());
        let kept = super::least((0..10_000).rev(), 700);
        assert!(kept.into_iter().eq(0..700));
    }
}
