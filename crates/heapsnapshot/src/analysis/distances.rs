//! Distances from the roots: `calculateDistances` in DevTools.

use crate::analysis::shallow::is_user_root;
use crate::graph::{BitSet, Edges};
use crate::node_set::NodeSet;
use crate::paths::Step;
use crate::{EdgeIndex, EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// What DevTools shows for a node that nothing leads to.
pub(crate) const NONE: i32 = -5;
/// The distance of the root, when what it leads to by user roots comes first.
pub(crate) const SYSTEM: i32 = 100_000_000;

/// The edge by which a node that nothing leads to was reached.
const NO_EDGE: u32 = u32::MAX;

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
        let mut steps = Vec::new();
        let mut node = node;
        while let Some(index) = self.via(node)
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
}

pub(crate) fn compute(snapshot: &Snapshot) -> Distances {
    compute_without(snapshot, None)
}

/// With the ways through some nodes left out, as in DevTools' view of retainers.
pub(crate) fn compute_without(snapshot: &Snapshot, ignored: Option<&NodeSet>) -> Distances {
    let mut search = Search::new(snapshot, ignored);
    let root = snapshot.root;
    for edge in snapshot.nodes.edges(root.0) {
        let to = snapshot.edges.to[edge];
        if is_user_root(&snapshot.nodes, &snapshot.strings, NodeOrdinal(to)) {
            // One that the root leads to twice is visited twice, as in DevTools: it matters for
            // what weak maps hold.
            search.seen.set(to as usize);
            search.distances[to as usize] = 1;
            search.via[to as usize] = u32::try_from(edge).unwrap_or(NO_EDGE);
            search.queue.push(to);
        }
    }
    let any = !search.queue.is_empty();
    search.run();
    search.seen.set(root.index());
    search.distances[root.index()] = if any { SYSTEM } else { 0 };
    search.queue.push(root.0);
    search.via[root.index()] = NO_EDGE;
    search.run();
    Distances { distance: search.distances, via: search.via }
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    ignored: Option<&'a NodeSet>,
    /// Those that have a distance: most edges lead to one, and bits fit into the processor's cache.
    seen: BitSet,
    distances: Vec<i32>,
    via: Vec<u32>,
    queue: Vec<u32>,
    /// Pairs of weak maps of which one edge has been met. The second one counts: it comes from the
    /// farther of key and table.
    half_met: BitSet,
    contexts: Vec<StringIndex>,
    descriptors: Vec<StringIndex>,
}

impl<'a> Search<'a> {
    fn new(snapshot: &'a Snapshot, ignored: Option<&'a NodeSet>) -> Self {
        let named = |text: &str| {
            let mut found = snapshot.strings.containing(text);
            found.retain(|&index| snapshot.strings.is(index, text));
            found
        };
        Search {
            snapshot,
            ignored,
            seen: BitSet::new(snapshot.node_count()),
            distances: vec![NONE; snapshot.node_count()],
            via: vec![NO_EDGE; snapshot.node_count()],
            queue: Vec::new(),
            half_met: BitSet::new(snapshot.ephemerons.len()),
            contexts: named("system / NativeContext"),
            descriptors: named("(map descriptors)"),
        }
    }

    fn run(&mut self) {
        let (nodes, edges) = (&self.snapshot.nodes, &self.snapshot.edges);
        let mut next = 0;
        while let Some(&node) = self.queue.get(next) {
            next += 1;
            let distance = self.distances[node as usize] + 1;
            let careful = self.is_careful(node);
            for edge in nodes.edges(node) {
                let to = edges.to[edge];
                if self.seen.get(to as usize) {
                    continue;
                }
                let tag = edges.tag(edge);
                if tag == EdgeKind::Weak as u32 || self.is_ignored(to) {
                    continue;
                }
                let plain = tag != EdgeKind::Internal as u32 && tag != Edges::SPECIAL;
                if (careful || !plain) && !self.counts(node, edge, careful) {
                    continue;
                }
                self.seen.set(to as usize);
                self.distances[to as usize] = distance;
                self.via[to as usize] = u32::try_from(edge).unwrap_or(NO_EDGE);
                self.queue.push(to);
            }
        }
        self.queue.clear();
    }

    #[inline]
    fn is_ignored(&self, node: u32) -> bool {
        self.ignored.is_some_and(|ignored| ignored.contains(NodeOrdinal(node)))
    }

    /// Whether some of a node's edges are to be skipped by their names.
    fn is_careful(&self, node: u32) -> bool {
        let node = NodeOrdinal(node);
        let name = self.snapshot.nodes.name(node);
        match self.snapshot.nodes.kind(node) {
            NodeKind::Hidden => self.contexts.contains(&name),
            NodeKind::Array => self.descriptors.contains(&name),
            _ => false,
        }
    }

    fn counts(&mut self, node: u32, edge: usize, careful: bool) -> bool {
        let snapshot = self.snapshot;
        if careful && snapshot.nodes.kind(NodeOrdinal(node)) == NodeKind::Array {
            // Maps may share their descriptors: those links may not be this map's.
            let index = self.leading_number(edge);
            return index.is_none_or(|index| index < 2 || index % 3 != 1);
        }
        let index = EdgeIndex(u32::try_from(edge).unwrap_or(u32::MAX));
        let Some(edge) = snapshot.edge(index) else { return true };
        if careful && snapshot.edge_name(edge) == "sloppy_function_map" {
            return false;
        }
        if edge.kind != EdgeKind::Internal || snapshot.ephemerons.is_empty() {
            return true;
        }
        let name = u32::try_from(snapshot.edges.name(edge.index.index())).map(StringIndex);
        let pair = name.ok().and_then(|name| snapshot.ephemerons.get(name));
        // A second meeting makes the next one a first one again.
        pair.is_none_or(|pair| !self.half_met.toggle(pair.pair as usize))
    }

    /// `parseInt` of an edge's name.
    fn leading_number(&self, edge: usize) -> Option<i64> {
        let index = EdgeIndex(u32::try_from(edge).ok()?);
        let name = self.snapshot.edge_name(self.snapshot.edge(index)?);
        let text = name.trim_start();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<i64>().ok().map(|number| sign * number)
    }
}
