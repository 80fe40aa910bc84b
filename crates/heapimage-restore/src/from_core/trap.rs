//! What becomes of a call that would leave the process: instead of failing, it traps (SECCOMP_RET_TRAP), and the handler of
//! SIGSYS decides. Code that went on from a core is the application's, and stops there.

use super::{ISOLATE, fail, sleep, snapshot};
use crate::arch::number;
use crate::system::{call, errno};
use core::arch::global_asm;
use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The main thread's number.
static MAIN: AtomicUsize = AtomicUsize::new(0);

/// System calls beside those of [`number`] (`arch/x86/entry/syscalls/syscall_64.tbl`).
pub(super) mod more {
    pub(in crate::from_core) const RT_SIGACTION: u32 = 13;
    pub(in crate::from_core) const RT_SIGPROCMASK: u32 = 14;
    pub(in crate::from_core) const RT_SIGRETURN: u32 = 15;
    pub(in crate::from_core) const NANOSLEEP: u32 = 35;
    pub(in crate::from_core) const GETPID: u32 = 39;
    pub(in crate::from_core) const CLONE: u32 = 56;
    pub(in crate::from_core) const FORK: u32 = 57;
    pub(in crate::from_core) const VFORK: u32 = 58;
    pub(in crate::from_core) const UNAME: u32 = 63;
    pub(in crate::from_core) const GETRLIMIT: u32 = 97;
    pub(in crate::from_core) const GETRUSAGE: u32 = 98;
    pub(in crate::from_core) const SYSINFO: u32 = 99;
    pub(in crate::from_core) const SIGALTSTACK: u32 = 131;
    pub(in crate::from_core) const SETPRIORITY: u32 = 141;
    pub(in crate::from_core) const GETTID: u32 = 186;
    pub(in crate::from_core) const SCHED_GETAFFINITY: u32 = 204;
    pub(in crate::from_core) const RESTART_SYSCALL: u32 = 219;
    pub(in crate::from_core) const CLOCK_NANOSLEEP: u32 = 230;
    pub(in crate::from_core) const SET_ROBUST_LIST: u32 = 273;
    pub(in crate::from_core) const MEMBARRIER: u32 = 324;
    pub(in crate::from_core) const CLONE3: u32 = 435;
}

/// What may be called from anywhere, beside mmap(2) of no descriptor: memory, waiting and the clock.
pub(super) const ALLOWED: [u32; 19] = [
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
