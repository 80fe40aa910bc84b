//! Distances from the roots: `calculateDistances` in DevTools.

use crate::analysis::counted::{Counted, Leads};
use crate::analysis::shallow::is_user_root;
use crate::graph::BitSet;
use crate::node_set::NodeSet;
use crate::paths::Step;
use crate::{EdgeIndex, NodeOrdinal, Snapshot};

/// What DevTools shows for a node that nothing leads to.
pub(crate) const NONE: i32 = -5;
/// The distance of the root, when what it leads to by user roots comes first.
pub(crate) const SYSTEM: i32 = 100_000_000;

/// The edge by which a node that nothing leads to was reached.
pub(crate) const NO_EDGE: u32 = u32::MAX;

/// How far each node is from the roots, and the last edge of a shortest way to it.
#[derive(Debug)]
pub(crate) struct Distances {
    pub(crate) distance: Vec<i32>,
    via: Vec<u32>,
}

impl Distances {
    /// The last edge of the shortest way to a node that the search found first.
    pub(crate) fn via(&self, node: NodeOrdinal) -> Option<EdgeIndex> {
        self.via.get(node.index()).copied().filter(|&edge| edge != NO_EDGE).map(EdgeIndex)
    }

    /// The shortest way to a node, root first; empty if nothing leads to it.
    pub(crate) fn path(&self, snapshot: &Snapshot, node: NodeOrdinal) -> Vec<Step> {
        path_by(snapshot, node, |node| self.via(node))
    }
}

/// The way to a node by the last edge of the way to each, root first.
pub(crate) fn path_by(
    snapshot: &Snapshot,
    node: NodeOrdinal,
    via: impl Fn(NodeOrdinal) -> Option<EdgeIndex>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut node = node;
    while let Some(index) = via(node)
        && let Some(edge) = snapshot.edge(index)
    {
        let from = snapshot.edge_owner(index);
        steps.push(Step { from, edge });
        // Each step is nearer to the root; a file that lies must not make a ring of it.
        if from == snapshot.root || from == node || steps.len() > snapshot.node_count() {
            break;
        }
        node = from;
    }
    steps.reverse();
    steps
}

pub(crate) fn compute(snapshot: &Snapshot) -> Distances {
    search(snapshot, None)
}

/// With the ways through some nodes left out, as in DevTools' view of retainers.
pub(crate) fn compute_without(snapshot: &Snapshot, ignored: &NodeSet) -> Distances {
    search(snapshot, Some(ignored))
}

/// What the root leads to and distances are counted from; twice where it does so twice.
pub(crate) fn starts(snapshot: &Snapshot) -> impl Iterator<Item = (usize, u32)> + '_ {
    let edges = snapshot.nodes.edges(snapshot.root.0);
    edges
        .map(|edge| (edge, snapshot.edges.to[edge]))
        .filter(|&(_, to)| is_user_root(&snapshot.nodes, &snapshot.strings, NodeOrdinal(to)))
}

fn search(snapshot: &Snapshot, ignored: Option<&NodeSet>) -> Distances {
    let mut search = Search {
        snapshot,
        counted: snapshot.counted(),
        ignored,
        seen: BitSet::new(snapshot.node_count()),
        distances: vec![NONE; snapshot.node_count()],
        via: vec![NO_EDGE; snapshot.node_count()],
        queue: Vec::new(),
        half_met: BitSet::new(snapshot.ephemerons.len()),
    };
    for (edge, to) in starts(snapshot) {
        // One that the root leads to twice is visited twice, as in DevTools: it matters for what weak maps hold.
        search.reach(to, edge, 1);
    }
    let any = !search.queue.is_empty();
    search.run();
    search.reach(snapshot.root.0, NO_EDGE as usize, if any { SYSTEM } else { 0 });
    search.run();
    Distances { distance: search.distances, via: search.via }
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    counted: &'a Counted,
    ignored: Option<&'a NodeSet>,
    /// Those that have a distance: most edges lead to one, and bits fit into the processor's cache.
    seen: BitSet,
    distances: Vec<i32>,
    via: Vec<u32>,
    queue: Vec<u32>,
    /// Pairs of weak maps of which one edge has been met. The second one counts: it comes from the
    /// farther of key and table.
    half_met: BitSet,
}

impl Search<'_> {
    fn run(&mut self) {
        let (nodes, edges) = (&self.snapshot.nodes, &self.snapshot.edges);
        let mut next = 0;
        while let Some(&node) = self.queue.get(next) {
            next += 1;
            let distance = self.distances[node as usize] + 1;
            let careful = self.counted.is_careful(self.snapshot, node);
            for edge in nodes.edges(node) {
                let to = edges.to[edge];
                if self.seen.get(to as usize) || self.is_ignored(to) {
                    continue;
                }
                let leads = match self.counted.leads(self.snapshot, node, edge, careful) {
                    Leads::Yes => true,
                    Leads::No => false,
                    // A second meeting makes the next one a first one again.
                    Leads::Half(pair) => !self.half_met.toggle(pair as usize),
                };
                if leads {
                    self.reach(to, edge, distance);
                }
            }
        }
        self.queue.clear();
    }

    #[inline]
    fn reach(&mut self, node: u32, edge: usize, distance: i32) {
        self.seen.set(node as usize);
        self.distances[node as usize] = distance;
        self.via[node as usize] = u32::try_from(edge).unwrap_or(NO_EDGE);
        self.queue.push(node);
    }

    #[inline]
    fn is_ignored(&self, node: u32) -> bool {
        self.ignored.is_some_and(|ignored| ignored.contains(NodeOrdinal(node)))
    }
}
