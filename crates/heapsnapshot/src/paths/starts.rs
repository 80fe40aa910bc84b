//! Where ways in words may begin: the variables of a scope that there is once and not for each call,
//! a module, the global object.

use std::collections::{HashMap, HashSet};

use super::script::ScriptOwner;
use crate::graph::Edges;
use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// What V8 calls a generator, and a function that awaits something.
const GENERATORS: [&str; 3] = ["Generator", "AsyncGenerator", "AsyncFunction"];
/// So many scopes around a function are looked at.
const DEEP: usize = 16;

/// What a way begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartKind {
    /// A context: `server.js: sessions`.
    Variables,
    /// A module of CommonJS: `server.js: exports`.
    Module,
    /// The global object: `global: sessions`.
    Global,
}

/// Something that a way may begin at.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) node: NodeOrdinal,
    pub(crate) kind: StartKind,
    pub(crate) origin: ScriptOwner,
    pub(crate) script: Option<String>,
}

/// All of a snapshot.
#[derive(Debug)]
pub(crate) struct Starts {
    /// In the order of their nodes.
    starts: Vec<Start>,
}

impl Starts {
    pub(crate) fn collect(snapshot: &Snapshot) -> Self {
        let mut starts = variables(snapshot);
        starts.extend(modules(snapshot));
        starts.extend(globals(snapshot));
        starts.sort_by_key(|start| start.node);
        starts.dedup_by_key(|start| start.node);
        Starts { starts }
    }

    pub(crate) fn get(&self, node: NodeOrdinal) -> Option<&Start> {
        let at = self.starts.binary_search_by_key(&node, |start| start.node).ok()?;
        self.starts.get(at)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Start> {
        self.starts.iter()
    }
}

/// The contexts whose scope no other context is of. A module's variables are in one; a function that
/// is called a thousand times, and whose variables are held, has a thousand.
fn variables(snapshot: &Snapshot) -> Vec<Start> {
    let mut scope_info = Link::new("scope_info");
    let mut of_scope: HashMap<NodeOrdinal, (u32, NodeOrdinal)> = HashMap::new();
    let mut single = Vec::new();
    for node in contexts(snapshot) {
        match scope_info.follow(snapshot, node) {
            Some(scope) => of_scope.entry(scope).or_insert((0, node)).0 += 1,
            None => single.push(node),
        }
    }
    let once = of_scope.values().filter(|(count, _)| *count == 1);
    single.extend(once.map(|&(_, node)| node));
    let mut scripts: HashMap<NodeOrdinal, Option<String>> =
        single.iter().map(|&node| (node, None)).collect();
    name_scripts(snapshot, &mut scripts);
    let start = |(node, script): (NodeOrdinal, Option<String>)| {
        let origin = script.as_deref().map_or(ScriptOwner::Node, ScriptOwner::of);
        Start { node, kind: StartKind::Variables, origin, script }
    };
    scripts.into_iter().map(start).collect()
}

fn contexts(snapshot: &Snapshot) -> Vec<NodeOrdinal> {
    let mut names = snapshot.strings.containing("system / Context");
    names.retain(|&name| {
        snapshot.strings.raw(name).is_some_and(|name| name.starts_with(b"system / Context"))
    });
    named(snapshot, &names)
}

/// Finds the scripts of contexts by the functions that have them.
fn name_scripts(snapshot: &Snapshot, scripts: &mut HashMap<NodeOrdinal, Option<String>>) {
    let mut unnamed: HashSet<NodeOrdinal> = scripts.keys().copied().collect();
    // A generator and a suspended async function have a context, too, and know their function.
    let suspended = named(snapshot, &snapshot.strings.all_that_are(&GENERATORS));
    let closures = snapshot.nodes().filter(|&node| snapshot.kind(node) == NodeKind::Closure);
    let functions: Vec<NodeOrdinal> = closures.chain(suspended).collect();
    let mut context = Link::new("context");
    let mut previous = Link::new("previous");
    // Most scopes have a function directly in them. The others have one in a scope within.
    for deep in [0, DEEP] {
        for &node in &functions {
            if unnamed.is_empty() {
                return;
            }
            let mut at = context.follow(snapshot, node);
            for _ in 0..=deep {
                let Some(here) = at else { break };
                if unnamed.contains(&here)
                    && let Some(script) = snapshot.script_of_function(node)
                {
                    scripts.insert(here, Some(script));
                    unnamed.remove(&here);
                }
                at = previous.follow(snapshot, here).filter(|&outer| snapshot.is_context(outer));
            }
        }
    }
}

/// The modules of CommonJS of which there is one by that file name.
fn modules(snapshot: &Snapshot) -> Vec<Start> {
    let mut file = Link::new("filename");
    let mut by_file: HashMap<StringIndex, (u32, NodeOrdinal)> = HashMap::new();
    for node in named(snapshot, &snapshot.strings.all_that_are(&["Module"])) {
        if let Some(name) = file.follow(snapshot, node) {
            by_file.entry(snapshot.name_index(name)).or_insert((0, node)).0 += 1;
        }
    }
    let once = by_file.into_iter().filter(|(_, (count, _))| *count == 1);
    let start = |(file, (_, node))| {
        let script = snapshot.strings.get(file).into_owned();
        let origin = ScriptOwner::of(&script);
        Start { node, kind: StartKind::Module, origin, script: Some(script) }
    };
    once.map(start).collect()
}

/// The global objects. The root leads to them, or, since V8 14, to the native contexts that they are of.
fn globals(snapshot: &Snapshot) -> Vec<Start> {
    let of_root = snapshot.edges(snapshot.root()).map(|edge| edge.to);
    of_root
        .map(|node| snapshot.internal(node, "global_object").unwrap_or(node))
        .filter(|&node| snapshot.is_global(node))
        .map(|node| Start {
            node,
            kind: StartKind::Global,
            origin: ScriptOwner::Application,
            script: None,
        })
        .collect()
}

/// The objects with one of some names, in order.
fn named(snapshot: &Snapshot, names: &[StringIndex]) -> Vec<NodeOrdinal> {
    let of_name = snapshot.nodes().filter(|&node| names.contains(&snapshot.name_index(node)));
    of_name.filter(|&node| snapshot.kind(node) == NodeKind::Object).collect()
}

/// A field of V8's that is followed from many nodes: its name is compared as a text once.
struct Link {
    name: &'static str,
    index: Option<u64>,
}

impl Link {
    fn new(name: &'static str) -> Self {
        Link { name, index: None }
    }

    fn follow(&mut self, snapshot: &Snapshot, node: NodeOrdinal) -> Option<NodeOrdinal> {
        let edges = &snapshot.edges;
        let found = snapshot.nodes.edges(node.0).find(|&edge| {
            let tag = edges.tag(edge);
            if tag != Edges::INTERNAL && tag != EdgeKind::Property as u32 {
                return false;
            }
            let name = edges.name(edge);
            if self.index == Some(name) {
                return true;
            }
            let index = u32::try_from(name).map(StringIndex);
            let same = index.is_ok_and(|index| snapshot.strings.is(index, self.name));
            if same {
                self.index = Some(name);
            }
            same
        })?;
        edges.to.get(found).copied().map(NodeOrdinal)
    }
}
