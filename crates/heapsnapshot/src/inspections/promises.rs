//! Promises that somebody waits for, and functions that wait.

use std::collections::HashMap;

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind, MANY};
use crate::leaks::held;
use crate::{EdgeKind, NodeOrdinal, Snapshot};

/// A pending promise has a list of reactions where a settled one has its result. One that nobody waits for
/// cannot be told from one with the result `undefined`, and is left out.
pub(super) fn pending(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let is_reaction = |&node: &NodeOrdinal| snapshot.name(node) == "system / PromiseReaction";
    let mut waited_for = Vec::new();
    let mut found = Vec::new();
    if scan.of(Role::Reaction).is_empty() {
        return found;
    }
    for &promise in scan.of(Role::Promise) {
        let first = snapshot.internal(promise, "reactions_or_result").filter(is_reaction);
        let Some(first) = first else { continue };
        waited_for.push(promise);
        // Each leads to the one that was there before it.
        let next = |&at: &NodeOrdinal| {
            snapshot.edges(at).map(|edge| edge.to).find(|to| *to != at && is_reaction(to))
        };
        let reactions: Vec<NodeOrdinal> =
            std::iter::successors(Some(first), next).take(scan.of(Role::Reaction).len()).collect();
        if reactions.len() >= MANY {
            let (count, bytes) = (reactions.len(), snapshot.retained_size(promise));
            let waiting = Inspection::new(InspectionKind::Waiting, count, bytes, promise);
            found.push(Inspection { functions: held(snapshot, &reactions), ..waiting });
        }
    }
    if waited_for.len() >= MANY {
        found.extend(Inspection::of(snapshot, InspectionKind::PendingPromises, &waited_for));
    }
    found
}

/// By their functions.
pub(super) fn suspended(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let mut by_function: HashMap<NodeOrdinal, Vec<NodeOrdinal>> = HashMap::new();
    for &node in &scan.suspended {
        let Some(function) = snapshot.internal(node, "function") else { continue };
        // Functions of one place share what does not change from one to the next.
        let shared = snapshot.internal(function, "shared").unwrap_or(function);
        by_function.entry(shared).or_default().push(node);
    }
    let many = by_function.into_values().filter(|nodes| nodes.len() >= MANY);
    let found = many.filter_map(|nodes| {
        let function = snapshot.internal(*nodes.first()?, "function")?;
        let name = snapshot.name(function).into_owned();
        Some(Inspection::of(snapshot, InspectionKind::SuspendedFunctions, &nodes)?.named(name))
    });
    found.collect()
}

impl Snapshot {
    /// How many edges of a kind a node has.
    pub(super) fn count_of(&self, node: NodeOrdinal, kind: EdgeKind) -> usize {
        self.edges(node).filter(|edge| edge.kind == kind).count()
    }
}
