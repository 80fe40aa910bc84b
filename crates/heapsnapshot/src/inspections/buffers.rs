//! The memory of ArrayBuffers, by what holds it.

use std::collections::HashMap;

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind};
use crate::{NodeKind, NodeOrdinal, Snapshot};

/// Less is no matter.
const LEAST: u64 = 1 << 20;

/// Memory that several hold is of the nearest object that all of its ways lead through, or of nobody.
pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let mut by_holder: HashMap<NodeOrdinal, Vec<NodeOrdinal>> = HashMap::new();
    for &memory in scan.of(Role::ArrayBuffer) {
        by_holder.entry(holder(snapshot, memory)).or_default().push(memory);
    }
    let found = by_holder.into_iter().filter_map(|(holder, memory)| {
        let bytes = memory
            .iter()
            .fold(0, |sum: u64, &node| sum.saturating_add(snapshot.shallow_size(node)));
        let largest = snapshot.largest(&memory).filter(|_| bytes >= LEAST)?;
        let is_nobody = snapshot.kind(holder) == NodeKind::Synthetic;
        let example = if is_nobody { largest } else { holder };
        if snapshot.is_of_node(example) {
            return None;
        }
        let found = Inspection::new(InspectionKind::Buffers, memory.len(), bytes, example);
        let class = snapshot.class_name(holder);
        Some(found.named(if is_nobody { "" } else { class }))
    });
    found.collect()
}

fn holder(snapshot: &Snapshot, memory: NodeOrdinal) -> NodeOrdinal {
    let above = |&at: &NodeOrdinal| Some(snapshot.dominator(at)).filter(|&above| above != at);
    let is_buffer = |node: NodeOrdinal| {
        let class = snapshot.class_name(node);
        class.ends_with("Buffer") || class.ends_with("Array") && class != "Array"
    };
    let mut holders = std::iter::successors(Some(memory), above).skip(1);
    let found = holders.find(|&node| match snapshot.kind(node) {
        NodeKind::Synthetic | NodeKind::Closure => true,
        NodeKind::Object => !is_buffer(node),
        _ => false,
    });
    found.unwrap_or_else(|| snapshot.root())
}
