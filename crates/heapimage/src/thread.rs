use crate::PAGE;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A thread of a core file that goes on where it was: its registers. Behind it lies its XSAVE area, in the kernel's
/// standard form (`NT_X86_XSTATE`), and at the next multiple of [`thread_bytes`] the next one.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ThreadRecord {
    /// `user_regs_struct` of x86-64 (sys/user.h), with system calls set to begin again that do so after a signal.
    pub registers: [u64; REGISTERS],
    /// The thread's number in its process.
    pub number: u64,
    /// 1 for the thread whose isolate the snapshot is of.
    pub is_main: u64,
    /// Zeros to a page.
    pub reserved: [u64; 512 - REGISTERS - 2],
}

const _: () = assert!(size_of::<ThreadRecord>() as u64 == PAGE);

impl ThreadRecord {
    /// What is used of the stack below the stack pointer: the red zone (128 bytes, psABI) and two words under it.
    pub const BELOW_STACK: u64 = 128 + 16;
}

/// As many as go on: more than any program that works has.
pub const MOST_THREADS: u32 = 4096;

/// The shortest XSAVE area: its legacy part and its header (Intel SDM, volume 1, 13.4).
pub const LEAST_XSAVE_BYTES: u32 = 576;

/// The longest that is taken for one.
pub const MOST_XSAVE_BYTES: u32 = 1 << 20;

/// Registers of a record.
pub const REGISTERS: usize = 27;

/// Names of registers in [`ThreadRecord::registers`].
pub mod register {
    /// What a system call answered.
    pub const RAX: usize = 10;
    /// The system call's number; all ones where the thread was in none.
    pub const ORIG_RAX: usize = 15;
    /// The next instruction.
    pub const RIP: usize = 16;
    /// RFLAGS.
    pub const FLAGS: usize = 18;
    /// The stack pointer.
    pub const RSP: usize = 19;
    /// The thread pointer.
    pub const FS_BASE: usize = 21;
    /// Zero in programs for Linux.
    pub const GS_BASE: usize = 22;
}

/// The bytes from one record to the next in an image whose largest XSAVE area has `xsave_bytes`
/// ([`Machine::xsave_bytes`](crate::Machine::xsave_bytes)).
#[must_use]
pub fn thread_bytes(xsave_bytes: u32) -> u64 {
    PAGE + u64::from(xsave_bytes).next_multiple_of(PAGE)
}
