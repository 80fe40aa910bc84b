//! Memory that the parent maps for its child, which allocates nothing.

use std::io;
use std::ptr::NonNull;
use zerocopy::FromZeros;

/// A mapping between two pages without access: the kernel would merge it with a neighbour that the image has.
#[derive(Debug)]
pub(super) struct Region {
    outer: NonNull<u8>,
    bytes: usize,
    taken: usize,
}

/// What is handed out begins at a whole page.
const PAGE: usize = 4096;
const _: () = assert!(PAGE as u64 == heapimage::PAGE);

// SAFETY: the memory belongs to this value, which is moved between threads with it.
unsafe impl Send for Region {}

impl Region {
    /// # Errors
    ///
    /// What mmap(2) says.
    pub(super) fn new(bytes: usize) -> io::Result<Region> {
        let bytes = bytes.next_multiple_of(PAGE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, and calls on pages of its own alone.
        unsafe {
            let outer =
                libc::mmap(std::ptr::null_mut(), bytes + 2 * PAGE, libc::PROT_NONE, flags, -1, 0);
            if outer == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let region = Region { outer: NonNull::new_unchecked(outer.cast()), bytes, taken: 0 };
            let inner = outer.byte_add(PAGE);
            if libc::mprotect(inner, bytes, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return Err(io::Error::last_os_error());
            }
            // A huge page would be 2 MB of the child's own for the first byte.
            libc::madvise(inner, bytes, libc::MADV_NOHUGEPAGE);
            Ok(region)
        }
    }

    /// The addresses that can be used.
    pub(super) fn range(&self) -> std::ops::Range<u64> {
        let start = self.outer.as_ptr() as u64 + PAGE as u64;
        start..start + self.bytes as u64
    }

    /// The next `count` values, all zeros.
    ///
    /// # Safety
    ///
    /// They are used no longer than the region lives.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::OutOfMemory`] when so many are not left.
    pub(super) unsafe fn take<T: FromZeros>(
        &mut self,
        count: usize,
    ) -> io::Result<&'static mut [T]> {
        const { assert!(align_of::<T>() <= PAGE) };
        let bytes = count.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        if bytes > self.bytes - self.taken {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: inside the mapping, at a whole page, handed out once; a new mapping is zeros, which is a valid `T`. The caller
        // answers for the lifetime.
        let values = unsafe {
            let first = self.outer.as_ptr().add(PAGE + self.taken).cast::<T>();
            std::slice::from_raw_parts_mut(first, count)
        };
        self.taken = (self.taken + bytes).next_multiple_of(PAGE).min(self.bytes);
        Ok(values)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: this value's own mapping; nothing of it is used any more (`take`).
        unsafe { libc::munmap(self.outer.as_ptr().cast(), self.bytes + 2 * PAGE) };
    }
}
