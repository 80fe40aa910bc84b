//! Timers that have not run.

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind, MANY};
use crate::{EdgeKind, NodeKind, NodeOrdinal, Snapshot};

pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let waiting: Vec<NodeOrdinal> =
        scan.of(Role::Timer).iter().copied().filter(|&timer| waits(snapshot, timer)).collect();
    if waiting.len() < MANY {
        return Vec::new();
    }
    Inspection::of(snapshot, InspectionKind::Timers, &waiting).into_iter().collect()
}

/// What waits is in a list; what has run or was cleared is not.
fn waits(snapshot: &Snapshot, timer: NodeOrdinal) -> bool {
    snapshot.edges(timer).any(|edge| {
        edge.kind == EdgeKind::Property
            && snapshot.kind(edge.to) == NodeKind::Object
            && snapshot.edge_name(edge) == "_idleNext"
    })
}
