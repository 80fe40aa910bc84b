//! Programs of seccomp filters (linux/filter.h, linux/seccomp.h), and setting them.

use super::call;
use crate::arch::number;
use crate::stop::Stop;

/// `struct sock_filter`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) when_true: u8,
    pub(crate) otherwise: u8,
    pub(crate) value: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`, and with `BPF_K` `BPF_JMP | BPF_JEQ`, `BPF_JMP | BPF_JSET`, `BPF_JMP | BPF_JGE`, `BPF_RET`.
pub(crate) const LOAD: u16 = 0x20;
pub(crate) const EQUAL: u16 = 0x15;
pub(crate) const HAS: u16 = 0x45;
pub(crate) const AT_LEAST: u16 = 0x35;
pub(crate) const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`: of what has eight bytes, the low word's.
pub(crate) const NUMBER: u32 = 0;
pub(crate) const ARCHITECTURE: u32 = 4;
pub(crate) const INSTRUCTION: u32 = 8;
pub(crate) const FIRST_ARGUMENT: u32 = 16;
pub(crate) const FOURTH_ARGUMENT: u32 = 40;

/// What the kernel does.
pub(crate) const ALLOW: u32 = 0x7fff_0000;
pub(crate) const KILL: u32 = 0x8000_0000;
pub(crate) const ERROR: u32 = 0x0005_0000;
pub(crate) const TRAP: u32 = 0x0003_0000;

/// Without this flag mmap(2) maps a descriptor, and what is mapped shared and written to is written to the file.
pub(crate) const MAP_ANONYMOUS: u32 = 0x20;

pub(crate) const fn load(value: u32) -> Instruction {
    test(LOAD, value, 0, 0)
}

pub(crate) const fn end(value: u32) -> Instruction {
    test(RETURN, value, 0, 0)
}

pub(crate) const fn test(code: u16, value: u32, when_true: u8, otherwise: u8) -> Instruction {
    Instruction { code, when_true, otherwise, value }
}

/// How far an instruction jumps to come to another.
#[expect(clippy::cast_possible_truncation, reason = "programs have fewer than 256 instructions")]
pub(crate) const fn jump(from: usize, to: usize) -> u8 {
    assert!(to > from && to - from <= 256);
    (to - from - 1) as u8
}

/// Whose calls a filter is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// The calling thread, and what it starts.
    ThisThread,
    /// All threads of the process.
    AllThreads,
}

/// Sets a filter, for good.
///
/// # Errors
///
/// [`Stop::Refused`] where the kernel has no filters.
///
/// # Safety
///
/// Where it traps, a handler of SIGSYS is set.
pub(crate) unsafe fn set(instructions: &[Instruction], of: Of) -> Result<(), Stop> {
    const SET_MODE_FILTER: usize = 1;
    /// SECCOMP_FILTER_FLAG_TSYNC.
    const ALL_THREADS: usize = 1;
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    let length = u16::try_from(instructions.len()).unwrap_or(0);
    let program = Program { length, instructions: instructions.as_ptr() };
    let place = (&raw const program) as usize;
    let flags = if of == Of::AllThreads { ALL_THREADS } else { 0 };
    // SAFETY: a program of that length, which is only read.
    match unsafe { call(number::SECCOMP, [SET_MODE_FILTER, flags, place, 0, 0, 0]) } {
        Ok(0) => Ok(()),
        Ok(_) => Err(Stop::Refused { what: "a thread cannot be filtered", error: 0 }),
        Err(error) => Err(Stop::Refused { what: "this kernel sets no seccomp filter", error }),
    }
}
