//! What becomes of a call that would leave the process: instead of failing, it traps (SECCOMP_RET_TRAP), and the handler of
//! SIGSYS decides. Code that went on from a core is the application's, and stops there.

use super::{ISOLATE, fail, sleep, snapshot};
use crate::arch::{AUDIT_ARCHITECTURE, number};
use crate::stop::Stop;
use crate::system::{MESSAGES, call, errno};
use core::arch::global_asm;
use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};
use heapimage::FLOOR;

/// The main thread's number.
static MAIN: AtomicUsize = AtomicUsize::new(0);

/// System calls beside those of [`number`] (`arch/x86/entry/syscalls/syscall_64.tbl`).
mod more {
    pub(super) const RT_SIGACTION: u32 = 13;
    pub(super) const RT_SIGPROCMASK: u32 = 14;
    pub(super) const RT_SIGRETURN: u32 = 15;
    pub(super) const NANOSLEEP: u32 = 35;
    pub(super) const GETPID: u32 = 39;
    pub(super) const CLONE: u32 = 56;
    pub(super) const FORK: u32 = 57;
    pub(super) const VFORK: u32 = 58;
    pub(super) const UNAME: u32 = 63;
    pub(super) const GETRLIMIT: u32 = 97;
    pub(super) const GETRUSAGE: u32 = 98;
    pub(super) const SYSINFO: u32 = 99;
    pub(super) const SIGALTSTACK: u32 = 131;
    pub(super) const SETPRIORITY: u32 = 141;
    pub(super) const GETTID: u32 = 186;
    pub(super) const SCHED_GETAFFINITY: u32 = 204;
    pub(super) const RESTART_SYSCALL: u32 = 219;
    pub(super) const CLOCK_NANOSLEEP: u32 = 230;
    pub(super) const SET_ROBUST_LIST: u32 = 273;
    pub(super) const MEMBARRIER: u32 = 324;
    pub(super) const CLONE3: u32 = 435;
}

/// What may be called from anywhere: memory, waiting and the clock.
const ALLOWED: [u32; 20] = [
    number::MMAP,
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
    number::GETCPU,
    number::GETRANDOM,
    more::NANOSLEEP,
    more::CLOCK_NANOSLEEP,
    more::RESTART_SYSCALL,
    more::GETPID,
    more::GETTID,
];

/// Fail or do nothing without anybody's harm, so that they are no reason to stop.
const HARMLESS: [u32; 11] = [
    more::UNAME,
    more::GETRLIMIT,
    more::GETRUSAGE,
    more::SYSINFO,
    more::SETPRIORITY,
    number::PRCTL,
    more::SCHED_GETAFFINITY,
    more::SET_ROBUST_LIST,
    number::PRLIMIT64,
    more::MEMBARRIER,
    number::RSEQ,
];

/// The number of the calling thread (gettid(2)).
pub(super) fn thread_number() -> usize {
    // SAFETY: it only answers.
    unsafe { call(more::GETTID, [0; 6]) }.unwrap_or(0)
}

const SIGSYS: usize = 31;
/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const FAULTS: [usize; 6] = [4, 5, 6, 7, 8, 11];

/// A handler of signals, as the kernel calls it.
type Handler = unsafe extern "C" fn(c_int, *const Information, *mut Context);

/// `struct kernel_sigaction` of x86-64.
#[repr(C)]
struct Action {
    handler: Handler,
    flags: u64,
    restorer: unsafe extern "C" fn(),
    mask: u64,
}

/// `siginfo_t` of SIGSYS: the call's number at byte 24.
#[repr(C)]
struct Information {
    head: [u32; 6],
    number: u32,
}

/// `struct ucontext` of x86-64 up to its registers: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax.
#[repr(C)]
struct Context {
    head: [u64; 5],
    registers: [u64; 16],
}

const RSI: usize = 9;
const RDX: usize = 12;
const RAX: usize = 13;

unsafe extern "C" {
    fn from_core_return_from_signal();
}

global_asm!(
    ".text",
    "from_core_return_from_signal:",
    "mov eax, {number}",
    "syscall",
    number = const more::RT_SIGRETURN,
);

/// Sets the handlers, for all threads, and lets all signals through: a blocked SIGSYS would end the process.
///
/// # Safety
///
/// Before threads are made, which inherit both.
pub(super) unsafe fn handle_signals(main: usize) {
    /// SA_SIGINFO, SA_RESTORER, SA_NODEFER.
    const FLAGS: u64 = 0x4 | 0x0400_0000 | 0x4000_0000;
    const SIG_SETMASK: usize = 2;
    const SET_BYTES: usize = 8;
    MAIN.store(main, Ordering::Release);
    let set = |signal: usize, handler: Handler| {
        let restorer = from_core_return_from_signal;
        let action = Action { handler, flags: FLAGS, restorer, mask: 0 };
        let place = (&raw const action) as usize;
        // SAFETY: the structure is only read.
        let _ = unsafe { call(more::RT_SIGACTION, [signal, place, 0, SET_BYTES, 0, 0]) };
    };
    set(SIGSYS, on_call);
    FAULTS.into_iter().for_each(|signal| set(signal, on_fault));
    let none = 0_u64;
    // SAFETY: as above.
    let _ = unsafe {
        call(more::RT_SIGPROCMASK, [SIG_SETMASK, (&raw const none) as usize, 0, SET_BYTES, 0, 0])
    };
}

/// A call that the filter lets through for nobody but this program.
unsafe extern "C" fn on_call(
    _signal: c_int,
    information: *const Information,
    context: *mut Context,
) {
    // SAFETY: the kernel's, valid during the call.
    let (number, registers) = unsafe { ((*information).number, &mut (*context).registers) };
    let answer = match number {
        // Signals are handled here, whatever the application thinks.
        more::RT_SIGACTION => clear(registers[RDX], 4),
        more::RT_SIGPROCMASK => clear(registers[RDX], 1),
        more::SIGALTSTACK => clear(registers[RSI], 3),
        // The application's locks are held, so it must come to the end of this.
        more::CLONE | more::FORK | more::VFORK | more::CLONE3 => -i64::from(errno::EAGAIN),
        // As is a MessagePort's, whose thread wakes another: libuv aborts at an error (src/unix/async.c).
        number::WRITE => registers[RDX].cast_signed(),
        number if HARMLESS.contains(&number) => -ENOSYS,
        _ if thread_number() != MAIN.load(Ordering::Acquire) => sleep(),
        _ if snapshot::is_taking() => -ENOSYS,
        _ => match ISOLATE.load(Ordering::Acquire) {
            0 => -ENOSYS,
            // It left V8: this is as good as a safe point.
            isolate => snapshot::take(isolate),
        },
    };
    registers[RAX] = answer.cast_unsigned();
}

const ENOSYS: i64 = 38;

/// Where an old value would be stored: nothing was there.
fn clear(place: u64, words: usize) -> i64 {
    let place = crate::arch::address(place) as *mut u64;
    for word in 0..if place.is_null() { 0 } else { words } {
        // SAFETY: memory that the image's own code gave the kernel to write to.
        unsafe { place.add(word).write_unaligned(0) };
    }
    0
}

/// A thread that cannot go on. The others may, and the main one is at a place as good as any.
unsafe extern "C" fn on_fault(
    signal: c_int,
    _information: *const Information,
    _context: *mut Context,
) {
    if thread_number() != MAIN.load(Ordering::Acquire) {
        sleep();
    }
    match ISOLATE.load(Ordering::Acquire) {
        isolate if isolate != 0 && !snapshot::is_taking() => snapshot::take(isolate),
        _ => fail(format_args!("V8 crashed in the restored process (signal {signal})")),
    }
}

/// linux/filter.h: `struct sock_filter`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u16,
    when_true: u8,
    otherwise: u8,
    value: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JGE | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const INSTRUCTION: u32 = 8;
const FIRST_ARGUMENT: u32 = 16;
/// What the kernel does (linux/seccomp.h).
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const TRAP: u32 = 0x0003_0000;

const HEAD: usize = 4;
/// Tests for this program's own calls, and two ends.
const TAIL: usize = 13;
const LENGTH: usize = HEAD + ALLOWED.len() + TAIL;

/// Sets the filter on all threads, for good. Only this program itself may write, to `output` and to standard error, and end
/// the process.
///
/// # Errors
///
/// [`Stop::Refused`] where the kernel has no filters.
///
/// # Safety
///
/// The handler of SIGSYS is set.
pub(super) unsafe fn shut_in(output: u32) -> Result<(), Stop> {
    const SET_MODE_FILTER: usize = 1;
    const ALL_THREADS: usize = 1;
    let program = program(output);
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
    const COUNT: u16 = {
        assert!(LENGTH < 256);
        LENGTH as u16
    };
    let program = Program { length: COUNT, instructions: program.as_ptr() };
    let place = (&raw const program) as usize;
    // SAFETY: a program of that length, which is only read.
    match unsafe { call(number::SECCOMP, [SET_MODE_FILTER, ALL_THREADS, place, 0, 0, 0]) } {
        Ok(0) => Ok(()),
        Ok(_) => Err(Stop::Refused { what: "a thread cannot be filtered", error: 0 }),
        Err(error) => Err(Stop::Refused { what: "this kernel sets no seccomp filter", error }),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the program has fewer than 256 instructions")]
fn program(output: u32) -> [Instruction; LENGTH] {
    let load = |value| Instruction { code: LOAD, when_true: 0, otherwise: 0, value };
    let end = |value| Instruction { code: RETURN, when_true: 0, otherwise: 0, value };
    let test =
        |code, value, when_true, otherwise| Instruction { code, when_true, otherwise, value };
    let mut program = [end(TRAP); LENGTH];
    let (trap, allow) = (LENGTH - 2, LENGTH - 1);
    let to = |from: usize, target: usize| (target - from - 1) as u8;
    program[0] = load(ARCHITECTURE);
    program[1] = test(EQUAL, AUDIT_ARCHITECTURE, 1, 0);
    program[2] = end(KILL);
    program[3] = load(NUMBER);
    for (index, &number) in ALLOWED.iter().enumerate() {
        program[HEAD + index] = test(EQUAL, number, to(HEAD + index, allow), 0);
    }
    let own = HEAD + ALLOWED.len();
    // From an instruction of this program, which lies below FLOOR: both words are compared.
    program[own] = load(INSTRUCTION + 4);
    program[own + 1] = test(EQUAL, 0, 0, to(own + 1, trap));
    program[own + 2] = load(INSTRUCTION);
    program[own + 3] = test(AT_LEAST, FLOOR as u32, to(own + 3, trap), 0);
    program[own + 4] = load(NUMBER);
    program[own + 5] = test(EQUAL, number::EXIT_GROUP, to(own + 5, allow), 0);
    program[own + 6] = test(EQUAL, more::RT_SIGRETURN, to(own + 6, allow), 0);
    program[own + 7] = test(EQUAL, number::WRITE, 0, to(own + 7, trap));
    // The kernel looks at the low word of a descriptor alone, too.
    program[own + 8] = load(FIRST_ARGUMENT);
    program[own + 9] = test(EQUAL, output, to(own + 9, allow), 0);
    program[own + 10] = test(EQUAL, MESSAGES.0, to(own + 10, allow), 0);
    program[trap] = end(TRAP);
    program[allow] = end(ALLOW);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: u32 = 1;
    const OWN: u64 = 0x10_1234;
    const APPLICATION: u64 = 0x7f00_0010_1234;

    /// What the kernel does with a call: the filter, carried out (linux/filter.h).
    fn decided(architecture: u32, number: u32, from: u64, argument: u64) -> u32 {
        let program = program(OUTPUT);
        let (mut at, mut value) = (0, 0);
        loop {
            let Instruction { code, when_true, otherwise, value: operand } = program[at];
            let is = match code {
                LOAD => {
                    let word = |words: u64, at: u32| (words >> (8 * at) & 0xffff_ffff) as u32;
                    value = match operand {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        INSTRUCTION | 12 => word(from, operand - INSTRUCTION),
                        FIRST_ARGUMENT => word(argument, 0),
                        other => panic!("it reads at {other}"),
                    };
                    at += 1;
                    continue;
                }
                RETURN => return operand,
                EQUAL => value == operand,
                AT_LEAST => value >= operand,
                other => panic!("instruction {other:#x}"),
            };
            at += 1 + usize::from(if is { when_true } else { otherwise });
        }
    }

    fn of(number: u32, from: u64, argument: u64) -> u32 {
        decided(AUDIT_ARCHITECTURE, number, from, argument)
    }

    #[test]
    fn memory_and_waiting_are_for_all() {
        for number in ALLOWED {
            assert_eq!(of(number, APPLICATION, 0), ALLOW, "{number}");
        }
    }

    #[test]
    fn everything_else_of_the_application_traps() {
        for number in (0..500).filter(|number| !ALLOWED.contains(number)) {
            assert_eq!(of(number, APPLICATION, u64::from(OUTPUT)), TRAP, "{number}");
        }
    }

    #[test]
    fn this_program_writes_to_the_output_and_ends() {
        let own = |number, argument| of(number, OWN, argument);
        assert_eq!(
            [own(number::WRITE, 1), own(number::WRITE, 2), own(number::EXIT_GROUP, 0)],
            [ALLOW; 3]
        );
        assert_eq!([own(number::WRITE, 3), own(number::OPEN, 1), own(more::CLONE, 1)], [TRAP; 3]);
    }

    #[test]
    fn an_address_whose_low_word_alone_is_ours_is_not_ours() {
        assert_eq!(of(number::WRITE, 0x1_0010_1234, 1), TRAP);
        assert_eq!(of(number::WRITE, FLOOR, 1), TRAP);
    }

    #[test]
    fn calls_of_32_bits_end_the_process() {
        assert_eq!(decided(0x4000_0003, number::MMAP, OWN, 1), KILL);
    }
}
