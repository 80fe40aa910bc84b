//! The filter that the restored process runs in (seccomp(2)). Restoring an image is running a stranger's program: it may
//! work on its memory, read the clock, wait, write to the output and to standard error, and end.

use super::bpf::{
    ALLOW, ARCHITECTURE, EQUAL, ERROR, FIRST_ARGUMENT, FOURTH_ARGUMENT, HAS, Instruction, KILL,
    MAP_ANONYMOUS, NUMBER, Of, end, jump, load, set, test,
};
use super::errno;
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

const HEAD: usize = 4;
/// The tests for mmap(2) and write(2), and the nine instructions after the tests.
const LENGTH: usize = HEAD + ALLOWED.len() + 2 + 9;

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
    // SAFETY: it does not trap.
    unsafe { set(&program(output), Of::ThisThread) }
}

fn program(output: u32) -> [Instruction; LENGTH] {
    let mut program = [end(ERROR | errno::EPERM.unsigned_abs()); LENGTH];
    let refused = HEAD + ALLOWED.len() + 2;
    let (allow, maps, writes) = (LENGTH - 1, refused + 1, refused + 4);
    program[0] = load(ARCHITECTURE);
    program[1] = test(EQUAL, AUDIT_ARCHITECTURE, 1, 0);
    program[2] = end(KILL);
    program[3] = load(NUMBER);
    for (index, &number) in ALLOWED.iter().enumerate() {
        program[HEAD + index] = test(EQUAL, number, jump(HEAD + index, allow), 0);
    }
    program[refused - 2] = test(EQUAL, number::MMAP, jump(refused - 2, maps), 0);
    program[refused - 1] = test(EQUAL, number::WRITE, jump(refused - 1, writes), 0);
    // Behind it EPERM again.
    program[maps] = load(FOURTH_ARGUMENT);
    program[maps + 1] = test(HAS, MAP_ANONYMOUS, jump(maps + 1, allow), 0);
    program[writes] = load(FIRST_ARGUMENT);
    // The kernel looks at the low word of a descriptor alone, too.
    program[writes + 1] = test(EQUAL, output, jump(writes + 1, allow), 0);
    program[writes + 2] = test(EQUAL, super::MESSAGES.0, jump(writes + 2, allow), 0);
    program[writes + 3] = end(ERROR | errno::EAGAIN.unsigned_abs());
    program[allow] = end(ALLOW);
    program
}
