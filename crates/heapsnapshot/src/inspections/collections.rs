//! Maps, Sets, arrays and plain objects: those with very many entries, with none, and with more room than
//! entries.

use std::collections::HashSet;

use super::scan::{Role, Scan, WIDE};
use super::{Inspection, InspectionKind, LEAST_BYTES};
use crate::{EdgeKind, NodeOrdinal, Snapshot};

/// So many without an entry are many.
const MANY_EMPTY: usize = 1000;
/// An array with room for so many is worth a look.
const ROOMY: u64 = 1024;
/// The bytes of a Map, a Set and an array without what they have in them.
const HEADER: u64 = 32;
/// The slots before the entries of a table: how many there are, how many were deleted, how many chains.
const HEAD: u64 = 3;

/// Those with more than a thousand entries that are not Node's own.
pub(super) fn large(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let tables = [(Role::Map, MAP), (Role::Set, SET)].into_iter().flat_map(|(role, slots)| {
        scan.of(role).iter().filter_map(move |&node| {
            let table = snapshot.internal(node, "table")?;
            let is_wide = snapshot.reference_count(table) > WIDE;
            is_wide.then(|| (node, entries(snapshot, node, table, slots)))
        })
    });
    let arrays = scan.of(Role::Array).iter();
    let arrays = arrays.filter(|&&node| snapshot.reference_count(node) > WIDE);
    let arrays = arrays.map(|&node| (node, snapshot.count_of(node, EdgeKind::Element)));
    let is_dictionary =
        |node: &&NodeOrdinal| snapshot.strings.is(snapshot.name_index(**node), "Object");
    let dictionaries = scan.wide.iter().filter(is_dictionary);
    // One is the prototype's.
    let properties = |node| snapshot.count_of(node, EdgeKind::Property).saturating_sub(1);
    let dictionaries = dictionaries.map(|&node| (node, properties(node)));
    tables
        .chain(arrays)
        .chain(dictionaries)
        .filter(|&(node, count)| {
            count > WIDE
                && snapshot.retained_size(node) >= LEAST_BYTES
                && !snapshot.is_of_node(node)
        })
        .map(|(node, count)| {
            let bytes = snapshot.retained_size(node);
            let found = Inspection::new(InspectionKind::LargeCollection, count, bytes, node);
            found.named(snapshot.class_name(node))
        })
        .collect()
}

/// The slots of an entry in a Map's table, and in a Set's.
const MAP: u64 = 3;
const SET: u64 = 2;

/// How many entries of a table have a key or a value that is in the heap. The table's edges are numbered by
/// slots: a few for itself, its chains, then the entries (V8's `OrderedHashTable`).
fn entries(snapshot: &Snapshot, of: NodeOrdinal, table: NodeOrdinal, slots: u64) -> usize {
    // An entry has its slots and half a chain; two more words are the table's own.
    let words = table_size(snapshot, of, table) / 8;
    let capacity = words.saturating_sub(2 + HEAD) * 2 / (2 * slots + 1);
    let first = HEAD + capacity / 2;
    let slot = |edge| snapshot.edge_name(edge).parse::<u64>().ok();
    let inner = snapshot.edges(table).filter(|edge| edge.kind == EdgeKind::Internal);
    let places: HashSet<u64> =
        inner.filter_map(slot).filter(|&at| at >= first).map(|at| (at - first) / slots).collect();
    places.len()
}

/// A table counts for the one object that has it.
fn table_size(snapshot: &Snapshot, of: NodeOrdinal, table: NodeOrdinal) -> u64 {
    let own = snapshot.shallow_size(of).saturating_sub(HEADER);
    if snapshot.shallow_size(table) > 0 { snapshot.shallow_size(table) } else { own }
}

/// Those of a class together.
pub(super) fn empty(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    [Role::Map, Role::Set, Role::Array]
        .into_iter()
        .filter_map(|role| {
            let is_empty = |node: &NodeOrdinal| match role {
                Role::Array => is_empty_array(snapshot, *node),
                _ => is_empty_table(snapshot, *node),
            };
            let nodes: Vec<NodeOrdinal> = scan.of(role).iter().copied().filter(is_empty).collect();
            let bytes =
                nodes.iter().fold(0, |sum: u64, &n| sum.saturating_add(snapshot.shallow_size(n)));
            if nodes.len() < MANY_EMPTY || bytes < LEAST_BYTES {
                return None;
            }
            // Node's own few are no example.
            let example = nodes.get(nodes.len() / 2).copied()?;
            let found =
                Inspection::new(InspectionKind::EmptyCollections, nodes.len(), bytes, example);
            Some(found.named(snapshot.class_name(example)))
        })
        .collect()
}

/// Numbers have no edges: a table that is larger than a new one may have some.
fn is_empty_table(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    const NEW: u64 = 152;
    snapshot.internal(node, "table").is_some_and(|table| {
        table_size(snapshot, node, table) <= NEW && snapshot.reference_count(table) <= 1
    })
}

/// One without a store of its own has no elements.
fn is_empty_array(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    snapshot.shallow_size(node) <= HEADER && snapshot.count_of(node, EdgeKind::Element) == 0
}

/// Arrays with room for a thousand elements and more, and objects in an eighth of it at most. One without any
/// object may be full of numbers, which a snapshot does not have, and is left out.
pub(super) fn sparse(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let arrays = scan.of(Role::Array).iter().copied();
    let found = arrays.filter_map(|node| {
        // With the store, which has two words before its slots.
        let own = snapshot.shallow_size(node);
        let room = own.saturating_sub(HEADER + 16) / 8;
        if room < ROOMY {
            return None;
        }
        let objects = snapshot.count_of(node, EdgeKind::Element);
        let is_sparse = objects > 0 && objects as u64 * 8 <= room;
        let is_told = is_sparse && own >= LEAST_BYTES && !snapshot.is_of_node(node);
        let found = Inspection::new(InspectionKind::SparseArray, objects, own, node);
        is_told.then(|| found.named(room.to_string()))
    });
    found.collect()
}
