//! Sockets, streams, requests and responses, by class.

use std::collections::HashMap;

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind, MANY};
use crate::{EdgeKind, NodeOrdinal, Snapshot, StringIndex};

pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let mut by_class: HashMap<StringIndex, Vec<NodeOrdinal>> = HashMap::new();
    for &node in scan.of(Role::Stream).iter().filter(|&&node| is_instance(snapshot, node)) {
        by_class.entry(snapshot.name_index(node)).or_default().push(node);
    }
    let many = by_class.into_values().filter(|nodes| nodes.len() >= MANY);
    let found = many.filter_map(|nodes| {
        let found = Inspection::of(snapshot, InspectionKind::Streams, &nodes)?;
        Some(found.named(snapshot.class_name(*nodes.first()?)))
    });
    found.collect()
}

/// A prototype has the class's name, too.
fn is_instance(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    let mut own = snapshot.edges(node).filter(|edge| edge.kind == EdgeKind::Property);
    own.any(|edge| snapshot.edge_name(edge) == "_events")
}
