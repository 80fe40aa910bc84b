//! /proc/self/pagemap: what the kernel has at each page (admin-guide/mm/pagemap.rst).

use std::os::fd::RawFd;

/// What is said of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageEntry(pub(super) u64);

impl PageEntry {
    /// It is in memory, so reading it costs nothing and cannot fail.
    pub(super) fn is_present(self) -> bool {
        self.bit(63)
    }

    /// It has contents, in memory or swapped out. Without, an anonymous page is zeros.
    pub(super) fn has_contents(self) -> bool {
        (self.bit(63) || self.bit(62)) && !self.is_guard()
    }

    /// It is this process' alone, or was when it was forked: not a file's, nor of memory that processes share.
    pub(super) fn is_private(self) -> bool {
        !self.bit(61)
    }

    /// Reading it is a fault (MADV_GUARD_INSTALL; said since Linux 6.15).
    fn is_guard(self) -> bool {
        self.bit(58)
    }

    fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// Reads the entries from `address` on into `entries`; how many there are.
///
/// # Errors
///
/// The errno.
pub(super) fn read_entries(
    pagemap: RawFd,
    address: u64,
    entries: &mut [u64],
) -> Result<usize, i32> {
    use zerocopy::IntoBytes;
    const ENTRY: u64 = size_of::<u64>() as u64;
    let offset = address / heapimage::PAGE * ENTRY;
    let bytes = super::system::read_at(pagemap, entries.as_mut_bytes(), offset)?;
    Ok(bytes / size_of::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_contents_from_holes_and_guards() {
        assert!(!PageEntry(0).has_contents());
        assert!(PageEntry(1 << 63).has_contents() && PageEntry(1 << 63).is_present());
        assert!(PageEntry(1 << 62).has_contents() && !PageEntry(1 << 62).is_present());
        assert!(!PageEntry(1 << 62 | 1 << 58).has_contents());
        assert!(PageEntry(1 << 63).is_private() && !PageEntry(1 << 63 | 1 << 61).is_private());
    }

    #[test]
    fn finds_the_touched_page_of_two() {
        use std::os::fd::AsRawFd;
        let mut region = super::super::region::Region::new(8192).expect("mapped");
        // SAFETY: used no longer than `region`.
        let pages = unsafe { region.take::<[u8; 4096]>(2) }.expect("two");
        std::hint::black_box(&mut *pages)[1][7] = 1;
        let pagemap = std::fs::File::open("/proc/self/pagemap").expect("there");
        let mut entries = [0; 2];
        let read = read_entries(pagemap.as_raw_fd(), region.range().start, &mut entries);
        assert_eq!(read, Ok(2));
        assert!(!PageEntry(entries[0]).has_contents());
        assert!(PageEntry(entries[1]).is_present() && PageEntry(entries[1]).is_private());
    }
}
