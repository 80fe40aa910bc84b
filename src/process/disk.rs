//! Room on a file system.

use std::io;
use std::path::Path;

/// Bytes that this process may still write in `directory`; `None` where that cannot be told.
#[cfg(unix)]
pub(crate) fn free_space(directory: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(directory.as_os_str().as_bytes()).ok()?;
    // SAFETY: `path` is a C string and `answer` a valid place for what statvfs(3) writes.
    let answer = unsafe {
        let mut answer: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &raw mut answer) != 0 {
            return None;
        }
        answer
    };
    // Their types differ by system.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let (blocks, size) = (answer.f_bavail as u64, answer.f_frsize as u64);
    blocks.checked_mul(size)
}

/// Bytes that this process may still write in `directory`; not asked of Windows.
#[cfg(windows)]
pub(crate) fn free_space(_directory: &Path) -> Option<u64> {
    None
}

/// ENOSPC, as a write would say it.
pub(crate) fn no_space() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::ENOSPC);
    #[cfg(windows)]
    return io::ErrorKind::StorageFull.into();
}
