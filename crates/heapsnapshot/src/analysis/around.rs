//! Distances without some nodes. Only what hangs on them in the tree of shortest ways can become farther, so where that is
//! little it alone is searched anew; else everything is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use foldhash::{HashMap, HashMapExt};

use super::counted::{Leads, pair_of};
use super::distances::{self, Distances, NO_EDGE, NONE};
use crate::graph::BitSet;
use crate::node_set::NodeSet;
use crate::paths::Step;
use crate::{EdgeIndex, NodeOrdinal, Snapshot};

/// How far each node is from the roots on ways that do not lead through some nodes.
#[derive(Debug)]
pub(crate) enum Around {
    /// Of what has another distance now, or another last edge of its way.
    Changed(HashMap<u32, Way>),
    All(Distances),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    distance: i32,
    via: u32,
}

/// To go back over an edge costs as much as to go forward over so many.
const BACK: usize = 2;
const NO_WAY: Way = Way { distance: NONE, via: NO_EDGE };

impl Around {
    pub(crate) fn compute(snapshot: &Snapshot, ignored: &NodeSet) -> Self {
        // About a tenth of the time that the search of everything takes.
        let most = snapshot.edge_count() / 24;
        match Hanging::new(snapshot, ignored, most).search() {
            Some(changed) => Around::Changed(changed),
            None => Around::All(distances::compute_without(snapshot, ignored)),
        }
    }

    pub(crate) fn distance(&self, snapshot: &Snapshot, node: NodeOrdinal) -> Option<u32> {
        let distance = match self {
            Around::All(all) => all.distance.get(node.index()).copied(),
            Around::Changed(changed) => match changed.get(&node.0) {
                Some(way) => Some(way.distance),
                None => snapshot.distances().distance.get(node.index()).copied(),
            },
        };
        distance.and_then(|distance| u32::try_from(distance).ok())
    }

    /// The shortest way to a node, root first; empty if nothing leads to it.
    pub(crate) fn path(&self, snapshot: &Snapshot, node: NodeOrdinal) -> Vec<Step> {
        match self {
            Around::All(all) => all.path(snapshot, node),
            Around::Changed(changed) => {
                let base = snapshot.distances();
                distances::path_by(snapshot, node, |node| match changed.get(&node.0) {
                    Some(way) => Some(way.via).filter(|&edge| edge != NO_EDGE).map(EdgeIndex),
                    None => base.via(node),
                })
            }
        }
    }
}

/// The search among what hangs on the ignored nodes.
struct Hanging<'a> {
    snapshot: &'a Snapshot,
    base: &'a Distances,
    /// Those ignored nodes that the search does not start from.
    gone: BitSet,
    hangs: BitSet,
    /// Of all that hangs, the ways that have been found.
    found: HashMap<u32, Way>,
    /// Where the search starts twice.
    twice: Vec<u32>,
    open: BinaryHeap<Reverse<(i32, u32, u32)>>,
    /// How many more edges may be looked at.
    left: usize,
}

impl<'a> Hanging<'a> {
    fn new(snapshot: &'a Snapshot, ignored: &NodeSet, left: usize) -> Self {
        let mut starts: Vec<u32> = distances::starts(snapshot).map(|(_, node)| node).collect();
        starts.sort_unstable();
        let twice = starts.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let mut search = Hanging {
            snapshot,
            base: snapshot.distances(),
            gone: BitSet::new(snapshot.node_count()),
            hangs: BitSet::new(snapshot.node_count()),
            found: HashMap::new(),
            twice: twice.collect(),
            open: BinaryHeap::new(),
            left,
        };
        for node in ignored.iter() {
            if node != snapshot.root && starts.binary_search(&node.0).is_err() {
                search.gone.set(node.index());
            }
        }
        search
    }

    /// `None` if that takes too long, or if the order in which edges are met matters.
    fn search(mut self) -> Option<HashMap<u32, Way>> {
        let leads_to_root = self.snapshot.holders(self.snapshot.root).next().is_some();
        if leads_to_root {
            return None;
        }
        let hanging = self.hanging()?;
        self.found = hanging.iter().map(|&node| (node, NO_WAY)).collect();
        for node in hanging {
            if !self.gone.get(node as usize) {
                self.enter(node)?;
            }
        }
        while let Some(Reverse((distance, via, node))) = self.open.pop() {
            if let Some(way) = self.found.get_mut(&node)
                && way.distance == NONE
            {
                *way = Way { distance, via };
                self.go_on(node, distance)?;
            }
        }
        Some(self.found)
    }

    /// What is ignored, and all that hangs on it.
    fn hanging(&mut self) -> Option<Vec<u32>> {
        let (nodes, edges) = (&self.snapshot.nodes, &self.snapshot.edges);
        let mut queue = Vec::new();
        let mut first = 0;
        while let Some(at) = self.gone.next(first) {
            first = at + 1;
            self.hang(u32::try_from(at).ok()?, &mut queue);
        }
        let mut next = 0;
        while let Some(&node) = queue.get(next) {
            next += 1;
            let range = nodes.edges(node);
            self.spend(range.len())?;
            // Each that hangs is held by something, too.
            if queue.len().saturating_mul(BACK) > self.left {
                return None;
            }
            for edge in range {
                let to = edges.to[edge];
                if self.hangs.get(to as usize) {
                    continue;
                }
                let Some(EdgeIndex(via)) = self.base.via(NodeOrdinal(to)) else { continue };
                if via as usize == edge || self.are_of_one_pair(edge, via) {
                    self.hang(to, &mut queue);
                }
            }
        }
        Some(queue)
    }

    fn hang(&mut self, node: u32, queue: &mut Vec<u32>) {
        self.hangs.set(node as usize);
        queue.push(node);
    }

    fn are_of_one_pair(&self, edge: usize, other: u32) -> bool {
        let pair =
            u32::try_from(edge).ok().and_then(|edge| pair_of(self.snapshot, EdgeIndex(edge)));
        pair.is_some() && pair == pair_of(self.snapshot, EdgeIndex(other))
    }

    /// Looks how near a node is by what does not hang.
    fn enter(&mut self, node: u32) -> Option<()> {
        let mut pairs: Vec<(u32, Option<i32>, u32)> = Vec::new();
        let mut nearest: Option<(i32, u32)> = None;
        let before = *self.base.distance.get(node as usize)?;
        for step in self.snapshot.holders(NodeOrdinal(node)) {
            self.spend(BACK)?;
            let EdgeIndex(edge) = step.edge.index;
            let distance = self.known(step.from);
            match self.leads(step.from, edge as usize) {
                Leads::No => {}
                Leads::Yes => {
                    nearest = least(nearest, distance, edge);
                    // Nothing comes nearer than it was: of a million that may hold it, the others do not matter.
                    if nearest.is_some_and(|(distance, _)| distance == before) {
                        break;
                    }
                }
                Leads::Half(_) if self.twice.contains(&step.from.0) => return None,
                Leads::Half(pair) => pairs.push((pair, distance, edge)),
            }
        }
        pairs.sort_unstable();
        for pair in pairs.chunk_by(|one, other| one.0 == other.0) {
            let &[(_, nearer, _), (_, farther, edge)] = pair else { return None };
            nearest = least(nearest, nearer.and(farther), edge);
        }
        self.open.extend(nearest.map(|(distance, edge)| Reverse((distance, edge, node))));
        Some(())
    }

    /// Goes on from a node that hangs and has been reached again.
    fn go_on(&mut self, node: u32, distance: i32) -> Option<()> {
        let range = self.snapshot.nodes.edges(node);
        self.spend(range.len())?;
        for edge in range {
            let to = self.snapshot.edges.to[edge];
            if !self.hangs.get(to as usize) || self.gone.get(to as usize) {
                continue;
            }
            let farther = match self.leads(NodeOrdinal(node), edge) {
                Leads::No => None,
                Leads::Yes => Some(distance),
                Leads::Half(pair) => {
                    self.other_half(to, edge, pair)?.map(|other| other.max(distance))
                }
            };
            let edge = u32::try_from(edge).unwrap_or(NO_EDGE);
            let next = farther.map(|farther| Reverse((farther + 1, edge, to)));
            self.open.extend(next);
        }
        Some(())
    }

    /// How far the holder of a pair's other edge is, if that is known by now.
    fn other_half(&mut self, to: u32, edge: usize, pair: u32) -> Option<Option<i32>> {
        for step in self.snapshot.holders(NodeOrdinal(to)) {
            self.spend(BACK)?;
            let is_other = step.edge.index.index() != edge;
            if is_other && pair_of(self.snapshot, step.edge.index) == Some(pair) {
                return Some(self.known(step.from));
            }
        }
        Some(None)
    }

    fn leads(&self, node: NodeOrdinal, edge: usize) -> Leads {
        let counted = self.snapshot.counted();
        counted.leads(self.snapshot, node.0, edge, counted.is_careful(self.snapshot, node.0))
    }

    /// How far a node is, if that is known by now.
    fn known(&self, node: NodeOrdinal) -> Option<i32> {
        let distance = if self.hangs.get(node.index()) {
            self.found.get(&node.0)?.distance
        } else {
            *self.base.distance.get(node.index())?
        };
        (distance != NONE).then_some(distance)
    }

    fn spend(&mut self, edges: usize) -> Option<()> {
        self.left = self.left.checked_sub(edges)?;
        Some(())
    }
}

fn least(nearest: Option<(i32, u32)>, holder: Option<i32>, edge: u32) -> Option<(i32, u32)> {
    let next = holder.map(|distance| (distance + 1, edge));
    nearest.into_iter().chain(next).min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use proptest::prelude::*;

    use super::*;

    const META: &str = r#"{"node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["hidden","array","object","synthetic"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],
        "edge_types":[["property","internal","weak"],"string_or_number","node"]}"#;
    const NAMES: [&str; 5] = ["", "Thing", "system / NativeContext", "(map descriptors)", "4"];
    /// By node: a kind and the place of its name.
    const SORTS: [(u32, usize); 6] = [(2, 1), (2, 1), (2, 1), (3, 0), (0, 2), (1, 3)];

    #[derive(Clone, Debug)]
    struct Heap {
        /// Of all nodes but the root, which of the sorts.
        nodes: Vec<usize>,
        /// From, kind, place of the name, to.
        edges: Vec<(usize, u32, usize, usize)>,
        /// Key, table, value.
        pairs: Vec<(usize, usize, usize)>,
        ignored: Vec<usize>,
    }

    fn heaps() -> impl Strategy<Value = Heap> {
        (2usize..14).prop_flat_map(|count| {
            let edge = (0..count, 0u32..3, 0usize..5, 1..count);
            let pair = (1..count, 1..count, 1..count);
            (
                proptest::collection::vec(0usize..6, count - 1),
                proptest::collection::vec(edge, 0..40),
                proptest::collection::vec(pair, 0..5),
                proptest::collection::vec(0..count, 1..3),
            )
                .prop_map(|(nodes, edges, pairs, ignored)| Heap {
                    nodes,
                    edges,
                    pairs,
                    ignored,
                })
        })
    }

    impl Heap {
        fn read(&self) -> Snapshot {
            let mut names: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
            names.push("sloppy_function_map".to_owned());
            let mut edges = self.edges.clone();
            for &(key, table, value) in &self.pairs {
                let [k, t, v] = [key, table, value].map(|node| 2 * node + 1);
                for (at, from) in [key, table].into_iter().enumerate() {
                    edges.push((from, 1, names.len(), value));
                    names.push(format!(
                        "{at} / part of key (K @{k}) -> value (V @{v}) pair in WeakMap (table @{t})"
                    ));
                }
            }
            edges.sort_by_key(|edge| edge.0);
            let mut nodes = Vec::new();
            for (node, &sort) in [3].iter().chain(&self.nodes).enumerate() {
                let own = edges.iter().filter(|edge| edge.0 == node).count();
                let (kind, name) = SORTS[sort];
                nodes.push(format!("{kind},{name},{},8,{own}", 2 * node + 1));
            }
            let lines = edges.iter().map(|(_, kind, name, to)| format!("{kind},{name},{}", 5 * to));
            let lines: Vec<String> = lines.collect();
            let json = format!(
                r#"{{"snapshot":{{"meta":{META},"node_count":{},"edge_count":{}}},
                "nodes":[{}],"edges":[{}],"strings":["{}"]}}"#,
                nodes.len(),
                edges.len(),
                nodes.join(","),
                lines.join(","),
                names.join("\",\"")
            );
            Snapshot::read(json.as_bytes()).unwrap()
        }
    }

    /// What the search among what hangs says, if it says anything, is what the search of everything does.
    fn check(heap: &Heap) -> bool {
        let snapshot = heap.read();
        let ignored = heap.ignored.iter().map(|&node| NodeOrdinal(u32::try_from(node).unwrap()));
        let ignored = snapshot.set_of(ignored);
        let all = distances::compute_without(&snapshot, &ignored);
        let hanging = Hanging::new(&snapshot, &ignored, usize::MAX).search();
        let Some(changed) = hanging else { return false };
        let all = Around::All(all);
        let changed = Around::Changed(changed);
        for node in snapshot.nodes() {
            let distance = changed.distance(&snapshot, node);
            assert_eq!(distance, all.distance(&snapshot, node), "of {node:?}");
            let path = changed.path(&snapshot, node);
            assert_eq!(path.len(), all.path(&snapshot, node).len(), "to {node:?}");
            assert!(path.windows(2).all(|steps| steps[0].edge.to == steps[1].from));
            assert!(path.last().is_none_or(|step| step.edge.to == node));
            assert!(path.iter().skip(1).all(|step| {
                changed.distance(&snapshot, step.from).is_some()
                    && snapshot.edge_owner(step.edge.index) == step.from
            }));
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_hangs_is_searched_as_everything_is(heap in heaps()) {
            check(&heap);
        }
    }

    #[test]
    fn a_value_comes_with_the_farther_of_key_and_table() {
        // Global → key, table, far → far key; without the direct way the key is reached by `far`.
        let heap = |ignored| Heap {
            nodes: vec![0; 7],
            edges: vec![
                (0, 0, 1, 1),
                (1, 0, 1, 2),
                (1, 0, 1, 3),
                (1, 0, 1, 4),
                (2, 0, 1, 5),
                (4, 0, 1, 6),
                (6, 0, 1, 5),
                (7, 2, 1, 5),
            ],
            pairs: vec![(5, 3, 7)],
            ignored: vec![ignored],
        };
        let distance = |ignored| {
            let heap = heap(ignored);
            let snapshot = heap.read();
            let ignored =
                snapshot.set_of([NodeOrdinal(u32::try_from(ignored).unwrap())].into_iter());
            assert!(check(&heap));
            let found = Hanging::new(&snapshot, &ignored, usize::MAX).search().unwrap();
            (found.len(), Around::Changed(found).distance(&snapshot, NodeOrdinal(7)))
        };
        assert_eq!(distance(2), (3, Some(5)));
        assert_eq!(distance(3), (2, None));
        assert_eq!(distance(6), (1, Some(4)));
        // The search starts from the global object all the same.
        assert_eq!(distance(1), (0, Some(4)));
    }

    #[test]
    fn who_may_look_at_few_edges_gives_up() {
        let edges = (0..150).map(|at| (at, 0, 1, at + 1)).collect();
        let heap = Heap { nodes: vec![0; 150], edges, pairs: Vec::new(), ignored: vec![2] };
        let snapshot = heap.read();
        let ignored = snapshot.set_of([NodeOrdinal(2)].into_iter());
        assert!(Hanging::new(&snapshot, &ignored, 20).search().is_none());
        assert!(check(&heap));
        let without = |node| Around::compute(&snapshot, &snapshot.set_of([node].into_iter()));
        let early = without(NodeOrdinal(2));
        assert!(matches!(early, Around::All(_)));
        assert_eq!(early.distance(&snapshot, NodeOrdinal(9)), None);
        let late = without(NodeOrdinal(149));
        assert!(matches!(late, Around::Changed(_)));
        assert_eq!(
            [148, 150].map(|at| late.distance(&snapshot, NodeOrdinal(at))),
            [Some(148), None]
        );
    }
}
