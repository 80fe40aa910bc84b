//! What would be freed without some objects: reachability anew, by the rules of retained sizes.

use crate::graph::{BitSet, Edges};
use crate::node_set::NodeSet;
use crate::{EdgeKind, NodeOrdinal, Snapshot, StringIndex};

impl Snapshot {
    /// The nodes that would be freed if `without` were gone, those included: what nothing else leads
    /// to from the roots. Other than a sum of retained sizes, this counts what several of them hold
    /// only together.
    ///
    /// An edge counts as it does for retained sizes, except for what a weak map holds: key and table
    /// must both be there. So without one object its retained size is freed, and without a weak map
    /// also the values that only it held.
    ///
    /// ```no_run
    /// # fn main() -> heapsnapshot::Result<()> {
    /// let snapshot = heapsnapshot::Snapshot::open("heap.heapsnapshot")?;
    /// let sessions = snapshot.nodes_where(|node| snapshot.class_name(node) == "Session");
    /// println!("{}", snapshot.shallow_size_of(&snapshot.freed_without(&sessions)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn freed_without(&self, without: &NodeSet) -> NodeSet {
        if without.contains(self.root()) {
            return self.nodes_where(|_| true);
        }
        let rules = Rules::new(self);
        let before = rules.reach(None);
        let after = rules.reach(Some(without));
        self.nodes_where(|node| {
            without.contains(node) || (before.contains(node) && !after.contains(node))
        })
    }
}

/// Which edges count, for any number of walks.
struct Rules<'a> {
    snapshot: &'a Snapshot,
    /// Reached from the root's shortcuts; nothing else holds these (see `analysis::dominators`).
    page: BitSet,
    /// What nothing holds, and so hangs from the root.
    orphans: Vec<NodeOrdinal>,
    /// The pairs of weak maps of which both edges are there.
    whole_pairs: BitSet,
}

impl<'a> Rules<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let mut rules = Rules {
            snapshot,
            page: page(snapshot),
            orphans: Vec::new(),
            whole_pairs: BitSet::new(snapshot.ephemerons.len()),
        };
        let mut half = [BitSet::new(snapshot.ephemerons.len()), rules.whole_pairs.clone()];
        let mut held = BitSet::new(snapshot.node_count());
        held.set(snapshot.root.index());
        for node in snapshot.nodes() {
            for edge in snapshot.nodes.edges(node.0) {
                if rules.retains(node, edge) {
                    held.set(snapshot.edges.to[edge] as usize);
                }
                if let Some(pair) = rules.pair(edge) {
                    let [keys, tables] = &mut half;
                    let side =
                        if snapshot.edges.is_ephemeron(edge) { &mut *tables } else { &mut *keys };
                    side.set(pair);
                    if keys.get(pair) && tables.get(pair) {
                        rules.whole_pairs.set(pair);
                    }
                }
            }
        }
        rules.orphans = snapshot.nodes().filter(|node| !held.get(node.index())).collect();
        rules
    }

    /// What the roots reach, not through `without`.
    fn reach(&self, without: Option<&NodeSet>) -> NodeSet {
        let snapshot = self.snapshot;
        let mut reached = NodeSet::new(snapshot);
        let mut half_met = BitSet::new(snapshot.ephemerons.len());
        let mut open = Vec::new();
        let is_gone = |node| without.is_some_and(|without| without.contains(node));
        for &node in [snapshot.root].iter().chain(&self.orphans) {
            if !is_gone(node) && reached.insert(node) {
                open.push(node);
            }
        }
        while let Some(node) = open.pop() {
            for edge in snapshot.nodes.edges(node.0) {
                let to = NodeOrdinal(snapshot.edges.to[edge]);
                if reached.contains(to) || is_gone(to) {
                    continue;
                }
                let holds = match self.pair(edge).filter(|&pair| self.whole_pairs.get(pair)) {
                    // The second of the two that is met.
                    Some(pair) => !half_met.insert(pair),
                    None => self.retains(node, edge),
                };
                if holds && reached.insert(to) {
                    open.push(to);
                }
            }
        }
        reached
    }

    /// The pair of a weak map that an edge is of.
    fn pair(&self, edge: usize) -> Option<usize> {
        let snapshot = self.snapshot;
        let is_table = snapshot.edges.is_ephemeron(edge);
        if snapshot.ephemerons.is_empty()
            || !(is_table || snapshot.edges.tag(edge) == Edges::INTERNAL)
        {
            return None;
        }
        let name = u32::try_from(snapshot.edges.name(edge)).ok().map(StringIndex)?;
        snapshot.ephemerons.get(name).map(|pair| pair.pair as usize)
    }

    /// DevTools' `computeIsEssentialEdge`.
    fn retains(&self, from: NodeOrdinal, edge: usize) -> bool {
        let snapshot = self.snapshot;
        let to = snapshot.edges.to[edge] as usize;
        let tag = snapshot.edges.tag(edge);
        if tag == Edges::WEAK || to == from.index() || snapshot.edges.is_ephemeron(edge) {
            return false;
        }
        let from_root = from == snapshot.root;
        from_root || (tag != Edges::SHORTCUT && (self.page.get(from.index()) || !self.page.get(to)))
    }
}

/// What the root's shortcuts and Chrome's documents reach by edges that are not weak.
fn page(snapshot: &Snapshot) -> BitSet {
    let mut page = BitSet::new(snapshot.node_count());
    let mut open = Vec::new();
    for edge in snapshot.nodes.edges(snapshot.root.0) {
        let to = snapshot.edges.to[edge];
        let tag = snapshot.edges.tag(edge);
        let is_document =
            tag == EdgeKind::Element as u32 && snapshot.nodes.document_roots.contains(&to);
        if (tag == Edges::SHORTCUT || is_document) && page.insert(to as usize) {
            open.push(to);
        }
    }
    while let Some(node) = open.pop() {
        for edge in snapshot.nodes.edges(node) {
            let to = snapshot.edges.to[edge];
            if snapshot.edges.tag(edge) != Edges::WEAK && page.insert(to as usize) {
                open.push(to);
            }
        }
    }
    page
}
