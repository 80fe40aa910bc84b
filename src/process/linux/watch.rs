//! The parent's side: waits for a child, ends it when it hangs, and reaps it and nothing else.

use super::fork::Child;
use super::procfs::{state_and_ticks, waits_for_nobody};
use super::shared::SharedPage;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How often a child is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// A child that sleeps outside write(2) and has used no CPU for so long waits for a thread that does not exist.
const HUNG_AFTER: Duration = Duration::from_secs(3);

/// The same, where /proc shows that this is so.
const DEADLOCKED_AFTER: Duration = Duration::from_millis(300);

/// A child inside write(2) waits for its reader or disk; that is given so long without a byte.
const BLOCKED_AFTER: Duration = Duration::from_secs(120);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this status of its own.
    Exited(i32),
    /// By this signal, which we did not send.
    Signalled(i32),
    /// We ended it because it hung.
    Hung,
    /// We ended it because nothing took its output.
    Blocked,
    /// We ended it because the caller of [`watch`] said so.
    Ended,
    /// Somebody else reaped it.
    Lost,
}

/// A child's end and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildEnd {
    pub(crate) ending: Ending,
    /// `ru_maxrss` of wait4(2) in bytes: what it shared with the parent included.
    pub(crate) peak_resident: u64,
}

/// What the caller of [`watch`] sees at each look.
pub(crate) struct Vitals<'a> {
    pub(crate) progress: &'a SharedPage,
}

/// Waits for `child`. `look` runs about every 50 ms and may end it by `Break`.
pub(crate) fn watch(
    child: &Child,
    progress: &SharedPage,
    mut look: impl FnMut(&Vitals<'_>) -> ControlFlow<()>,
) -> ChildEnd {
    let mut pulse = Pulse::new();
    let mut verdict = None;
    loop {
        sleep_until_end(child);
        if let Some((status, peak_resident)) = reap(child.pid) {
            let ending = verdict.unwrap_or(status);
            return ChildEnd { ending, peak_resident };
        }
        if verdict.is_none() {
            verdict = pulse.check(child.pid, progress);
            if verdict.is_none() && look(&Vitals { progress }).is_break() {
                verdict = Some(Ending::Ended);
            }
            if verdict.is_some() {
                kill(child);
            }
        }
    }
}

/// Tells work from waiting.
struct Pulse {
    ticks: u64,
    bytes: u64,
    since: Instant,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse { ticks: 0, bytes: 0, since: Instant::now() }
    }

    fn check(&mut self, pid: i32, progress: &SharedPage) -> Option<Ending> {
        let (state, ticks) = state_and_ticks(pid)?;
        let bytes = progress.bytes.load(Relaxed);
        // D: the disk is busy. R: the processors are.
        if ticks != self.ticks || bytes != self.bytes || matches!(state, b'R' | b'D' | b'Z') {
            *self = Pulse { ticks, bytes, since: Instant::now() };
            return None;
        }
        let stopped = matches!(state, b'T' | b't');
        let (patience, ending) = if progress.writing.load(Relaxed) && !stopped {
            (BLOCKED_AFTER, Ending::Blocked)
        } else {
            (HUNG_AFTER, Ending::Hung)
        };
        let idle = self.since.elapsed();
        let deadlocked = idle > DEADLOCKED_AFTER && waits_for_nobody(pid).unwrap_or(false);
        (deadlocked || idle > patience).then_some(if deadlocked { Ending::Hung } else { ending })
    }
}

fn sleep_until_end(child: &Child) {
    let Some(pidfd) = &child.pidfd else {
        std::thread::sleep(INTERVAL);
        return;
    };
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd; the descriptor lives as long as `child`.
    unsafe { libc::poll(&raw mut poll, 1, i32::try_from(INTERVAL.as_millis()).unwrap_or(50)) };
}

fn kill(child: &Child) {
    // SAFETY: our own child, not reaped by us: a pidfd stays its even if somebody else has (waitpid(-1)).
    unsafe {
        match &child.pidfd {
            Some(pidfd) => {
                let info = std::ptr::null::<libc::siginfo_t>();
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    pidfd.as_raw_fd(),
                    libc::SIGKILL,
                    info,
                    0,
                );
            }
            None => {
                libc::kill(child.pid, libc::SIGKILL);
            }
        }
    }
}

/// Waits for this pid only: other children belong to the application.
fn reap(pid: i32) -> Option<(Ending, u64)> {
    let mut status = 0;
    // SAFETY: both out-parameters are valid places; a zeroed rusage is valid.
    let (result, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage), usage)
    };
    let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    match result {
        0 => None,
        -1 if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => None,
        // ECHILD: SIGCHLD is ignored, or a foreign waitpid(-1) was quicker.
        -1 => Some((Ending::Lost, 0)),
        _ if libc::WIFSIGNALED(status) => Some((Ending::Signalled(libc::WTERMSIG(status)), peak)),
        _ => Some((Ending::Exited(libc::WEXITSTATUS(status)), peak)),
    }
}
