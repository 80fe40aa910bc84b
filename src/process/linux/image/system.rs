//! System calls of a child that has one thread and nothing left of its parent's heap: no allocation, no lock, no
//! thread-local but errno. Each begins again after a signal.

use std::ffi::{CStr, c_int};
use std::io;
use std::os::fd::RawFd;

/// open(2) for reading.
pub(super) fn open(path: &CStr) -> Result<RawFd, i32> {
    // SAFETY: a C string.
    check(|| unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) } as isize)
        .map(descriptor)
}

/// close(2).
pub(super) fn close(file: RawFd) {
    // SAFETY: a descriptor that this module opened.
    unsafe { libc::close(file) };
}

/// read(2).
pub(super) fn read(file: RawFd, into: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: the buffer is as long as said.
    check(|| unsafe { libc::read(file, into.as_mut_ptr().cast(), into.len()) })
}

/// pread(2).
pub(super) fn read_at(file: RawFd, into: &mut [u8], offset: u64) -> Result<usize, i32> {
    let offset = offset.cast_signed();
    // SAFETY: the buffer is as long as said.
    check(|| unsafe { libc::pread64(file, into.as_mut_ptr().cast(), into.len(), offset) })
}

/// write(2) of all of it. `wrote` hears of each part.
pub(super) fn write_all(
    file: RawFd,
    mut bytes: &[u8],
    mut wrote: impl FnMut(usize),
) -> Result<(), i32> {
    while !bytes.is_empty() {
        // SAFETY: the buffer is as long as said.
        let written = check(|| unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) })?;
        if written == 0 {
            return Err(libc::EIO);
        }
        wrote(written);
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// fsync(2).
pub(super) fn sync(file: RawFd) -> Result<(), i32> {
    // SAFETY: a number.
    check(|| unsafe { libc::fsync(file) } as isize).map(drop)
}

/// sync_file_range(2): these bytes begin to be written to the disk. What cannot (a pipe) does not matter.
pub(super) fn push_to_disk(file: RawFd, start: u64, bytes: u64) {
    let (start, bytes) = (start.cast_signed(), bytes.cast_signed());
    // SAFETY: numbers.
    unsafe {
        let flags = libc::SYNC_FILE_RANGE_WRITE;
        libc::syscall(libc::SYS_sync_file_range, file, start, bytes, flags);
    }
}

/// Waits until these bytes are written, and drops them from the file cache (posix_fadvise(2), POSIX_FADV_DONTNEED).
pub(super) fn leave_cache(file: RawFd, start: u64, bytes: u64) {
    let wait = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let (start, bytes) = (start.cast_signed(), bytes.cast_signed());
    // SAFETY: numbers.
    unsafe {
        libc::syscall(libc::SYS_sync_file_range, file, start, bytes, wait);
        libc::posix_fadvise(file, start, bytes, libc::POSIX_FADV_DONTNEED);
    }
}

/// linkat(2), through a link of /proc too.
pub(super) fn link(from: &CStr, to: &CStr) -> Result<(), i32> {
    let (here, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
    // SAFETY: two C strings.
    check(|| unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), follow) } as isize)
        .map(drop)
}

/// rename(2).
pub(super) fn rename(from: &CStr, to: &CStr) -> Result<(), i32> {
    // SAFETY: two C strings.
    check(|| unsafe { libc::rename(from.as_ptr(), to.as_ptr()) } as isize).map(drop)
}

/// renameat2(2) with `RENAME_NOREPLACE`: fails with `EEXIST` where `to` is there. Where the kernel or the file system knows no
/// such flag, a rename(2) to what has just been seen to be free.
pub(super) fn rename_to_free(from: &CStr, to: &CStr) -> Result<(), i32> {
    let here = libc::AT_FDCWD;
    // SAFETY: two C strings.
    let renamed = check(|| unsafe {
        let flags = libc::RENAME_NOREPLACE;
        let done =
            libc::syscall(libc::SYS_renameat2, here, from.as_ptr(), here, to.as_ptr(), flags);
        isize::try_from(done).unwrap_or(-1)
    });
    match renamed {
        Err(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM) => {
            if exists(to) {
                Err(libc::EEXIST)
            } else {
                rename(from, to)
            }
        }
        renamed => renamed.map(drop),
    }
}

/// Whether anything has this name, be it a link to nothing (lstat(2)).
fn exists(path: &CStr) -> bool {
    // SAFETY: a C string and a valid place; zeros are a valid stat.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        libc::lstat(path.as_ptr(), &raw mut found) == 0
    }
}

/// unlink(2).
pub(super) fn unlink(path: &CStr) {
    // SAFETY: a C string.
    unsafe { libc::unlink(path.as_ptr()) };
}

/// mincore(2): of each page from `address` on the lowest bit says whether it is in memory, and reading it makes none.
pub(super) fn find_resident(address: u64, pages: &mut [u8]) -> Result<(), i32> {
    let address = usize::try_from(address).map_err(|_| libc::ENOMEM)?;
    let bytes = pages.len() * 4096;
    let address = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: one byte for each page; of an address that is not mapped it is an error.
    check(|| unsafe { libc::mincore(address, bytes, pages.as_mut_ptr()) } as isize).map(drop)
}

/// munmap(2), on the same terms as [`give_back`].
pub(super) fn unmap(address: u64, bytes: u64) {
    let (Ok(address), Ok(bytes)) = (usize::try_from(address), usize::try_from(bytes)) else {
        return;
    };
    let address = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: as for `give_back`.
    unsafe { libc::munmap(address, bytes) };
}

/// madvise(2), MADV_DONTNEED: this process no longer has these pages. What refuses (locked pages) stays.
pub(super) fn give_back(address: u64, bytes: u64) {
    let (Ok(address), Ok(bytes)) = (usize::try_from(address), usize::try_from(bytes)) else {
        return;
    };
    let address = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: memory that the writer says nobody uses any more, in a process that ends by `_exit` and runs nothing else.
    unsafe { libc::madvise(address, bytes, libc::MADV_DONTNEED) };
}

/// Numbers of the descriptors that are open (getdents64(2) of /proc/self/fd); nothing where that cannot be read.
pub(super) fn each_descriptor(buffer: &mut [u8], mut each: impl FnMut(u32)) {
    // SAFETY: a C string.
    let opened = check(|| unsafe {
        libc::open(c"/proc/self/fd".as_ptr(), libc::O_DIRECTORY | libc::O_CLOEXEC) as isize
    });
    let Ok(list) = opened.map(descriptor) else { return };
    loop {
        // SAFETY: the buffer is as long as said.
        let read = check(|| unsafe {
            let read = libc::syscall(libc::SYS_getdents64, list, buffer.as_mut_ptr(), buffer.len());
            isize::try_from(read).unwrap_or(-1)
        });
        let Ok(read @ 1..) = read else { break };
        let records = buffer.get(..read).unwrap_or_default();
        for number in super::super::child::directory_numbers(records) {
            if number != list {
                each(number.unsigned_abs());
            }
        }
    }
    close(list);
}

fn check(mut call: impl FnMut() -> isize) -> Result<usize, i32> {
    loop {
        if let Ok(done) = usize::try_from(call()) {
            return Ok(done);
        }
        match errno() {
            libc::EINTR => {}
            other => return Err(other),
        }
    }
}

pub(super) fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn descriptor(number: usize) -> RawFd {
    RawFd::try_from(number).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_shared_memory_only_what_was_touched_is_resident() {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of four pages, of which one byte is written, and which nobody else knows.
        let address = unsafe {
            let address = libc::mmap(std::ptr::null_mut(), 4 * 4096, access, flags, -1, 0);
            assert_ne!(address, libc::MAP_FAILED);
            address.cast::<u8>().add(2 * 4096).write(1);
            address
        };
        let mut pages = [0; 4];
        assert_eq!(find_resident(address.expose_provenance() as u64, &mut pages), Ok(()));
        assert_eq!(pages.map(|page| page & 1), [0, 0, 1, 0]);
        // SAFETY: the mapping of above.
        unsafe { libc::munmap(address, 4 * 4096) };
    }
}
