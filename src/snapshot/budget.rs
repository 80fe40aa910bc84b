//! How much memory a child may use, so that it fails and not the application.

use super::Kind;
use crate::error::SnapshotError;
use crate::process::Headroom;

const MIB: u64 = 1024 * 1024;

/// A child that may allocate less cannot take the snapshot of an empty heap.
const LEAST: u64 = 24 * MIB;

/// Below that an image's child is ended: it grows no further, and gives back what it has written.
const LEAST_BESIDE_IMAGE: u64 = 4 * MIB;

/// What a child may allocate beyond what it shares with its parent, in bytes.
///
/// Kept back: a margin for the application itself, and what either side copies of the shared pages as it writes to
/// them. That is seldom a quarter of them (V8 marks objects outside the pages' data); where the kernel would kill the
/// whole control group (`memory.oom.group`) all of them are counted.
///
/// # Errors
///
/// [`SnapshotError::NoMemory`] when too little is left to try.
pub(super) fn child_budget(headroom: &Headroom) -> Result<u64, SnapshotError> {
    let copied = if headroom.oom_group { headroom.anonymous } else { headroom.anonymous / 4 };
    let budget = headroom.available.saturating_sub(margin(headroom)).saturating_sub(copied);
    if budget < LEAST {
        return Err(SnapshotError::NoMemory(format!(
            "{} MB are left below {}; of these {} MB must stay with the application and {} MB may be copied by the \
             child, which needs at least {} MB of its own",
            headroom.available / MIB,
            headroom.bound.describe(),
            margin(headroom) / MIB,
            copied / MIB,
            LEAST / MIB,
        )));
    }
    Ok(budget)
}

/// What the child of an image may allocate. It needs a few megabytes at any size of the heap.
///
/// # Errors
///
/// [`SnapshotError::NoMemoryForImage`] when even that is not left.
pub(super) fn image_budget(headroom: &Headroom) -> Result<u64, SnapshotError> {
    const OWN: u64 = 4 * MIB;
    const SPARE: u64 = 8 * MIB;
    // The kernel's copy of the page tables: eight bytes for a page.
    let tables = headroom.anonymous / 512;
    let needed = OWN + SPARE + tables;
    if headroom.available < needed {
        return Err(SnapshotError::NoMemoryForImage(format!(
            "{} MB are left below {}, and {} MB are needed",
            headroom.available / MIB,
            headroom.bound.describe(),
            needed / MIB + 1,
        )));
    }
    Ok(OWN)
}

/// What a child may allocate that only writes the record of a heap at its limit; `None` when that is too much as well.
pub(super) fn record_budget(headroom: &Headroom) -> Option<u64> {
    const SPARE: u64 = 8 * MIB;
    // Where the kernel kills the group as one, what the two copy of each other's pages counts against the application.
    let least = if headroom.oom_group { 64 * MIB } else { 2 * SPARE };
    (headroom.available >= least).then(|| (headroom.available - SPARE) / 2)
}

/// Whether memory has become so scarce that a running child must go: its own limit does not see what the application
/// allocates meanwhile.
pub(super) fn must_end_child(headroom: &Headroom, kind: Kind) -> bool {
    let least = match (kind, headroom.oom_group) {
        (Kind::Image, _) => LEAST_BESIDE_IMAGE,
        (Kind::Snapshot, true) => 32 * MIB,
        (Kind::Snapshot, false) => 8 * MIB,
    };
    headroom.available < least
}

/// What must always stay free for the application: 16 MB and a sixteenth.
fn margin(headroom: &Headroom) -> u64 {
    16 * MIB + headroom.available / 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Bound;

    fn headroom(available: u64, anonymous: u64, oom_group: bool) -> Headroom {
        Headroom {
            available: available * MIB,
            bound: Bound::Cgroup,
            oom_group,
            anonymous: anonymous * MIB,
        }
    }

    #[test]
    fn keeps_back_a_margin_and_a_quarter_of_what_is_shared() {
        assert_eq!(
            child_budget(&headroom(320, 100, false)).expect("enough"),
            (320 - 16 - 20 - 25) * MIB
        );
    }

    #[test]
    fn keeps_back_all_that_is_shared_where_the_group_dies_as_one() {
        assert_eq!(
            child_budget(&headroom(320, 100, true)).expect("enough"),
            (320 - 16 - 20 - 100) * MIB
        );
    }

    #[test]
    fn refuses_when_too_little_is_left() {
        let error = child_budget(&headroom(48, 40, false)).expect_err("too little");
        assert_eq!(error.code(), Some("ERR_HEAPDUMP_NO_MEMORY"));
        assert!(
            error.to_string().contains("48 MB are left below the memory control group"),
            "{error}"
        );
    }

    #[test]
    fn a_child_goes_earlier_where_the_group_dies_as_one() {
        let must_end = |headroom| must_end_child(&headroom, Kind::Snapshot);
        assert!(must_end(headroom(7, 0, false)));
        assert!(!must_end(headroom(20, 0, false)));
        assert!(must_end(headroom(20, 0, true)));
    }
}
