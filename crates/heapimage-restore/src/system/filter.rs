//! The filter that the restored process runs in (seccomp(2)). Restoring an image is running a stranger's program: it may
//! work on its memory, read the clock, wait, write to the output and to standard error, and end.

use super::{call, errno};
use crate::arch::{AUDIT_ARCHITECTURE, number};
use crate::stop::Stop;

/// What a restored process may call, beside write(2) and mmap(2) of no descriptor. None names a file, a process or anything else outside.
pub const ALLOWED: [u32; 16] = [
    number::MPROTECT,
    number::MUNMAP,
    number::BRK,
    number::SCHED_YIELD,
    number::MREMAP,
    number::MADVISE,
    number::EXIT,
    number::GETTIMEOFDAY,
    number::TIME,
    number::FUTEX,
    number::CLOCK_GETTIME,
    number::CLOCK_GETRES,
    number::EXIT_GROUP,
    number::GETCPU,
    number::GETRANDOM,
    number::RSEQ,
];

/// Without this flag mmap(2) maps a descriptor, and what is mapped shared and written to is written to the file.
pub const MAP_ANONYMOUS: u32 = 0x20;

/// linux/filter.h: `struct sock_filter`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u16,
    when_true: u8,
    otherwise: u8,
    value: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JSET | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const HAS: u16 = 0x45;
const RETURN: u16 = 0x06;
/// Offsets in `struct seccomp_data`: the number, the architecture, the low words of the first and the fourth argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const FOURTH_ARGUMENT: u32 = 40;
/// What the kernel does (linux/seccomp.h).
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const ERROR: u32 = 0x0005_0000;

const HEAD: usize = 4;
/// The tests for mmap(2) and write(2), and the nine instructions after the tests.
const LENGTH: usize = HEAD + ALLOWED.len() + 2 + 9;

#[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
const LENGTH_16: u16 = {
    assert!(LENGTH < 256);
    LENGTH as u16
};

/// Sets it, for good. `output` is the descriptor that may be written to.
///
/// All other calls fail with EPERM, so that a C library finds its way. A write to another descriptor is EAGAIN: libuv's
/// `uv_async_send`, which V8's platform calls when it posts a task, takes that for a full pipe and aborts at any other
/// error (libuv, src/unix/async.c).
///
/// # Errors
///
/// [`Stop::Refused`] where the kernel has no filters.
pub fn shut_in(output: u32) -> Result<(), Stop> {
    const SET_MODE_FILTER: usize = 1;
    let program = program(output);
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    let program = Program { length: LENGTH_16, instructions: program.as_ptr() };
    let place = (&raw const program) as usize;
    // SAFETY: a program of that length, which is only read.
    match unsafe { call(number::SECCOMP, [SET_MODE_FILTER, 0, place, 0, 0, 0]) } {
        Ok(_) => Ok(()),
        Err(error) => Err(Stop::Refused { what: "this kernel sets no seccomp filter", error }),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the program has fewer than 256 instructions")]
fn program(output: u32) -> [Instruction; LENGTH] {
    let load = |value| Instruction { code: LOAD, when_true: 0, otherwise: 0, value };
    let end = |value| Instruction { code: RETURN, when_true: 0, otherwise: 0, value };
    let equal = |value, when_true| Instruction { code: EQUAL, when_true, otherwise: 0, value };
    let mut program = [end(ERROR | errno::EPERM.unsigned_abs()); LENGTH];
    let refused = HEAD + ALLOWED.len() + 2;
    let (allow, maps, writes) = (LENGTH - 1, refused + 1, refused + 4);
    let to = |from: usize, target: usize| (target - from - 1) as u8;
    program[0] = load(ARCHITECTURE);
    program[1] = equal(AUDIT_ARCHITECTURE, 1);
    program[2] = end(KILL);
    program[3] = load(NUMBER);
    for (index, &number) in ALLOWED.iter().enumerate() {
        program[HEAD + index] = equal(number, to(HEAD + index, allow));
    }
    program[refused - 2] = equal(number::MMAP, to(refused - 2, maps));
    program[refused - 1] = equal(number::WRITE, to(refused - 1, writes));
    // Behind it EPERM again.
    program[maps] = load(FOURTH_ARGUMENT);
    program[maps + 1] = Instruction { code: HAS, ..equal(MAP_ANONYMOUS, to(maps + 1, allow)) };
    program[writes] = load(FIRST_ARGUMENT);
    // The kernel looks at the low word of a descriptor alone, too.
    program[writes + 1] = equal(output, to(writes + 1, allow));
    program[writes + 2] = equal(super::MESSAGES.0, to(writes + 2, allow));
    program[writes + 3] = end(ERROR | errno::EAGAIN.unsigned_abs());
    program[allow] = end(ALLOW);
    program
}
