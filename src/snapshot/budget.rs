//! How much memory a child may use, so that it fails and not the application.

use super::Kind;
use crate::error::SnapshotError;
use crate::process::Headroom;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// A child that may allocate less cannot take the snapshot of an empty heap.
const LEAST: u64 = 24 * MIB;

/// Below that an image's child is ended: it grows no further, and gives back what it has written.
const LEAST_BESIDE_IMAGE: u64 = 3 * MIB;

/// What an image's child has of its own: buffers, what it touches in loaded libraries, and a megabyte of the compressor's.
const IMAGE_OWN: u64 = 3 * MIB;

/// Of its parent's anonymous memory a child copies 7 to 13 % when V8 takes a snapshot (Node 20 and 24, 60 MB of objects).
const CHILD_COPIES: u64 = 8;

/// The part of it that the application copies meanwhile, as long as that has not been measured.
const PARENT_COPIES: u64 = 16;

/// It is never taken for more: one burst is not to refuse all later snapshots. `must_end_child` sees what is beyond.
const MOST_PARENT_COPIES: u64 = 4;

/// What an image's child writes in a second, at least, on a disk of today.
const IMAGE_BYTES_PER_SECOND: u64 = 128 * MIB;

/// What the application has written to while a child was there, so that it had to be copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copied {
    pub(super) bytes: u64,
    pub(super) within: Duration,
}

/// While the last child was there.
static LAST_COPIED: Mutex<Option<Copied>> = Mutex::new(None);

impl Copied {
    /// Keeps it for the next child's budget.
    pub(super) fn remember(self) {
        *LAST_COPIED.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    fn last() -> Option<Copied> {
        *LAST_COPIED.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a child may allocate beyond what it shares with its parent, in bytes.
///
/// Kept back: a margin for the application itself, and what either side copies of the shared pages as it writes to
/// them; where the kernel would kill the whole control group (`memory.oom.group`) all of them are counted.
///
/// # Errors
///
/// [`SnapshotError::NoMemory`] when too little is left to try.
pub(super) fn child_budget(headroom: &Headroom) -> Result<u64, SnapshotError> {
    snapshot_budget(headroom, Copied::last())
}

fn snapshot_budget(headroom: &Headroom, last: Option<Copied>) -> Result<u64, SnapshotError> {
    let copied = if headroom.oom_group {
        headroom.anonymous
    } else {
        let most = headroom.anonymous / MOST_PARENT_COPIES;
        let by_parent =
            last.map_or(headroom.anonymous / PARENT_COPIES, |last| last.bytes.min(most));
        headroom.anonymous / CHILD_COPIES + by_parent
    };
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

/// What the child of an image may allocate. It needs the same few megabytes at any size of the heap, and time is short for
/// the application to write to what they share.
///
/// # Errors
///
/// [`SnapshotError::NoMemoryForImage`] when even that is not left.
pub(super) fn image_budget(headroom: &Headroom) -> Result<u64, SnapshotError> {
    let needed = image_needs(headroom, Copied::last());
    if headroom.available < needed {
        return Err(SnapshotError::NoMemoryForImage(format!(
            "{} MB are left below {}, and {} MB are needed",
            headroom.available / MIB,
            headroom.bound.describe(),
            needed.div_ceil(MIB),
        )));
    }
    // Only the record of a heap at its limit is made in memory that is allocated.
    Ok(IMAGE_OWN + (headroom.available - needed) / 2)
}

/// Whether a whole image in the file cache would take what the application needs.
pub(super) fn cache_is_short(headroom: &Headroom) -> bool {
    headroom.available < headroom.anonymous + 64 * MIB
}

fn image_needs(headroom: &Headroom, last: Option<Copied>) -> u64 {
    // The kernel's copies of page tables and of what it notes of each mapping: a control group is charged for them.
    let tables = headroom.page_tables * 6 / 5;
    let time = headroom.anonymous * 1000 / IMAGE_BYTES_PER_SECOND;
    let by_parent = last.map_or(headroom.anonymous / (4 * PARENT_COPIES), |last| {
        let within = u64::try_from(last.within.as_millis()).unwrap_or(u64::MAX).max(time).max(1);
        (last.bytes.saturating_mul(time) / within).min(headroom.anonymous / MOST_PARENT_COPIES)
    });
    let spare = least_beside(Kind::Image, headroom.oom_group);
    IMAGE_OWN + spare + tables + by_parent
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
    // An image is in the file cache before it is on the disk.
    let cache = if kind == Kind::Image { headroom.active_cache } else { 0 };
    headroom.available + cache < least_beside(kind, headroom.oom_group)
}

fn least_beside(kind: Kind, oom_group: bool) -> u64 {
    match (kind, oom_group) {
        (Kind::Image, false) => LEAST_BESIDE_IMAGE,
        (Kind::Image, true) | (Kind::Snapshot, false) => 8 * MIB,
        (Kind::Snapshot, true) => 32 * MIB,
    }
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
            page_tables: anonymous * MIB / 64,
            active_cache: 0,
        }
    }

    fn copied(megabytes: u64, seconds: u64) -> Option<Copied> {
        Some(Copied { bytes: megabytes * MIB, within: Duration::from_secs(seconds) })
    }

    #[test]
    fn keeps_back_a_margin_and_what_both_copy_of_what_is_shared() {
        let budget =
            |last| snapshot_budget(&headroom(320, 160, false), last).expect("enough") / MIB;
        assert_eq!(budget(None), 320 - 16 - 20 - 20 - 10);
        assert_eq!(budget(copied(3, 9)), 320 - 16 - 20 - 20 - 3);
        // A burst counts as a quarter.
        assert_eq!(budget(copied(9000, 9)), 320 - 16 - 20 - 20 - 40);
    }

    #[test]
    fn an_image_needs_little_at_any_size_of_the_heap() {
        let needs =
            |anonymous, last| image_needs(&headroom(0, anonymous, false), last).div_ceil(MIB);
        assert_eq!((needs(64, None), needs(256, None), needs(1024, None)), (9, 15, 42));
        // In the two seconds that 256 MB take it will write a tenth of what it wrote in twenty.
        assert_eq!(needs(256, copied(40, 20)), 3 + 3 + 5 + 4);
        assert_eq!(needs(256, copied(4000, 20)), 3 + 3 + 5 + 64);
    }

    #[test]
    fn an_image_is_refused_where_even_that_is_not_left() {
        assert!(image_budget(&headroom(20, 250, false)).is_ok());
        let error = image_budget(&headroom(12, 250, false)).expect_err("too little");
        assert_eq!(error.code(), Some("ERR_HEAPDUMP_NO_MEMORY"));
        assert!(error.to_string().contains("12 MB are left"), "{error}");
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
