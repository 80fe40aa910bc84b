//! Contexts of `node:vm`, and windows of jsdom.

use super::scan::{Role, Scan};
use super::{Inspection, InspectionKind};
use crate::{NodeOrdinal, Snapshot};

/// A few are what test runners and template engines have.
const FEW: usize = 10;

pub(super) fn inspect(snapshot: &Snapshot, scan: &Scan) -> Vec<Inspection> {
    // V8 finds the program's own first, in which it is when it takes the snapshot.
    let made: Vec<NodeOrdinal> = scan.of(Role::VmContext).iter().skip(1).copied().collect();
    if made.len() <= FEW {
        return Vec::new();
    }
    Inspection::of(snapshot, InspectionKind::VmContexts, &made).into_iter().collect()
}
