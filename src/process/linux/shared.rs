//! The page that a child and its parent share: progress one way, nothing the other.

use crate::process::Progress;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

/// A [`Progress`] in memory that survives a fork on both sides.
pub(crate) struct SharedPage(NonNull<Progress>);

// SAFETY: the page is shared memory that holds atomics only.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// # Errors
    ///
    /// What mmap(2) says.
    pub(crate) fn new() -> io::Result<SharedPage> {
        // SAFETY: a new anonymous mapping touches no memory of anyone.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Progress>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // An anonymous mapping is zero, and zero is a valid Progress.
        NonNull::new(address.cast())
            .map(SharedPage)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }
}

impl SharedPage {
    /// In a child, which never unmaps it: the page for as long as the process lives.
    pub(crate) fn for_child(&self) -> &'static Progress {
        // SAFETY: the child ends by _exit, without running this value's `drop`.
        unsafe { self.0.as_ref() }
    }
}

impl Deref for SharedPage {
    type Target = Progress;
    fn deref(&self) -> &Progress {
        // SAFETY: mapped, aligned to a page and zeroed or written as atomics until `drop`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping and hands out borrows of itself only.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Progress>()) };
    }
}
