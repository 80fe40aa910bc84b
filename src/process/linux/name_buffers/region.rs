//! Memory for names in the child: blocks of one size, each cut to what was written into it before the next is given out.

use std::ffi::c_void;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// The size that `v8::internal::StringsStorage::GetVFormatted` asks for.
pub(super) const BLOCK: usize = 1024;

/// What `operator new[]` promises, and what lengths are rounded to.
const ALIGNMENT: usize = 16;

/// Made writable at a time.
const STEP: usize = 256 << 10;

/// Address space: about 60 million names. It costs nothing until it is written to.
const MOST: usize = 1 << 30;

/// A range of address space that fills up from its start. One thread uses it; the atomics are there because it is a
/// static. Empty until [`Region::reserve`].
///
/// Runs in the child: no allocation, no lock.
pub(super) struct Region {
    start: AtomicUsize,
    end: AtomicUsize,
    /// Up to here it can be written to.
    writable: AtomicUsize,
    /// Up to here it is given out.
    cursor: AtomicUsize,
    /// The block given out last, unless it was given back.
    newest: AtomicUsize,
}

impl Region {
    pub(super) const fn new() -> Region {
        Region {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            writable: AtomicUsize::new(0),
            cursor: AtomicUsize::new(0),
            newest: AtomicUsize::new(0),
        }
    }

    /// Gives it address space; `false` when there is none.
    pub(super) fn reserve(&self) -> bool {
        let size = most_under(address_space_limit());
        // SAFETY: a new mapping touches no memory of anyone. Without access it counts towards no limit on memory.
        let address = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0)
        };
        if address == libc::MAP_FAILED {
            return false;
        }
        let start = address as usize;
        self.end.store(start + size, Relaxed);
        for place in [&self.start, &self.writable, &self.cursor] {
            place.store(start, Relaxed);
        }
        true
    }

    pub(super) fn contains(&self, address: usize) -> bool {
        let start = self.start.load(Relaxed);
        address.wrapping_sub(start) < self.end.load(Relaxed) - start
    }

    /// A block of [`BLOCK`] bytes; `None` when the region is full or the memory limit is reached.
    pub(super) fn allocate(&self) -> Option<usize> {
        let block = self.cursor.load(Relaxed);
        let end = block + BLOCK;
        if end > self.writable.load(Relaxed) {
            self.extend()?;
        }
        self.cursor.store(end, Relaxed);
        self.newest.store(block, Relaxed);
        Some(block)
    }

    /// `length` bytes of `block` are used: the rest of it is given out again, if it is the newest block. Until the next
    /// block is given out all of it may still be written to.
    pub(super) fn cut(&self, block: usize, length: usize) {
        if self.is_newest(block) && length <= BLOCK {
            let used = length.next_multiple_of(ALIGNMENT);
            let end = block + BLOCK;
            // Formatted twice: the longer text counts, for the shorter one may be what is used of it.
            let cursor = self.cursor.load(Relaxed);
            let earlier = if cursor == end { 0 } else { cursor - block };
            self.cursor.store(block + used.max(earlier), Relaxed);
        }
    }

    /// Takes `block` back if it is the newest; any other is lost.
    pub(super) fn give_back(&self, block: usize) {
        if self.is_newest(block) {
            self.cursor.store(block, Relaxed);
            self.newest.store(0, Relaxed);
        }
    }

    fn is_newest(&self, block: usize) -> bool {
        block != 0 && self.newest.load(Relaxed) == block
    }

    #[cold]
    fn extend(&self) -> Option<()> {
        let writable = self.writable.load(Relaxed);
        if writable + STEP > self.end.load(Relaxed) {
            return None;
        }
        // SAFETY: the range belongs to this region and holds nothing yet. Neighbours of equal protection become one
        // mapping again.
        let result = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mprotect(writable as *mut c_void, STEP, protection)
        };
        if result != 0 {
            return None;
        }
        self.writable.store(writable + STEP, Relaxed);
        Some(())
    }
}

/// Under a limit on address space a reservation is felt, so it is kept small.
fn most_under(limit: Option<usize>) -> usize {
    limit.map_or(MOST, |limit| MOST.min(limit / 8 / STEP * STEP).max(STEP))
}

fn address_space_limit() -> Option<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for the answer.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY)
        .then(|| usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        let region = Region::new();
        assert!(!region.contains(0) && region.allocate().is_none());
        assert!(region.reserve());
        region
    }

    #[test]
    fn a_cut_block_makes_room_for_the_next() {
        let region = region();
        let first = region.allocate().expect("room");
        region.cut(first, 5);
        let second = region.allocate().expect("room");
        assert_eq!(second - first, 16);
        region.cut(second, 17);
        assert_eq!(region.allocate().expect("room") - second, 32);
        assert!(region.contains(first) && region.contains(second + BLOCK));
    }

    #[test]
    fn only_the_newest_block_is_cut_or_given_back() {
        let region = region();
        let (first, second) = (region.allocate().expect("room"), region.allocate().expect("room"));
        region.cut(first, 1);
        region.give_back(first);
        let third = region.allocate().expect("room");
        assert_eq!(third - second, BLOCK);
        region.cut(third, 1);
        region.give_back(third);
        region.give_back(third);
        region.cut(third, 100);
        assert_eq!(region.allocate(), Some(third));
    }

    #[test]
    fn a_block_formatted_twice_keeps_the_longer_text() {
        let region = region();
        let first = region.allocate().expect("room");
        region.cut(first, 100);
        region.cut(first, 1);
        assert_eq!(region.allocate().expect("room") - first, 112);
    }

    #[test]
    fn every_block_can_be_written_to() {
        let region = region();
        for index in 0..1000_usize {
            let block = region.allocate().expect("room");
            assert_eq!(block % ALIGNMENT, 0);
            // SAFETY: the region has just given this block out.
            let bytes = unsafe { std::slice::from_raw_parts_mut(block as *mut u8, BLOCK) };
            bytes.fill(1);
            region.cut(block, index % BLOCK);
        }
    }

    #[test]
    fn a_limit_on_address_space_is_left_to_the_snapshot() {
        assert_eq!(most_under(None), MOST);
        assert_eq!(most_under(Some(2 << 30)), 256 << 20);
        assert_eq!(most_under(Some(64 << 30)), MOST);
    }
}
