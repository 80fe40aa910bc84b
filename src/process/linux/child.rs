//! The forked child's first steps. Everything here runs in a process that is a copy of a server: it gives up what is
//! the parent's (descriptors, signals, priority) before it does anything else, and it ends by `_exit` alone.

use super::aside::{DataLimit, limit_data, step_back};
use super::procfs::kilobytes;
use crate::process::{Failure, Progress};
use crate::v8;
use std::ffi::{CStr, c_int, c_void};
use std::fs;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64};

/// How a child prepares itself.
pub(crate) struct ChildSetup<'a> {
    /// The one descriptor that it keeps.
    pub(crate) output: RawFd,
    /// /dev/null, opened by the parent: a child at the limit of open files cannot open it.
    pub(crate) dev_null: RawFd,
    /// The process that forks; when it is gone the child is alone.
    pub(crate) parent: u32,
    /// What the child may allocate beyond what it has at the fork, in bytes.
    pub(crate) memory_budget: u64,
    pub(crate) progress: &'a Progress,
    /// Removed when the child ends itself because it is alone and stuck.
    pub(crate) temporary_file: Option<&'a CStr>,
}

/// Statuses that a child ends with. Anything else is a crash.
const EXIT_NO_MEMORY: c_int = 86;
const EXIT_STUCK: c_int = 87;
const EXIT_PANIC: c_int = 88;

/// An orphan that neither computes nor writes for so long ends itself, in timer ticks of a second.
const ORPHAN_PATIENCE: i32 = 30;

/// Runs the child. Never returns to the caller's frames: they are the parent's.
pub(super) fn enter_child<F: FnOnce() -> i32>(setup: &ChildSetup<'_>, body: Option<F>) -> ! {
    // A panic must not unwind into the parent's frames (its message goes to /dev/null).
    let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        prepare(setup);
        body.map_or(EXIT_PANIC, |body| body())
    }));
    let status = status.unwrap_or_else(|_| {
        setup.progress.fail(Failure::Internal, 0);
        EXIT_PANIC
    });
    if status != 0 {
        state::clean_up_alone();
    }
    // SAFETY: _exit runs no destructor and no atexit handler of the parent's.
    unsafe { libc::_exit(status) }
}

/// Memory that only this process holds, in bytes (smaps_rollup of proc(5)). Asked once: it looks at each page, 3 to 4 % of the
/// child's CPU, but sums of faults and RssAnon are off by more than the half that cut name buffers save.
pub(crate) fn private_memory() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    kilobytes(&rollup, "Private_Dirty").unwrap_or(0)
        + kilobytes(&rollup, "Private_Clean").unwrap_or(0)
}

fn prepare(setup: &ChildSetup<'_>) {
    state::remember(setup);
    reset_signals();
    // At the limit of open files this one is what opening a file needs. Nothing reads standard input here.
    let spare = if setup.output == 0 || setup.dev_null == 0 { None } else { Some(0) };
    replace_descriptors(setup.output, setup.dev_null, spare);
    stand_back();
    limit_memory(setup.memory_budget);
    if let Some(spare) = spare {
        // SAFETY: a descriptor of this process only; closed above.
        unsafe { libc::dup3(setup.dev_null, spare, libc::O_CLOEXEC) };
    }
    v8::exit_when_allocation_fails(out_of_memory);
    watch_for_loneliness();
}

/// Default dispositions, but a few ignored: SIGPIPE and SIGXFSZ, so that a closed pipe and a file size limit are errors of
/// write(2); crash signals are told apart by [`crashed`].
fn reset_signals() {
    // SAFETY: the child has one thread; every structure passed is valid and zeroed; handlers have the right signature.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        // The signals that ask for dumps are meant for the parent, whose name and command line this process has too, and a
        // process manager that interrupts the whole tree means the application (PM2).
        let ignored = [
            libc::SIGPIPE,
            libc::SIGXFSZ,
            libc::SIGHUP,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGUSR1,
            libc::SIGUSR2,
        ];
        for signal in ignored {
            libc::signal(signal, libc::SIG_IGN);
        }
        let stack = libc::stack_t {
            ss_sp: (&raw mut state::SIGNAL_STACK).cast(),
            ss_flags: 0,
            ss_size: state::SIGNAL_STACK_SIZE,
        };
        libc::sigaltstack(&raw const stack, std::ptr::null_mut());
        for signal in
            [libc::SIGABRT, libc::SIGTRAP, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE]
        {
            handle(signal, crashed as *const () as usize, libc::SA_ONSTACK);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// # Safety
///
/// `handler` must be the address of an `extern "C" fn(c_int)` that is async-signal-safe.
unsafe fn handle(signal: c_int, handler: usize, flags: c_int) {
    // SAFETY: a zeroed sigaction with a valid handler; the caller promises the handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

/// Puts /dev/null in the place of every descriptor but `output`. The parent's ports, connections and pipes, standard
/// output included, are then its own again; and `uv_async_send`, which V8's platform calls, neither fails (a closed
/// descriptor makes it abort) nor wakes the parent.
fn replace_descriptors(output: RawFd, dev_null: RawFd, spare: Option<RawFd>) {
    // SAFETY: system calls on descriptors of this process only; `entries` is as long as said.
    unsafe {
        if let Some(spare) = spare {
            libc::close(spare);
        }
        let list = libc::open(
            c"/proc/self/fd".as_ptr(),
            libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC,
        );
        if list < 0 {
            return;
        }
        let mut entries = [0_u64; 512];
        loop {
            let read = libc::syscall(
                libc::SYS_getdents64,
                list,
                entries.as_mut_ptr(),
                size_of_val(&entries),
            );
            let Some(read) = usize::try_from(read).ok().filter(|&read| read > 0) else { break };
            let bytes = std::slice::from_raw_parts(entries.as_ptr().cast::<u8>(), read);
            for fd in directory_numbers(bytes) {
                if fd != output && fd != dev_null && fd != list {
                    libc::dup3(dev_null, fd, libc::O_CLOEXEC);
                }
            }
        }
        libc::close(list);
    }
}

/// Whether the parent has died, so that nobody else looks after the child and its file. Async-signal-safe.
pub(super) fn is_alone() -> bool {
    state::is_alone()
}

/// Removes the temporary file if nobody else will. Async-signal-safe.
pub(super) fn clean_up_alone() {
    state::clean_up_alone();
}

/// Names of `linux_dirent64` records (getdents64(2)) that are numbers.
pub(super) fn directory_numbers(mut records: &[u8]) -> impl Iterator<Item = RawFd> {
    std::iter::from_fn(move || {
        loop {
            let length = usize::from(u16::from_ne_bytes([*records.get(16)?, *records.get(17)?]));
            let name = records.get(19..length)?;
            records = records.get(length..)?;
            let digits = name.split(|&byte| byte == 0).next().unwrap_or_default();
            if let Some(number) =
                std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
            {
                return Some(number);
            }
        }
    })
}

/// Behind the application in every queue: CPU, memory killer, terminal.
fn stand_back() {
    step_back(10);
    // SAFETY: system calls that change this process only.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, c"heapdump".as_ptr());
    }
}

fn limit_memory(budget: u64) {
    let Some(DataLimit { data, limit }) = limit_data(budget) else {
        // Without a limit the child might take the application with it.
        end_for(Failure::Internal, EXIT_PANIC);
        return;
    };
    state::DATA_AT_START.store(data, Relaxed);
    state::DATA_LIMIT.store(limit, Relaxed);
}

/// C++'s new-handler: an allocation of V8's failed.
extern "C" fn out_of_memory() {
    end_for(Failure::NoMemory, EXIT_NO_MEMORY);
}

/// Signal handler for crashes. V8 ends with SIGTRAP or SIGABRT when it cannot allocate, so a crash close to the memory
/// limit is lack of memory: what was asked for last, at most as much as was allocated so far (tables double), did not
/// fit.
extern "C" fn crashed(signal: c_int) {
    let limit = state::DATA_LIMIT.load(Relaxed);
    let start = state::DATA_AT_START.load(Relaxed);
    if let Some(data) = state::data_segment() {
        let grown = data.saturating_sub(start);
        if limit.saturating_sub(data) <= grown.max(16 << 20) {
            end_for(Failure::NoMemory, EXIT_NO_MEMORY);
        }
    }
    state::clean_up_alone();
    // SAFETY: async-signal-safe calls; the default action runs when this handler returns and the signal is unblocked.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
}

/// Async-signal-safe.
fn end_for(failure: Failure, status: c_int) {
    if let Some(progress) = state::progress() {
        progress.fail(failure, 0);
    }
    state::clean_up_alone();
    // SAFETY: _exit is async-signal-safe.
    unsafe { libc::_exit(status) };
}

/// The parent's watcher ends a child that is stuck; a child whose parent has died ends itself.
fn watch_for_loneliness() {
    // SAFETY: the handler is async-signal-safe; SA_RESTART keeps write(2) whole; the timer belongs to this process.
    unsafe {
        handle(libc::SIGALRM, tick as *const () as usize, libc::SA_RESTART | libc::SA_ONSTACK);
        let second = libc::timeval { tv_sec: 1, tv_usec: 0 };
        let every = libc::itimerval { it_interval: second, it_value: second };
        libc::setitimer(libc::ITIMER_REAL, &raw const every, std::ptr::null_mut());
    }
}

/// Signal handler, once a second.
extern "C" fn tick(_signal: c_int) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    static IDLE: AtomicI32 = AtomicI32::new(0);
    // SAFETY: async-signal-safe calls with valid arguments.
    let cpu = unsafe {
        let mut cpu = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut cpu);
        cpu.tv_sec.unsigned_abs() * 1000 + cpu.tv_nsec.unsigned_abs() / 1_000_000
    };
    let written = state::progress().map_or(0, |progress| progress.bytes.load(Relaxed));
    // The tick itself takes less than the 10 ms that are rounded away.
    let activity = (cpu / 10).wrapping_add(written);
    let busy = LAST.swap(activity, Relaxed) != activity;
    if busy || !state::is_alone() {
        IDLE.store(0, Relaxed);
    } else if IDLE.fetch_add(1, Relaxed) >= ORPHAN_PATIENCE {
        state::clean_up_alone();
        // SAFETY: _exit is async-signal-safe.
        unsafe { libc::_exit(EXIT_STUCK) };
    }
}

/// What signal handlers of the child read: atomics that are set once, before the handlers are installed.
mod state {
    use super::*;

    pub(super) const SIGNAL_STACK_SIZE: usize = 64 * 1024;
    pub(super) static mut SIGNAL_STACK: [u8; SIGNAL_STACK_SIZE] = [0; SIGNAL_STACK_SIZE];
    pub(super) static DATA_AT_START: AtomicU64 = AtomicU64::new(0);
    pub(super) static DATA_LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
    static PARENT: AtomicI32 = AtomicI32::new(0);
    static PROGRESS: AtomicPtr<Progress> = AtomicPtr::new(std::ptr::null_mut());
    static TEMPORARY_FILE: AtomicPtr<std::ffi::c_char> = AtomicPtr::new(std::ptr::null_mut());

    pub(super) fn remember(setup: &ChildSetup<'_>) {
        PROGRESS.store(std::ptr::from_ref(setup.progress).cast_mut(), Relaxed);
        TEMPORARY_FILE.store(
            setup.temporary_file.map_or(std::ptr::null_mut(), |path| path.as_ptr().cast_mut()),
            Relaxed,
        );
        PARENT.store(i32::try_from(setup.parent).unwrap_or(0), Relaxed);
    }

    pub(super) fn progress<'a>() -> Option<&'a Progress> {
        // SAFETY: null, or the page that `enter_child` borrows until the process ends.
        unsafe { PROGRESS.load(Relaxed).as_ref() }
    }

    /// The parent has died: nobody else looks after the child and its file. Async-signal-safe.
    pub(super) fn is_alone() -> bool {
        // SAFETY: getppid has no preconditions.
        unsafe { libc::getppid() != PARENT.load(Relaxed) }
    }

    /// Removes the temporary file if nobody else will. Async-signal-safe.
    pub(super) fn clean_up_alone() {
        if !is_alone() {
            return;
        }
        let path = TEMPORARY_FILE.load(Relaxed);
        if !path.is_null() {
            // SAFETY: a C string that `enter_child` borrows until the process ends; unlink is async-signal-safe.
            unsafe { libc::unlink(path) };
        }
    }

    /// VmData in bytes, from the sixth field of /proc/self/statm; async-signal-safe.
    pub(super) fn data_segment() -> Option<u64> {
        let mut text = [0_u8; 128];
        // SAFETY: open, read and close are async-signal-safe; the buffer is as long as said.
        let length = unsafe {
            let fd = libc::open(c"/proc/self/statm".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if fd < 0 {
                return None;
            }
            let length = libc::read(fd, text.as_mut_ptr().cast::<c_void>(), text.len());
            libc::close(fd);
            usize::try_from(length).ok()?
        };
        let pages: u64 = std::str::from_utf8(text.get(..length)?)
            .ok()?
            .split(' ')
            .nth(5)?
            .trim()
            .parse()
            .ok()?;
        // SAFETY: sysconf is async-signal-safe for this name in glibc and musl.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        pages.checked_mul(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_from_directory_records() {
        let mut records = Vec::new();
        for name in [".", "..", "0", "17", "x9"] {
            let length = (19 + name.len() + 1).next_multiple_of(8);
            let mut record = vec![0_u8; length];
            record[16..18].copy_from_slice(&u16::try_from(length).expect("short").to_ne_bytes());
            record[19..19 + name.len()].copy_from_slice(name.as_bytes());
            records.extend(record);
        }
        assert_eq!(directory_numbers(&records).collect::<Vec<_>>(), [0, 17]);
    }
}
