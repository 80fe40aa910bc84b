//! Strings that keep more than they show, and those that are there twice.

use std::collections::{HashMap, HashSet};

use super::scan::Scan;
use super::{Inspection, InspectionKind, LEAST_BYTES, MANY};
use crate::graph::BitSet;
use crate::{NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// Longer texts may be cut in the file, and look alike.
const WHOLE: usize = 1000;

/// Parts of texts that nothing but parts holds.
pub(super) fn sliced(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let mut parts: HashMap<NodeOrdinal, u64> = HashMap::new();
    for &slice in &scan.sliced {
        if let Some(parent) = snapshot.internal(slice, "parent") {
            *parts.entry(parent).or_default() += 1;
        }
    }
    parts.retain(|&parent, _| snapshot.shallow_size(parent) > 0);
    if parts.is_empty() {
        return Vec::new();
    }
    let mut is_parent = BitSet::new(snapshot.node_count());
    for parent in parts.keys() {
        is_parent.set(parent.index());
    }
    // All that holds a text, parts and others.
    let mut holders: HashMap<NodeOrdinal, u64> = HashMap::new();
    for &to in snapshot.edges.to.iter().filter(|&&to| is_parent.get(to as usize)) {
        *holders.entry(NodeOrdinal(to)).or_default() += 1;
    }
    parts.retain(|parent, count| holders.get(parent) == Some(count));
    let bytes = parts.keys().fold(0, |sum: u64, &p| sum.saturating_add(snapshot.shallow_size(p)));
    let kept: HashSet<NodeOrdinal> = parts.keys().copied().collect();
    let is_of_kept = |slice: &NodeOrdinal| {
        snapshot.internal(*slice, "parent").is_some_and(|p| kept.contains(&p))
    };
    let slices: Vec<NodeOrdinal> = scan.sliced.iter().copied().filter(is_of_kept).collect();
    let of_parent = |&slice: &NodeOrdinal| {
        snapshot.internal(slice, "parent").map_or(0, |parent| snapshot.shallow_size(parent))
    };
    let Some(example) = slices.iter().copied().max_by_key(of_parent) else { return Vec::new() };
    let found = Inspection::new(InspectionKind::SlicedStrings, slices.len(), bytes, example);
    told(found)
}

pub(super) fn joined(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    if scan.joined.len() < MANY {
        return Vec::new();
    }
    let nodes: Vec<NodeOrdinal> =
        scan.joined.iter().copied().filter(|&node| !snapshot.is_flat(node)).collect();
    let bytes = nodes.iter().fold(0, |sum: u64, &n| sum.saturating_add(snapshot.shallow_size(n)));
    let Some(example) = snapshot.largest(&nodes).filter(|_| nodes.len() >= MANY) else {
        return Vec::new();
    };
    told(Inspection::new(InspectionKind::JoinedStrings, nodes.len(), bytes, example))
}

/// The texts that are in the heap a hundred times and more, together.
pub(super) fn duplicates(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let is_often = |index: u32| {
        scan.texts.get(index as usize).is_some_and(|&count| count as usize >= MANY)
            && snapshot.strings.raw(StringIndex(index)).is_some_and(|text| text.len() < WHOLE)
    };
    let many = scan.texts.iter().zip(0..).filter(|&(&count, _)| count as usize >= MANY);
    if !many.map(|(_, index)| index).any(is_often) {
        return Vec::new();
    }
    // What a text takes, how many strings there are, and one of them.
    let mut sums: HashMap<StringIndex, (u64, u64, NodeOrdinal)> = HashMap::new();
    for node in snapshot.nodes() {
        let index = snapshot.name_index(node);
        if snapshot.kind(node) == NodeKind::String
            && snapshot.shallow_size(node) > 0
            && is_often(index.0)
        {
            let (size, count, _) = sums.entry(index).or_insert((0, 0, node));
            *size = size.saturating_add(snapshot.shallow_size(node));
            *count += 1;
        }
    }
    let wasted = |&(size, count, _): &(u64, u64, NodeOrdinal)| size - size / u64::max(count, 1);
    let bytes = sums.values().map(wasted).fold(0, u64::saturating_add);
    let count = sums.values().fold(0, |sum, &(_, count, _)| sum + count);
    let most = sums.iter().max_by_key(|&(index, sums)| (wasted(sums), index.0));
    let Some((&text, &(_, _, example))) = most else { return Vec::new() };
    let found = Inspection::new(InspectionKind::DuplicateStrings, 0, bytes, example);
    told(Inspection { count, ..found.named(snapshot.strings.get(text)) })
}

fn told(found: Inspection) -> Vec<Inspection> {
    if found.bytes < LEAST_BYTES { Vec::new() } else { vec![found] }
}
