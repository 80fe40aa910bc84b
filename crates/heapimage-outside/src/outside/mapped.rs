//! A file as memory, of which nothing is copied: programs have a hundred megabytes.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

/// No program or library has more; a file with holes may have any size.
const MOST_BYTES: usize = 1 << 30;

/// All of a file.
pub(crate) struct Mapped {
    place: *mut libc::c_void,
    length: usize,
}

impl Mapped {
    pub(crate) fn of(file: &File) -> io::Result<Mapped> {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if length > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let (protection, how) = (libc::PROT_READ, libc::MAP_PRIVATE);
        // SAFETY: new memory, wherever the kernel likes.
        let place = unsafe { libc::mmap(null_mut(), length, protection, how, file.as_raw_fd(), 0) };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapped { place, length })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped until this is dropped. A program that runs is not cut (ETXTBSY); whoever cuts a library ends this
        // program before it has touched anything.
        unsafe { std::slice::from_raw_parts(self.place.cast(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: this mapping, which nobody has any more.
        unsafe { libc::munmap(self.place, self.length) };
    }
}
