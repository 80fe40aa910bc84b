//! Errors with their stacks.

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind, MANY};
use crate::{EdgeKind, NodeOrdinal, Snapshot};

pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    let errors: Vec<NodeOrdinal> =
        scan.of(Role::Error).iter().copied().filter(|&node| has_stack(snapshot, node)).collect();
    if errors.len() < MANY {
        return Vec::new();
    }
    Inspection::of(snapshot, InspectionKind::Errors, &errors).into_iter().collect()
}

/// V8 keeps the stack of an error under a symbol without a name.
fn has_stack(snapshot: &Snapshot, node: NodeOrdinal) -> bool {
    let mut own = snapshot.edges(node).filter(|edge| edge.kind == EdgeKind::Property);
    own.any(|edge| {
        matches!(snapshot.edge_name(edge).as_ref(), "<symbol>" | "<symbol error_stack_symbol>")
    })
}
