//! Memory of this process that another one may read without asking.
//!
//! A memfd (memfd_create(2)) that stays open: it is found among /proc/PID/fd by its name, and read through that. Both need
//! what ptrace(2) calls `PTRACE_MODE_READ`, which Yama's level 1 leaves to the same user; /proc/PID/mem would need more.

use std::ffi::{CStr, c_uint};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::fs::PermissionsExt;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Zeroed memory of a fixed size, for as long as the process lives. Programs that it starts do not inherit it.
pub(crate) struct PublicPage {
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping is never unmapped, and is written through `&mut self` or atomics alone.
unsafe impl Send for PublicPage {}
// SAFETY: as above.
unsafe impl Sync for PublicPage {}

impl PublicPage {
    /// # Errors
    ///
    /// What memfd_create(2), ftruncate(2) or mmap(2) says: a kernel before 3.17 and some seccomp filters have no memfd.
    pub(crate) fn new(name: &CStr, size: usize) -> io::Result<PublicPage> {
        let mut file = create(name)?;
        if file.as_raw_fd() <= 2 {
            // The place of a closed standard descriptor, which is for others. A copy gets one from 3 on (F_DUPFD_CLOEXEC).
            file = file.try_clone()?;
        }
        file.set_len(size as u64)?;
        // Who may find it may read it, also after the process has given up its user.
        file.set_permissions(Permissions::from_mode(0o444))?;
        // SAFETY: a new mapping of a file that is as long as said touches no memory of anyone.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        seal(&file);
        // It is found by its descriptor.
        let _ = file.into_raw_fd();
        let address = NonNull::new(address.cast())
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(PublicPage { address, size })
    }

    /// Copies `bytes` to `offset`; nothing of it where they do not fit.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.size) {
            return;
        }
        // SAFETY: inside of the mapping, which no reference to plain bytes points into. Readers are other processes.
        unsafe {
            self.address.as_ptr().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    /// The number at `offset`, a multiple of eight; `None` outside of the page.
    pub(crate) fn number(&self, offset: usize) -> Option<&AtomicU64> {
        let fits = offset.is_multiple_of(align_of::<AtomicU64>()) && offset + 8 <= self.size;
        // SAFETY: inside of the mapping, aligned as the mapping is to a page; atomics may be shared.
        fits.then(|| unsafe { AtomicU64::from_ptr(self.address.as_ptr().add(offset).cast()) })
    }
}

fn create(name: &CStr) -> io::Result<File> {
    /// Since Linux 6.3; where `vm.memfd_noexec` is 2 there is none without.
    const MFD_NOEXEC_SEAL: c_uint = 8;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let try_with = |flags: c_uint| {
        // A system call by its number, since the C library may be older than the kernel.
        // SAFETY: `name` is a C string; the call makes a new descriptor and nothing else.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) };
        match i32::try_from(fd) {
            // SAFETY: just made, and nobody else's.
            Ok(fd) if fd >= 0 => Ok(unsafe { File::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match try_with(flags | MFD_NOEXEC_SEAL) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => try_with(flags),
        other => other,
    }
}

/// Of this size for good, and written by this mapping alone (the latter since Linux 5.1).
fn seal(file: &File) {
    const F_SEAL_FUTURE_WRITE: i32 = 0x10;
    let size = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: fcntl(2) on a descriptor of ours. Without a seal the page serves as well.
    unsafe {
        if libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, size | F_SEAL_FUTURE_WRITE) != 0 {
            libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, size);
        }
    }
}
