//! What stands out in one snapshot: of each kind of thing that often leaks, how many there are, what they
//! keep, and an example. One pass over the nodes sorts them (`scan`); each kind looks at its own.

mod buffers;
mod collections;
mod contexts;
mod copies;
mod errors;
mod instruments;
mod listeners;
mod promises;
mod scan;
mod stores;
mod streams;
mod strings;
mod timers;

pub use instruments::Instrument;

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::leaks::{HeldFunction, held};
use crate::packages::Origin;
use crate::paths::Step;
use crate::{NodeOrdinal, Snapshot};
use scan::Scan;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum InspectionKind {
    /// Listeners of one event of one EventEmitter or EventTarget.
    Listeners,
    /// Timers that have not run.
    Timers,
    /// Promises that are pending and that something waits for.
    PendingPromises,
    /// What waits for one promise.
    Waiting,
    /// Async functions and generators that have begun and have not ended, of one function.
    SuspendedFunctions,
    /// A Map, Set, array or plain object with very many entries.
    LargeCollection,
    /// Maps, Sets and arrays without any entry.
    EmptyCollections,
    /// An array with room for far more than the objects in it.
    SparseArray,
    /// Parts of texts, which keep the whole ones.
    SlicedStrings,
    /// Texts that are joined and not yet copied together.
    JoinedStrings,
    /// Strings of the same text.
    DuplicateStrings,
    /// Memory of ArrayBuffers that one object holds.
    Buffers,
    /// What AsyncLocalStorage hands on.
    AsyncStores,
    /// Contexts of `node:vm`.
    VmContexts,
    /// One package, loaded from several places.
    PackageCopies,
    /// Sockets, streams, requests and responses of one class.
    Streams,
    /// Errors with their stacks.
    Errors,
}

/// Something that stands out.
#[derive(Debug)]
pub struct Inspection {
    /// What it is.
    pub kind: InspectionKind,
    /// How many there are: of listeners, of entries, of copies.
    pub count: u64,
    /// The bytes that they keep, or that would be saved.
    pub bytes: u64,
    /// An event, a class, a package, a text: whatever tells it from others of its kind.
    pub name: String,
    /// The one that it is about, or the largest.
    pub example: NodeOrdinal,
    /// The way to the example.
    pub path: Vec<Step>,
    /// Functions that they are or hold.
    pub functions: Vec<HeldFunction>,
    /// Which instrument leaves it, if it is not the application's.
    pub instrument: Option<Instrument>,
}

/// So many of a kind are told.
const OF_A_KIND: usize = 10;
/// Less is not worth a line, whatever there is of it.
const LEAST_BYTES: u64 = 64 << 10;
/// So many things of a kind are many.
const MANY: usize = 100;

impl Snapshot {
    /// What stands out; what keeps most first.
    #[must_use]
    pub fn inspections(&self) -> Vec<Inspection> {
        let scan = Scan::new(self);
        let kinds = [
            listeners::inspect,
            timers::inspect,
            promises::pending,
            promises::suspended,
            collections::large,
            collections::empty,
            collections::sparse,
            strings::sliced,
            strings::joined,
            strings::duplicates,
            buffers::inspect,
            stores::inspect,
            contexts::inspect,
            copies::inspect,
            streams::inspect,
            errors::inspect,
        ];
        let mut all = Vec::new();
        for inspect in kinds {
            let mut found = inspect(self, &scan);
            found.sort_by_key(|found| (Reverse(found.bytes), found.example));
            found.truncate(OF_A_KIND);
            all.append(&mut found);
        }
        // A list of listeners is told as such.
        let lists: HashSet<NodeOrdinal> = all
            .iter()
            .filter(|found| found.kind == InspectionKind::Listeners)
            .map(|found| found.example)
            .collect();
        all.retain(|found| {
            found.kind != InspectionKind::LargeCollection || !lists.contains(&found.example)
        });
        for found in &mut all {
            found.path = self.path_from_root(found.example);
            found.instrument = self.instrument(&found.path);
        }
        all.sort_by_key(|found| (Reverse(found.bytes), found.kind, found.example));
        all
    }

    /// What some objects keep: of those within others, only the outer ones are counted.
    fn kept_by_all(&self, nodes: &[NodeOrdinal]) -> u64 {
        /// Longer ways down are within objects of the same kind too rarely to look for.
        const DEEP: usize = 32;
        let among: HashSet<NodeOrdinal> = nodes.iter().copied().collect();
        let is_within = |&node: &NodeOrdinal| {
            let above = |&at: &NodeOrdinal| Some(self.dominator(at)).filter(|&up| up != at);
            let mut way = std::iter::successors(Some(node), above).skip(1).take(DEEP);
            way.any(|at| among.contains(&at))
        };
        let outer = among.iter().filter(|node| !is_within(node));
        outer.fold(0, |sum, &node| sum.saturating_add(self.retained_size(node)))
    }

    fn largest(&self, nodes: &[NodeOrdinal]) -> Option<NodeOrdinal> {
        nodes.iter().copied().max_by_key(|&node| (self.retained_size(node), Reverse(node)))
    }

    /// Whether an object is Node's or V8's own, and nothing that a program could change: neither made nor held by
    /// other code.
    fn is_of_node(&self, node: NodeOrdinal) -> bool {
        let is_own = |origin: &Origin| matches!(origin, Origin::Node | Origin::Unknown);
        let is_kept = || {
            let path = self.path_from_root(node);
            let is_of_others = |script: String| !is_own(&Origin::of_script(&script));
            self.instrument(&path).is_some() || self.keeper_script(&path).is_some_and(is_of_others)
        };
        is_own(&self.origin(node)) && !is_kept()
    }
}

impl Inspection {
    fn new(kind: InspectionKind, count: usize, bytes: u64, example: NodeOrdinal) -> Self {
        Inspection {
            kind,
            count: count as u64,
            bytes,
            name: String::new(),
            example,
            path: Vec::new(),
            functions: Vec::new(),
            instrument: None,
        }
    }

    /// Of many objects: what they keep, the largest, the functions that they hold.
    fn of(snapshot: &Snapshot, kind: InspectionKind, nodes: &[NodeOrdinal]) -> Option<Self> {
        let bytes = snapshot.kept_by_all(nodes);
        let example = snapshot.largest(nodes)?;
        let functions = held(snapshot, nodes);
        Some(Inspection { functions, ..Inspection::new(kind, nodes.len(), bytes, example) })
    }

    fn named(self, name: impl Into<String>) -> Self {
        Inspection { name: name.into(), ..self }
    }
}
