//! ptrace(2), and waiting for what it reports: the only code here that is not safe.
#![allow(unsafe_code)]

use super::arch::Registers;
use heapimage::REGISTERS;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// The number of an error (errno(3)).
pub(crate) type Outcome<T> = Result<T, i32>;

/// What waitpid(2) reports of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is gone.
    Ended,
    /// It was stopped by [`interrupt`], or all of its process is (SIGSTOP).
    Stopped,
    /// It has just made a copy of its process (PTRACE_EVENT_CLONE).
    Cloned,
    /// It is before or behind a system call.
    AtCall,
    /// This signal is about to be delivered to it.
    Signal(i32),
}

/// PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACECLONE, PTRACE_O_EXITKILL, PTRACE_O_SUSPEND_SECCOMP.
pub(crate) mod option {
    pub(crate) const MARKED_CALLS: usize = 1;
    pub(crate) const CLONES: usize = 8;
    pub(crate) const ENDS_WITH_TRACER: usize = 1 << 20;
    pub(crate) const NO_FILTER: usize = 1 << 21;
}

/// What ptrace(2) calls its requests, in each C library.
#[cfg(target_env = "musl")]
type Request = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

/// NT_PRSTATUS, NT_X86_XSTATE (elf.h).
const STATUS: usize = 1;
const XSTATE: usize = 0x202;
const MOST_XSAVE_BYTES: usize = 64 << 10;
/// `sizeof(sigset_t)` of the kernel's.
const SET_BYTES: usize = 8;
/// Requests that the C libraries know by different types (linux/ptrace.h).
const GET_MASK: Request = 0x420a;
const SET_MASK: Request = 0x420b;
const GET_RSEQ_CONFIGURATION: Request = 0x420f;

/// # Safety
///
/// `data` must be what the request expects.
unsafe fn request(what: Request, thread: i32, address: usize, data: usize) -> Outcome<()> {
    // SAFETY: as the caller says. Of another process only what the request says is changed.
    match unsafe { libc::ptrace(what, thread, address, data) } {
        -1 => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        _ => Ok(()),
    }
}

/// From now on a thread is traced, without being stopped. Nothing else is asked for: its children are nobody's business.
pub(crate) fn seize(thread: i32) -> Outcome<()> {
    // SAFETY: no memory is touched.
    unsafe { request(libc::PTRACE_SEIZE, thread, 0, 0) }
}

/// It stops as soon as it can.
pub(crate) fn interrupt(thread: i32) -> Outcome<()> {
    // SAFETY: no memory is touched.
    unsafe { request(libc::PTRACE_INTERRUPT, thread, 0, 0) }
}

/// A stopped thread goes on, untraced, and is handed a signal (0: none).
pub(crate) fn detach(thread: i32, signal: i32) -> Outcome<()> {
    // SAFETY: no memory is touched.
    unsafe { request(libc::PTRACE_DETACH, thread, 0, usize::try_from(signal).unwrap_or(0)) }
}

/// A stopped thread goes on.
pub(crate) fn go_on(thread: i32, signal: i32) -> Outcome<()> {
    // SAFETY: no memory is touched.
    unsafe { request(libc::PTRACE_CONT, thread, 0, usize::try_from(signal).unwrap_or(0)) }
}

/// A stopped thread goes on until it is before or behind a system call.
pub(crate) fn go_on_to_call(thread: i32, signal: i32) -> Outcome<()> {
    // SAFETY: no memory is touched.
    unsafe { request(libc::PTRACE_SYSCALL, thread, 0, usize::try_from(signal).unwrap_or(0)) }
}

pub(crate) fn set_options(thread: i32, options: usize) -> Outcome<()> {
    // SAFETY: no memory is touched.
    unsafe { request(libc::PTRACE_SETOPTIONS, thread, 0, options) }
}

/// The number of the process that [`Report::Cloned`] is about.
pub(crate) fn cloned(thread: i32) -> Outcome<i32> {
    let mut number: libc::c_ulong = 0;
    // SAFETY: a word, as the kernel writes.
    unsafe { request(libc::PTRACE_GETEVENTMSG, thread, 0, (&raw mut number) as usize)? };
    i32::try_from(number).ok().filter(|number| *number > 0).ok_or(libc::ESRCH)
}

/// The general registers of a stopped thread.
pub(crate) fn registers(thread: i32) -> Outcome<Registers> {
    let mut words = [0_u64; REGISTERS];
    let mut part =
        libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
    // SAFETY: the kernel writes no more than the iovec says.
    unsafe { request(libc::PTRACE_GETREGSET, thread, STATUS, (&raw mut part) as usize)? };
    Ok(Registers(words))
}

pub(crate) fn set_registers(thread: i32, registers: &Registers) -> Outcome<()> {
    let words = &registers.0;
    let mut part =
        libc::iovec { iov_base: words.as_ptr().cast_mut().cast(), iov_len: size_of_val(words) };
    // SAFETY: the words are only read.
    unsafe { request(libc::PTRACE_SETREGSET, thread, STATUS, (&raw mut part) as usize) }
}

/// Its XSAVE area, in the standard form.
pub(crate) fn xsave(thread: i32) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0_u8; MOST_XSAVE_BYTES];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: the kernel writes no more than the iovec says.
    unsafe { request(libc::PTRACE_GETREGSET, thread, XSTATE, (&raw mut part) as usize)? };
    bytes.truncate(part.iov_len);
    Ok(bytes)
}

/// The signals that a stopped thread does not take now.
pub(crate) fn mask(thread: i32) -> Outcome<u64> {
    let mut mask = 0_u64;
    // SAFETY: eight bytes, as said.
    unsafe { request(GET_MASK, thread, SET_BYTES, (&raw mut mask) as usize)? };
    Ok(mask)
}

pub(crate) fn set_mask(thread: i32, mask: u64) -> Outcome<()> {
    // SAFETY: eight bytes, which are only read.
    unsafe { request(SET_MASK, thread, SET_BYTES, (&raw const mask) as usize) }
}

/// Where a thread has its rseq(2) area; `None` where it has none, or the kernel does not tell (before 5.13).
pub(crate) fn rseq(thread: i32) -> Option<u64> {
    // `struct ptrace_rseq_configuration`: the address, and three words of 32 bits.
    let mut words = [0_u64; 3];
    let place = words.as_mut_ptr() as usize;
    // SAFETY: 24 bytes, as said.
    unsafe { request(GET_RSEQ_CONFIGURATION, thread, size_of_val(&words), place).ok()? };
    (words[0] != 0).then_some(words[0])
}

/// Blocks the signals that would end or stop this program between two steps (Ctrl-Z as well as Ctrl-C), and SIGCHLD, which
/// [`wait`] waits for.
pub(crate) fn block_signals() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a full set, without those that tell of this program's own faults; it is only read.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), null_mut());
    }
}

/// This program is told to end when the one that started it has ended.
pub(crate) fn end_with_parent() {
    // SAFETY: no memory is touched.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
}

/// Sends a main thread a signal.
pub(crate) fn send(main: i32, signal: i32) {
    // SAFETY: no memory is touched. It is traced by this process, so its number is no other's.
    unsafe { libc::syscall(libc::SYS_tgkill, main, main, signal) };
}

/// Writing does not wait.
pub(crate) fn do_not_wait(file: &File) -> std::io::Result<()> {
    // SAFETY: flags of an open file.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits until something can be written, or so long.
pub(crate) fn wait_for_room(file: &File, time: Duration) {
    let mut of = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one element, as said.
    unsafe { libc::poll(&raw mut of, 1, libc::c_int::try_from(time.as_millis()).unwrap_or(0)) };
}

/// Whether one of the blocked signals that end programs has come.
pub(crate) fn was_interrupted() -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the kernel fills the set before it is looked at.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0
            && [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT]
                .into_iter()
                .any(|signal| libc::sigismember(set.as_ptr(), signal) == 1)
    }
}

fn signals(numbers: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: an empty set, to which numbers of signals are added.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for number in numbers {
            libc::sigaddset(set.as_mut_ptr(), *number);
        }
        set.assume_init()
    }
}

/// What is reported next, of `thread` or (-1) of any; `None` after `deadline`. A thread of which nothing can be heard has ended.
pub(crate) fn wait(thread: i32, deadline: Instant) -> Option<(i32, Report)> {
    let child = signals(&[libc::SIGCHLD]);
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes the status.
        match unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) } {
            0 => {}
            found if found > 0 => return Some((found, report(status))),
            _ => return Some((thread, Report::Ended)),
        }
        let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_millis(5));
        if left.is_zero() {
            return None;
        }
        let time = libc::timespec { tv_sec: 0, tv_nsec: libc::c_long::from(left.subsec_nanos()) };
        // SAFETY: both are only read. SIGCHLD is blocked, so none is missed; several may be one.
        unsafe { libc::sigtimedwait(&raw const child, null_mut(), &raw const time) };
    }
}

fn report(status: i32) -> Report {
    /// PTRACE_EVENT_CLONE and PTRACE_EVENT_STOP, and what TRACESYSGOOD adds to SIGTRAP.
    const CLONED: i32 = 3;
    const STOPPED: i32 = 128;
    const MARK: i32 = 0x80;
    if !libc::WIFSTOPPED(status) {
        return Report::Ended;
    }
    match (status >> 16, libc::WSTOPSIG(status)) {
        (STOPPED, _) => Report::Stopped,
        (CLONED, _) => Report::Cloned,
        (0, signal) if signal == libc::SIGTRAP | MARK => Report::AtCall,
        (0, signal) => Report::Signal(signal),
        _ => Report::Signal(0),
    }
}

/// Descriptor 1, which is closed with it: whoever reads there is not kept waiting for the end of this program. Once.
pub(crate) fn output() -> File {
    // SAFETY: open, and nobody else's: this program prints nothing.
    unsafe { File::from_raw_fd(1) }
}

/// Ends the copy. Never anything else: it is traced by this process, so its number is no other's.
pub(crate) fn end(copy: i32) {
    // SAFETY: no memory is touched.
    unsafe { libc::kill(copy, libc::SIGKILL) };
}

/// Whether a child of this very process, which has the same filter, survives the calls that are injected.
pub(crate) fn survives_calls(clone_flags: u64) -> bool {
    // SAFETY: the children do nothing but make system calls and end; this program has one thread.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            if libc::syscall(libc::SYS_clone, clone_flags, 0, 0, 0, 0) == 0 {
                libc::_exit(0);
            }
            libc::syscall(libc::SYS_madvise, 0, 0, libc::MADV_DOFORK);
            libc::syscall(libc::SYS_wait4, -1, 0, libc::__WALL, 0);
            libc::syscall(libc::SYS_exit_group, 0);
        }
        let mut status = 0;
        child > 0 && libc::waitpid(child, &raw mut status, 0) == child && status == 0
    }
}
