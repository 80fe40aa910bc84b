//! The fork itself.

use super::child::{ChildSetup, enter_child};
use super::regions::Regions;
use super::thread_number::ThreadNumber;
use crate::process::monotonic;
use crate::process::thread::{block_all_signals, restore_signals};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

/// A child that was forked and not yet reaped.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    /// A descriptor of the process (pidfd_open(2), Linux 5.3); without it the child is polled.
    pub(crate) pidfd: Option<OwnedFd>,
    /// How long fork(2) itself took.
    pub(crate) fork_time: Duration,
}

/// Forks a child that prepares itself as `setup` says, runs `body` and ends with the status that it returns.
///
/// The caller holds the worker barrier. `body` runs in a process with one thread, a copy of this one: it may allocate
/// (glibc makes its allocator usable in the child) and use V8 on this thread's isolate; it must not return to
/// JavaScript.
///
/// # Errors
///
/// What fork(2) says (EAGAIN: a limit on processes; ENOMEM; EPERM or ENOSYS: a seccomp filter), or that
/// /proc/self/maps cannot be read.
pub(crate) fn fork_child(
    regions: &Regions,
    setup: &ChildSetup<'_>,
    body: impl FnOnce() -> i32,
) -> io::Result<Child> {
    let mut body = Some(body);
    let number = ThreadNumber::of_this_thread();
    let before = block_all_signals();
    let forked = regions.while_forkable(|| {
        let start = monotonic();
        // SAFETY: the child runs `enter_child` and nothing else, and never returns from it. glibc's fork handlers
        // leave its allocator in order; V8's threads are parked at the barrier.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            if let Some(number) = &number {
                number.keep_in_child();
            }
            enter_child(setup, body.take().map(|body| move || body()));
        }
        let error = io::Error::last_os_error();
        (pid, monotonic() - start, error)
    });
    restore_signals(&before);
    let (pid, fork_time, error) = forked?;
    if pid < 0 {
        return Err(error);
    }
    Ok(Child { pid, pidfd: open_pidfd(pid), fork_time })
}

fn open_pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: pidfd_open takes a pid and flags; our own child that nobody else reaps cannot be another process.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: a descriptor that was just opened belongs to nobody else.
    i32::try_from(fd).ok().filter(|&fd| fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}
