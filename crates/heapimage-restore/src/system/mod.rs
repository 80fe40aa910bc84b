//! Linux: the system calls of the restorer, and what it does with them. Without a C library.
#![allow(unsafe_code)]

pub(crate) mod bpf;
pub mod files;
pub mod filter;
pub mod limits;
pub mod marks;
pub mod memory;
pub mod privileges;
pub mod say;

use crate::arch::{number, system_call};
use crate::input::Input;
use core::cell::Cell;
use core::ffi::CStr;

/// The result of a system call, or the number of its error.
pub type Outcome = Result<usize, i32>;

/// The errors that are told apart (errno(3)).
#[expect(missing_docs, reason = "the kernel's own names")]
pub mod errno {
    pub const EPERM: i32 = 1;
    pub const EINTR: i32 = 4;
    pub const EAGAIN: i32 = 11;
    pub const EACCES: i32 = 13;
    pub const EEXIST: i32 = 17;
    pub const ESPIPE: i32 = 29;
    pub const ENOSYS: i32 = 38;
}

const O_RDONLY: usize = 0;
const O_WRONLY: usize = 1;
/// O_CLOEXEC, O_NONBLOCK, O_NOCTTY: it waits for nobody at the other end of a pipe.
const HOW: usize = 0o2_000_000 | 0o4000 | 0o400;

/// Makes a system call.
///
/// # Safety
///
/// What the call does to memory must be right.
pub unsafe fn call(number: u32, arguments: [usize; 6]) -> Outcome {
    // SAFETY: as the caller says.
    let result = unsafe { system_call(number, arguments) };
    usize::try_from(result).map_err(|_| i32::try_from(-result).unwrap_or(i32::MAX))
}

/// An open file. It stays open: the program ends soon, one way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor(pub u32);

/// The image.
pub const IMAGE: Descriptor = Descriptor(0);
/// Where the snapshot goes.
pub const OUTPUT: Descriptor = Descriptor(1);
/// Where it is said why there is none.
pub const MESSAGES: Descriptor = Descriptor(2);

impl Descriptor {
    /// Opens a file to read.
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    pub fn open(path: &CStr) -> Result<Descriptor, i32> {
        open(path, O_RDONLY)
    }

    /// Opens a file to read, in the directory that this is of (openat(2)).
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    pub fn open_below(self, path: &CStr) -> Result<Descriptor, i32> {
        let arguments = [self.0 as usize, path.as_ptr() as usize, O_RDONLY | HOW, 0, 0, 0];
        // SAFETY: a text with a zero at its end, which is only read.
        unsafe { call(number::OPENAT, arguments) }.map(opened)
    }

    /// The same where the directory is another process' root: no name and no link leads out of it (openat2(2)).
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    pub fn open_inside(self, path: &CStr) -> Result<Descriptor, i32> {
        /// RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT (linux/openat2.h).
        const INSIDE: u64 = 0x02 | 0x10;
        // `struct open_how`: flags, mode, how names are resolved.
        let how = [(O_RDONLY | HOW) as u64, 0, INSIDE];
        let arguments = [self.0 as usize, path.as_ptr() as usize, how.as_ptr() as usize, 24, 0, 0];
        // SAFETY: a text with a zero at its end, and 24 bytes, which are only read.
        match unsafe { call(number::OPENAT2, arguments) } {
            // Linux before 5.6.
            Err(errno::ENOSYS) => self.open_below(path),
            opened => opened.map(self::opened),
        }
    }

    /// Opens a file to write.
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    pub fn open_to_write(path: &CStr) -> Result<Descriptor, i32> {
        open(path, O_WRONLY)
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    pub fn write(self, mut bytes: &[u8]) -> Result<(), i32> {
        while !bytes.is_empty() {
            let [at, length] = [bytes.as_ptr() as usize, bytes.len()];
            // SAFETY: memory that is only read.
            match unsafe { call(number::WRITE, [self.0 as usize, at, length, 0, 0, 0]) } {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts it at another number, where it is open in programs that are started, too.
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    pub fn duplicate_to(self, other: u32) -> Result<(), i32> {
        if self.0 == other {
            return Ok(());
        }
        // SAFETY: no memory is touched.
        unsafe { call(number::DUP3, [self.0 as usize, other as usize, 0, 0, 0, 0]) }.map(|_| ())
    }

    /// Closes it.
    pub fn close(self) {
        // SAFETY: no memory is touched.
        let _ = unsafe { call(number::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }

    /// Whether it is of a regular file: no pipe, device or directory (`st_mode` in `struct stat` of x86-64: byte 24).
    #[must_use]
    pub fn is_regular(self) -> bool {
        const S_IFMT: u64 = 0o170_000;
        const S_IFREG: u64 = 0o100_000;
        let mut stat = [0_u64; 18];
        let place = stat.as_mut_ptr() as usize;
        // SAFETY: 144 bytes, as the kernel writes.
        let told = unsafe { call(number::FSTAT, [self.0 as usize, place, 0, 0, 0, 0]) };
        told.is_ok() && stat[3] & S_IFMT == S_IFREG
    }
}

/// Closes all but [`IMAGE`], [`OUTPUT`] and [`MESSAGES`]: whoever started this program may have left others open.
pub fn close_others() {
    const FIRST: u32 = MESSAGES.0 + 1;
    /// More than a process can be given without being root (`fs.nr_open`).
    const MOST: u32 = 1 << 20;
    // SAFETY: no memory is touched.
    let closed =
        unsafe { call(number::CLOSE_RANGE, [FIRST as usize, u32::MAX as usize, 0, 0, 0, 0]) };
    if closed.is_err() {
        // Linux before 5.9.
        (FIRST..MOST).for_each(|number| Descriptor(number).close());
    }
}

fn open(path: &CStr, how: usize) -> Result<Descriptor, i32> {
    // SAFETY: a text with a zero at its end, which is only read.
    unsafe { call(number::OPEN, [path.as_ptr() as usize, how | HOW, 0, 0, 0, 0]) }.map(opened)
}

fn opened(number: usize) -> Descriptor {
    Descriptor(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Input for Descriptor {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, i32> {
        let [at, length] = [bytes.as_mut_ptr() as usize, bytes.len()];
        loop {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            // SAFETY: the kernel writes into this slice and nowhere else.
            let read =
                unsafe { call(number::PREAD64, [self.0 as usize, at, length, offset, 0, 0]) };
            if read != Err(errno::EINTR) {
                return read;
            }
        }
    }
}

/// The image: a file, or a pipe that is read once, from its beginning to its end.
pub struct Source {
    descriptor: Descriptor,
    /// How much of a pipe was read.
    position: Option<Cell<u64>>,
}

impl Source {
    /// What [`IMAGE`] is.
    #[must_use]
    pub fn new(is_pipe: bool) -> Source {
        Source { descriptor: IMAGE, position: is_pipe.then(Cell::default) }
    }
}

impl Input for Source {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, i32> {
        let Some(position) = &self.position else { return self.descriptor.read_at(offset, bytes) };
        if position.get() != offset {
            return Err(errno::ESPIPE);
        }
        let [at, length] = [bytes.as_mut_ptr() as usize, bytes.len()];
        loop {
            // SAFETY: the kernel writes into this slice and nowhere else.
            let read =
                unsafe { call(number::READ, [self.descriptor.0 as usize, at, length, 0, 0, 0]) };
            if read != Err(errno::EINTR) {
                position.set(offset + read.unwrap_or(0) as u64);
                return read;
            }
        }
    }
}

/// Ends the process.
pub fn exit(status: i32) -> ! {
    loop {
        let status = usize::try_from(status).unwrap_or(1);
        // SAFETY: it does not return.
        let _ = unsafe { call(number::EXIT_GROUP, [status, 0, 0, 0, 0, 0]) };
    }
}
