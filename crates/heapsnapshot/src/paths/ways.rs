//! Ways that begin in code. A search, breadth first, from all that a way may begin at: the application's
//! first, then the packages', then Node's. What a round has reached stays its own.
//!
//! Not followed are prototypes, weak references and V8's own parts (maps, code, feedback). What only they
//! lead to has no such way.

use super::Step;
use super::script::ScriptOwner;
use super::starts::{Start, StartKind, Starts};
use crate::graph::Edges;
use crate::{EdgeIndex, EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// The rounds: from the application, from packages, over the lists of modules that all have, from Node,
/// from one timer to others.
const ROUNDS: usize = 5;
const APPLICATION: usize = 0;
const PACKAGES: usize = 1;
const MODULES: usize = 2;
const NODE: usize = 3;
const TIMERS: usize = 4;

/// What is kept for a node instead of the edge by which it was reached.
const FREE: u32 = u32::MAX;
const BARRED: u32 = u32::MAX - 1;
const START: u32 = u32::MAX - 2;
const WAITS: u32 = u32::MAX - 3;

/// The last edge of the way to each node.
#[derive(Debug)]
pub(crate) struct Ways {
    via: Vec<u32>,
    starts: Starts,
}

impl Ways {
    pub(crate) fn search(snapshot: &Snapshot) -> Self {
        let starts = Starts::collect(snapshot);
        let via = Search::new(snapshot, &starts).run();
        Ways { via, starts }
    }

    pub(crate) fn start(&self, node: NodeOrdinal) -> Option<&Start> {
        self.starts.get(node)
    }

    /// The shortest way from a root to where the way to a node begins, and on.
    pub(crate) fn path(&self, snapshot: &Snapshot, node: NodeOrdinal) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut at = node;
        loop {
            match self.via.get(at.index()).copied()? {
                START => break,
                FREE | BARRED | WAITS => return None,
                edge => {
                    let from = snapshot.edge_owner(EdgeIndex(edge));
                    steps.push(Step { from, edge: snapshot.edge(EdgeIndex(edge))? });
                    at = from;
                }
            }
        }
        // What begins at an object that only the node itself holds does not hold it.
        let before = snapshot.distances().path(snapshot, at);
        if before.is_empty() || (at != node && before.iter().any(|step| step.edge.to == node)) {
            return None;
        }
        steps.extend(before.into_iter().rev());
        steps.reverse();
        Some(steps)
    }
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    starts: &'a Starts,
    via: Vec<u32>,
    queue: Vec<u32>,
    /// Edges that a later round follows.
    deferred: [Vec<u32>; ROUNDS],
    /// The names of properties that are not followed, and of those in the last round.
    prototypes: Vec<StringIndex>,
    lists: Vec<StringIndex>,
    modules: Vec<StringIndex>,
    exports: Vec<StringIndex>,
}

impl<'a> Search<'a> {
    fn new(snapshot: &'a Snapshot, starts: &'a Starts) -> Self {
        let names = |texts: &[&str]| snapshot.strings.all_that_are(texts);
        Search {
            snapshot,
            starts,
            via: barred(snapshot),
            queue: Vec::new(),
            deferred: [const { Vec::new() }; ROUNDS],
            prototypes: names(&["__proto__", "prototype", "constructor"]),
            // From one timer, its list leads to all others.
            lists: names(&["_idlePrev", "_idleNext"]),
            modules: names(&["Module"]),
            exports: names(&["exports"]),
        }
    }

    fn run(mut self) -> Vec<u32> {
        // Edges of numbers that stand for something else here are in no file yet.
        if self.snapshot.edge_count() >= WAITS as usize {
            return self.via;
        }
        for start in self.starts.iter() {
            self.via[start.node.index()] = WAITS;
        }
        for round in 0..ROUNDS {
            let mut starts: Vec<&Start> =
                self.starts.iter().filter(|start| round_of(start.origin) == round).collect();
            // Of two that lead to something, the one nearer to the roots comes first.
            starts.sort_by_key(|start| (self.snapshot.raw_distance(start.node), start.node));
            for start in starts {
                if self.snapshot.distance(start.node).is_some() {
                    self.via[start.node.index()] = START;
                    self.queue.push(start.node.0);
                }
            }
            for edge in std::mem::take(&mut self.deferred[round]) {
                self.reach(edge);
            }
            self.spread(round);
        }
        self.via
    }

    fn reach(&mut self, edge: u32) {
        let to = self.snapshot.edges.to[edge as usize];
        if self.via[to as usize] == FREE {
            self.via[to as usize] = edge;
            self.queue.push(to);
        }
    }

    fn spread(&mut self, round: usize) {
        let (nodes, edges) = (&self.snapshot.nodes, &self.snapshot.edges);
        let mut next = 0;
        while let Some(&node) = self.queue.get(next) {
            next += 1;
            let from = self.special(NodeOrdinal(node));
            for edge in nodes.edges(node) {
                let to = edges.to[edge];
                if self.via[to as usize] != FREE {
                    continue;
                }
                let tag = edges.tag(edge);
                if tag == Edges::WEAK || (tag == Edges::SPECIAL && edges.is_ephemeron(edge)) {
                    continue;
                }
                let mut when = round;
                if tag == EdgeKind::Property as u32 || from.is_some() {
                    match self.round_of_edge(edge, tag, from) {
                        // Node's own list is the right way to all timers.
                        Some(TIMERS) if round == NODE => {}
                        Some(later) => when = later.max(round),
                        None => continue,
                    }
                }
                let Ok(edge) = u32::try_from(edge) else { continue };
                if when == round {
                    self.via[to as usize] = edge;
                    self.queue.push(to);
                } else {
                    self.deferred[when].push(edge);
                }
            }
        }
        self.queue.clear();
    }

    /// Whether a node's edges are not alike.
    fn special(&self, node: NodeOrdinal) -> Option<StartKind> {
        if self.via[node.index()] == START {
            let kind = self.starts.get(node).map(|start| start.kind);
            return kind.filter(|&kind| kind != StartKind::Variables);
        }
        let is_module = self.modules.contains(&self.snapshot.name_index(node))
            && self.snapshot.kind(node) == NodeKind::Object;
        is_module.then_some(StartKind::Module)
    }

    /// The first round in which an edge is followed, if one is.
    fn round_of_edge(&self, edge: usize, tag: u32, from: Option<StartKind>) -> Option<usize> {
        let name = u32::try_from(self.snapshot.edges.name(edge)).map(StringIndex).ok()?;
        if tag == EdgeKind::Property as u32 && self.prototypes.contains(&name) {
            return None;
        }
        match from {
            Some(StartKind::Module) if !self.exports.contains(&name) => Some(MODULES),
            Some(StartKind::Global) if tag != EdgeKind::Property as u32 => None,
            Some(StartKind::Global) if self.is_built_in(edge) => Some(NODE),
            _ if self.lists.contains(&name) => Some(TIMERS),
            _ => Some(APPLICATION),
        }
    }

    /// Whether a global variable is there in every program.
    fn is_built_in(&self, edge: usize) -> bool {
        const OBJECTS: [&str; 14] = [
            "process",
            "console",
            "global",
            "globalThis",
            "Atomics",
            "JSON",
            "Math",
            "Intl",
            "Reflect",
            "WebAssembly",
            "navigator",
            "performance",
            "crypto",
            "Buffer",
        ];
        let index = EdgeIndex(u32::try_from(edge).unwrap_or(u32::MAX));
        let Some(edge) = self.snapshot.edge(index) else { return false };
        if self.snapshot.kind(edge.to) == NodeKind::Closure {
            let script = self.snapshot.script_of_function(edge.to);
            return script.is_none_or(|script| ScriptOwner::of(&script) == ScriptOwner::Node);
        }
        OBJECTS.contains(&self.snapshot.edge_name(edge).as_ref())
    }
}

fn round_of(origin: ScriptOwner) -> usize {
    match origin {
        ScriptOwner::Application => APPLICATION,
        ScriptOwner::Package => PACKAGES,
        ScriptOwner::Node => NODE,
    }
}

/// What is V8's own, or the profiler's, is never on such a way.
fn barred(snapshot: &Snapshot) -> Vec<u32> {
    let natives = snapshot.strings.containing("system / NativeContext");
    let state = |node: NodeOrdinal| match snapshot.kind(node) {
        NodeKind::Code | NodeKind::ObjectShape | NodeKind::Synthetic => BARRED,
        NodeKind::Hidden if natives.contains(&snapshot.name_index(node)) => BARRED,
        _ => FREE,
    };
    snapshot.nodes().map(state).collect()
}
