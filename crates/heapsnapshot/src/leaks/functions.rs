//! The functions that objects hold: the callbacks of timers, of promises, of streams. They lead to the code
//! where the object itself does not.

use std::collections::{HashMap, HashSet};

use crate::paths::{ScriptOwner, SourcePlace};
use crate::{Edge, EdgeKind, Location, NodeKind, NodeOrdinal, Snapshot};

/// So many functions are named.
const NAMED: usize = 8;
/// So many nodes are looked at in each object, and in all of them.
const IN_ONE: usize = 64;
const IN_ALL: usize = 1 << 21;

/// A function, and how many objects hold one of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFunction {
    /// Its name; empty for one without.
    pub name: String,
    /// Where it begins.
    pub place: SourcePlace,
    /// How many of the objects hold it, or are it.
    pub count: u64,
}

/// The functions that some objects hold, those of most objects first: the application's, and only if
/// there are none, the packages'.
pub(crate) fn held(snapshot: &Snapshot, objects: &[NodeOrdinal]) -> Vec<HeldFunction> {
    let in_one = (IN_ALL / objects.len().max(1)).clamp(4, IN_ONE);
    let mut origins: HashMap<u32, Option<ScriptOwner>> = HashMap::new();
    let mut counts: HashMap<Location, (NodeOrdinal, u64)> = HashMap::new();
    for &object in objects {
        for (location, node) in functions_of(snapshot, object, in_one, &mut origins) {
            counts.entry(location).or_insert((node, 0)).1 += 1;
        }
    }
    let origin = |location: &Location| origins.get(&location.script_id).copied().flatten();
    let any = counts.keys().any(|location| origin(location) == Some(ScriptOwner::Application));
    let wanted = if any { ScriptOwner::Application } else { ScriptOwner::Package };
    counts.retain(|location, _| origin(location) == Some(wanted));
    let mut counts: Vec<(Location, (NodeOrdinal, u64))> = counts.into_iter().collect();
    counts.sort_unstable();
    let mut found: Vec<HeldFunction> = Vec::new();
    for (_, (node, count)) in counts {
        let Some(place) = snapshot.source_place(node) else { continue };
        // A script that is compiled again has another number.
        let same = |held: &&mut HeldFunction| {
            let of = |place: &SourcePlace| (place.script.clone(), place.line, place.column);
            of(&held.place) == of(&place)
        };
        match found.iter_mut().find(same) {
            Some(held) => held.count += count,
            None => {
                found.push(HeldFunction { name: snapshot.name(node).into_owned(), place, count });
            }
        }
    }
    found.sort_by_key(|held| std::cmp::Reverse(held.count));
    // What a few of thousands hold explains nothing.
    let most = found.first().map_or(0, |held| held.count);
    found.retain(|held| held.count >= most / 50);
    found.truncate(NAMED);
    found
}

/// The functions of others than Node that are first on the ways from an object, each once.
fn functions_of(
    snapshot: &Snapshot,
    object: NodeOrdinal,
    most: usize,
    origins: &mut HashMap<u32, Option<ScriptOwner>>,
) -> HashMap<Location, NodeOrdinal> {
    let mut found = HashMap::new();
    let mut seen = HashSet::from([object]);
    let mut open = vec![object];
    let mut at = 0;
    while let Some(&node) = open.get(at)
        && at < most
    {
        at += 1;
        if snapshot.kind(node) == NodeKind::Closure
            && let Some(location) = snapshot.location(node)
        {
            let origin = *origins.entry(location.script_id).or_insert_with(|| {
                snapshot.source_place(node)?.script.as_deref().map(ScriptOwner::of)
            });
            if origin.is_some_and(|origin| origin != ScriptOwner::Node) {
                found.insert(location, node);
                continue;
            }
        }
        for edge in snapshot.edges(node) {
            // A function may be shared by all of them. What else is not theirs alone says nothing.
            let theirs = seen.contains(&snapshot.dominator(edge.to))
                || snapshot.kind(edge.to) == NodeKind::Closure;
            if theirs && snapshot.leads_on(edge) && seen.insert(edge.to) {
                open.push(edge.to);
            }
        }
    }
    found
}

/// What a container has: in its elements, or in the table of a Map.
pub(crate) fn members(snapshot: &Snapshot, container: NodeOrdinal) -> Vec<NodeOrdinal> {
    const MOST: usize = 1 << 20;
    let mut members = Vec::new();
    let stores = snapshot.edges(container).filter(|edge| snapshot.kind(edge.to).is_store());
    let held = stores.flat_map(|store| snapshot.edges(store.to));
    for edge in snapshot.edges(container).chain(held).take(MOST) {
        let named = edge.kind == EdgeKind::Property && snapshot.edge_name(edge) == "__proto__";
        if !named && super::is_object(snapshot, edge.to) {
            members.push(edge.to);
        }
    }
    members.sort_unstable();
    members.dedup();
    members
}

impl Snapshot {
    /// Whether an edge leads to what a program has put there, and not to a prototype or V8's own parts.
    fn leads_on(&self, edge: Edge) -> bool {
        match edge.kind {
            EdgeKind::Weak => false,
            EdgeKind::Property => {
                let name = self.edge_name(edge);
                !matches!(name.as_ref(), "__proto__" | "prototype" | "constructor")
            }
            _ => !matches!(
                self.kind(edge.to),
                NodeKind::Code | NodeKind::ObjectShape | NodeKind::Synthetic
            ),
        }
    }
}
