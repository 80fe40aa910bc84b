//! A file as bytes, without reading it into memory.

use std::fs::File;
use std::io;
use std::ops::Deref;

/// A whole file, mapped to be read. Another process that shortens it meanwhile ends this one (SIGBUS): for commands, which do
/// that one thing, and not inside of applications.
pub(crate) struct MappedFile {
    start: *const u8,
    length: usize,
}

// SAFETY: memory that nobody writes to, and that belongs to this alone.
unsafe impl Send for MappedFile {}
// SAFETY: as above.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// # Errors
    ///
    /// fstat(2)'s and mmap(2)'s.
    pub(crate) fn open(file: &File) -> io::Result<MappedFile> {
        use std::os::fd::AsRawFd;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if length == 0 {
            return Ok(MappedFile { start: std::ptr::NonNull::dangling().as_ptr(), length });
        }
        // SAFETY: a new mapping of `length` bytes at an address that the kernel chooses, of a descriptor that is open.
        let start = unsafe {
            let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
            libc::mmap(std::ptr::null_mut(), length, read, private, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(MappedFile { start: start.cast(), length })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped there, to be read, until `self` is dropped; or there are none.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the mapping that `open` made; nothing borrows from `self` any more.
            unsafe { libc::munmap(self.start.cast_mut().cast(), self.length) };
        }
    }
}
