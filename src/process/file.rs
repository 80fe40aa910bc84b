//! Open files: who holds one, and a name for one that has none.

use std::fs::File;
#[cfg(target_os = "linux")]
use std::{io, path::Path};

/// Who holds a file's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// This process, from now on; a forked child inherits it, and the last of them that ends gives it back.
    ByUs,
    ByAnother,
    /// Nobody can tell: the file system may be another machine's too, or knows no locks.
    Unknown,
}

/// Takes the file's lock (flock(2)) if it is free. Only where it costs nothing and is worth something: on a disk of another
/// machine's a lock may be a question that is never answered (NFS 3), or one that only this machine knows of (FUSE, 9p, SMB).
#[cfg(target_os = "linux")]
pub(crate) fn hold(file: &File) -> Held {
    use std::os::fd::AsRawFd;
    if !is_on_local_disk(file) {
        return Held::Unknown;
    }
    // SAFETY: a descriptor that `file` keeps open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Held::ByUs;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EWOULDBLOCK) => Held::ByAnother,
        _ => Held::Unknown,
    }
}

/// Takes the file's lock if it is free; not asked of this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn hold(_file: &File) -> Held {
    Held::Unknown
}

#[cfg(target_os = "linux")]
const TMPFS: u64 = 0x0102_1994;
#[cfg(target_os = "linux")]
const RAMFS: u64 = 0x8584_58F6;

/// File systems that one kernel alone writes, by their number in `linux/magic.h` (ZFS and bcachefs: their own headers).
#[cfg(target_os = "linux")]
const LOCAL: [u64; 12] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    TMPFS,
    RAMFS,
    0xF2F5_2010, // F2FS
    0x794C_7630, // overlayfs
    0x4D44,      // vfat
    0x2011_BAB0, // exFAT
    0x7366_746E, // NTFS3
    0x2FC1_2FC1, // ZFS
    0xCA45_1A4E, // bcachefs
];

#[cfg(target_os = "linux")]
fn is_on_local_disk(file: &File) -> bool {
    file_system(file).is_some_and(|number| LOCAL.contains(&number))
}

/// Whether what is written to it stays in memory (/dev/shm, `docker run --tmpfs`, an emptyDir of `medium: Memory`), which the
/// control group of the writer is charged for.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_memory(file: &File) -> bool {
    file_system(file).is_some_and(|number| [TMPFS, RAMFS].contains(&number))
}

#[cfg(target_os = "linux")]
fn file_system(file: &File) -> Option<u64> {
    use std::os::fd::AsRawFd;
    // SAFETY: a descriptor that `file` keeps open, and a valid place for what fstatfs(2) writes.
    let found = unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        if libc::fstatfs(file.as_raw_fd(), &raw mut found) != 0 {
            return None;
        }
        found
    };
    // Its type differs by system, and 32 bits are all that it has.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    Some(u64::from(found.f_type as u32))
}

/// Gives an open file that has no name (`O_TMPFILE`) the name `path`, which must be free: linkat(2) of its link in /proc, which
/// needs no privilege. Runs in a forked child too.
///
/// # Errors
///
/// What linkat(2) says; `AlreadyExists` where something has the name.
#[cfg(target_os = "linux")]
pub(crate) fn link_open_file(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let source = std::ffi::CString::new(open_file_path(file))?;
    let target = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: two C strings.
    let linked = unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            source.as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    if linked == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Where /proc shows an open file.
#[cfg(target_os = "linux")]
pub(crate) fn open_file_path(file: &File) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
