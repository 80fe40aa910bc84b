//! What AsyncLocalStorage hands on: up to Node 22 each async resource has it as a property, from 24 on a Map
//! of its own kind (AsyncContextFrame).

use std::collections::HashSet;

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind, MANY};
use crate::{NodeOrdinal, Snapshot};

pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let hanging: HashSet<NodeOrdinal> = scan.stores.iter().map(|&(_, store)| store).collect();
    // The prototype has no table, and what runs without a store an empty one.
    let is_frame = |node: &&NodeOrdinal| {
        snapshot.internal(**node, "table").is_some_and(|table| snapshot.reference_count(table) > 1)
    };
    let frames = scan.of(Role::Frame).iter().filter(is_frame).copied();
    let mut stores: Vec<NodeOrdinal> = hanging.into_iter().chain(frames).collect();
    stores.sort_unstable();
    if stores.len() < MANY {
        return Vec::new();
    }
    Inspection::of(snapshot, InspectionKind::AsyncStores, &stores).into_iter().collect()
}
