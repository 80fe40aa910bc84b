//! How much memory a child may use, so that it fails and not the application.

use super::Kind;
use crate::error::SnapshotError;
use crate::process::Headroom;

const MIB: u64 = 1024 * 1024;

/// A child that may allocate less cannot take the snapshot of an empty heap.
const LEAST: u64 = 24 * MIB;

/// Below that an image's child is ended: it grows no further, and gives back what it has written.
const LEAST_BESIDE_IMAGE: u64 = 3 * MIB;

/// What an image's child has of its own: buffers, and what it touches in loaded libraries; the compressor's megabyte.
const IMAGE_OWN: u64 = 2 * MIB;
const PACKER_OWN: u64 = MIB;

/// What a child may allocate beyond what it shares with its parent, in bytes.
///
/// Kept back: a margin for the application itself, and what either side copies of the shared pages as it writes to
/// them. Of 130 MB (Node.js 20, page frames of both compared) the child's collection copies 9 to 16 %, an idle application
/// nothing, one that writes all over its heap a third. A quarter is between; what is more, `must_end_child` sees. Where that
/// is not left, `external` is asked: Buffers are seldom written to again, and the child's collection does not move them. Where
/// the kernel would kill the whole control group (`memory.oom.group`) all of it is counted.
///
/// # Errors
///
/// [`SnapshotError::NoMemory`] when too little is left to try.
pub(super) fn child_budget(
    headroom: &Headroom,
    external: impl FnOnce() -> Option<u64>,
) -> Result<u64, SnapshotError> {
    let beyond = headroom.available.saturating_sub(margin(headroom));
    let mut copied = if headroom.oom_group { headroom.anonymous } else { headroom.anonymous / 4 };
    if beyond < copied + LEAST
        && !headroom.oom_group
        && let Some(external) = external()
    {
        let external = external.min(headroom.anonymous);
        copied = (headroom.anonymous - external) / 4 + external / 16;
    }
    let budget = beyond.saturating_sub(copied);
    if budget < LEAST {
        return Err(SnapshotError::NoMemory(format!(
            "{} MB are left below {}; of these {} MB must stay with the application and {} MB may be copied by it \
             and the child, which needs at least {} MB of its own",
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
/// the application to write to what they share. `packed`: it is compressed. `file`: what the image itself takes, where its
/// directory is in memory.
///
/// # Errors
///
/// [`SnapshotError::NoMemoryForImage`] when even that is not left.
pub(super) fn image_budget(
    headroom: &Headroom,
    packed: bool,
    file: Option<u64>,
) -> Result<u64, SnapshotError> {
    let needed = image_needs(headroom, packed, file);
    if headroom.available < needed {
        let of_these = file.map_or_else(String::new, |file| {
            let megabytes = file.div_ceil(MIB);
            format!(
                ", {megabytes} MB of them for the image itself: its directory is in memory (tmpfs), so choose one on a disk"
            )
        });
        return Err(SnapshotError::NoMemoryForImage(format!(
            "{} MB are left below {}, and {} MB are needed{of_these}",
            headroom.available / MIB,
            headroom.bound.describe(),
            needed.div_ceil(MIB),
        )));
    }
    // Only the record of a heap at its limit is made in memory that is allocated.
    Ok(IMAGE_OWN + PACKER_OWN + (headroom.available - needed) / 2)
}

/// Whether a whole image in the file cache would take what the application needs.
pub(super) fn cache_is_short(headroom: &Headroom) -> bool {
    headroom.available < headroom.anonymous + 64 * MIB
}

fn image_needs(headroom: &Headroom, packed: bool, file: Option<u64>) -> u64 {
    // The kernel's copies of page tables and of what it notes of each mapping: a control group is charged for them. V8 of Node.js 24
    // has 11 MB of them and 1,400 mappings at a heap of 200 MB.
    let tables = headroom.page_tables * 13 / 12;
    // What the application copies is not known beforehand: `must_end_child` sees what is beyond.
    let by_parent = headroom.anonymous / 128;
    let spare = least_beside(Kind::Image, headroom.oom_group, file.is_some());
    let own = IMAGE_OWN + if packed { PACKER_OWN } else { 0 };
    own + spare + tables + by_parent + file.unwrap_or(0)
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
pub(super) fn must_end_child(headroom: &Headroom, kind: Kind, least_left: u64) -> bool {
    left_beside(headroom, kind) < least_left
}

/// Whether that may be so in a moment.
pub(super) fn is_near_end(headroom: &Headroom, kind: Kind, least_left: u64) -> bool {
    left_beside(headroom, kind) < least_left + 32 * MIB
}

fn left_beside(headroom: &Headroom, kind: Kind) -> u64 {
    // An image is in the file cache before it is on the disk.
    let cache = if kind == Kind::Image { headroom.active_cache } else { 0 };
    headroom.available + cache
}

/// What must be left beside a child. `in_memory`: its file grows in memory, as fast as that can be written.
pub(super) fn least_beside(kind: Kind, oom_group: bool, in_memory: bool) -> u64 {
    match (kind, oom_group) {
        (Kind::Image, _) if in_memory => 16 * MIB,
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

    #[test]
    fn keeps_back_a_margin_and_a_quarter_of_what_is_shared() {
        assert_eq!(
            child_budget(&headroom(320, 100, false), || None).expect("enough"),
            (320 - 16 - 20 - 25) * MIB
        );
    }

    #[test]
    fn keeps_back_less_of_buffers_where_a_quarter_is_not_left() {
        let full = headroom(140, 368, false);
        assert!(child_budget(&full, || Some(0)).is_err());
        assert_eq!(
            child_budget(&full, || Some(352 * MIB)).expect("enough"),
            (140 - 16 - 4 - 22) * MIB - 140 * MIB / 16
        );
    }

    #[test]
    fn an_image_needs_little_at_any_size_of_the_heap() {
        let needs =
            |anonymous| image_needs(&headroom(0, anonymous, false), false, None).div_ceil(MIB);
        assert_eq!((needs(64), needs(256), needs(1024)), (7, 12, 31));
    }

    #[test]
    fn an_image_is_refused_where_even_that_is_not_left() {
        assert!(image_budget(&headroom(20, 250, false), true, None).is_ok());
        let error = image_budget(&headroom(11, 250, false), false, None).expect_err("too little");
        assert_eq!(error.code(), Some("ERR_HEAPDUMP_NO_MEMORY"));
        assert!(error.to_string().contains("11 MB are left"), "{error}");
    }

    #[test]
    fn an_image_in_memory_needs_that_of_its_file_too() {
        let headroom = headroom(120, 100, false);
        assert!(image_budget(&headroom, false, None).is_ok());
        let error = image_budget(&headroom, false, Some(100 * MIB)).expect_err("too little");
        assert!(error.to_string().contains("100 MB of them for the image itself"), "{error}");
        assert!(image_budget(&headroom, true, Some(100 * MIB / 8)).is_ok());
    }

    #[test]
    fn keeps_back_all_that_is_shared_where_the_group_dies_as_one() {
        assert_eq!(
            child_budget(&headroom(320, 100, true), || Some(90 * MIB)).expect("enough"),
            (320 - 16 - 20 - 100) * MIB
        );
    }

    #[test]
    fn refuses_when_too_little_is_left() {
        let error = child_budget(&headroom(48, 40, false), || None).expect_err("too little");
        assert_eq!(error.code(), Some("ERR_HEAPDUMP_NO_MEMORY"));
        assert!(
            error.to_string().contains("48 MB are left below the memory control group"),
            "{error}"
        );
    }

    #[test]
    fn a_child_goes_earlier_where_the_group_dies_as_one() {
        let must_end = |available, oom_group| {
            let least = least_beside(Kind::Snapshot, oom_group, false);
            must_end_child(&headroom(available, 0, oom_group), Kind::Snapshot, least)
        };
        assert!(must_end(7, false));
        assert!(!must_end(20, false));
        assert!(must_end(20, true));
    }
}
