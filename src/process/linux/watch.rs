//! The parent's side: waits for a child, ends it when it hangs, and reaps it and nothing else.

use super::fork::Child;
use super::procfs::{state_and_ticks, waits_for_nobody};
use super::shared::SharedPage;
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// When a child is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextLook {
    /// In 50 ms.
    Usual,
    /// In 5 ms: memory is scarce, and a child writes or allocates a few megabytes meanwhile.
    Near,
}

impl NextLook {
    fn after(self) -> Duration {
        Duration::from_millis(match self {
            NextLook::Usual => 50,
            NextLook::Near => 5,
        })
    }
}

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

/// Waits for `child`. `look` runs when it last said that it would, and may end the child by `Break`.
pub(crate) fn watch(
    child: &Child,
    progress: &SharedPage,
    mut look: impl FnMut(&Vitals<'_>) -> ControlFlow<(), NextLook>,
) -> ChildEnd {
    let mut pulse = Pulse::new();
    let mut verdict = None;
    let mut next_look = NextLook::Near;
    loop {
        sleep_until_end(child, next_look.after());
        if let Some((status, peak_resident)) = reap(child.pid) {
            let ending = verdict.unwrap_or(status);
            return ChildEnd { ending, peak_resident };
        }
        if verdict.is_none() {
            verdict = pulse.check(child.pid, progress);
            if verdict.is_none() {
                match look(&Vitals { progress }) {
                    ControlFlow::Continue(next) => next_look = next,
                    ControlFlow::Break(()) => verdict = Some(Ending::Ended),
                }
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
    writing: bool,
    since: Instant,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse { ticks: 0, bytes: 0, writing: false, since: Instant::now() }
    }

    fn check(&mut self, pid: i32, progress: &SharedPage) -> Option<Ending> {
        let (state, ticks) = state_and_ticks(pid)?;
        let bytes = progress.bytes.load(Relaxed);
        let writing = progress.writing.load(Relaxed);
        let now = Pulse { ticks, bytes, writing, since: Instant::now() };
        self.judge(state, now, || waits_for_nobody(pid).unwrap_or(false))
    }

    fn judge(
        &mut self,
        state: u8,
        now: Pulse,
        waits_for_nobody: impl FnOnce() -> bool,
    ) -> Option<Ending> {
        // A write(2) that has just ended is life, too: it may have slept there for long, which was no sin, and its state
        // and bytes were read before it woke up.
        let moved = (now.ticks, now.bytes, now.writing) != (self.ticks, self.bytes, self.writing);
        // D: the disk is busy. R: the processors are.
        if moved || matches!(state, b'R' | b'D' | b'Z') {
            *self = now;
            return None;
        }
        let stopped = matches!(state, b'T' | b't');
        let (patience, ending) = if now.writing && !stopped {
            (BLOCKED_AFTER, Ending::Blocked)
        } else {
            (HUNG_AFTER, Ending::Hung)
        };
        let idle = now.since.duration_since(self.since);
        if idle > DEADLOCKED_AFTER && waits_for_nobody() {
            return Some(Ending::Hung);
        }
        (idle > patience).then_some(ending)
    }
}

fn sleep_until_end(child: &Child, most: Duration) {
    let Some(pidfd) = &child.pidfd else {
        std::thread::sleep(most);
        return;
    };
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd; the descriptor lives as long as `child`.
    unsafe { libc::poll(&raw mut poll, 1, i32::try_from(most.as_millis()).unwrap_or(50)) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_wakes_up_from_a_long_write_is_not_taken_for_hung() {
        let start = Instant::now();
        let seen = |second, writing| Pulse {
            ticks: 5,
            bytes: 7,
            writing,
            since: start + Duration::from_secs(second),
        };
        let mut pulse = seen(0, true);
        assert_eq!(pulse.judge(b'S', seen(100, true), || false), None);
        // Asleep when its state was read, and out of write(2) by the time that was looked at.
        assert_eq!(pulse.judge(b'S', seen(101, false), || false), None);
        assert_eq!(pulse.judge(b'S', seen(103, false), || false), None);
        assert_eq!(pulse.judge(b'S', seen(105, false), || false), Some(Ending::Hung));
    }

    #[test]
    fn a_write_that_nobody_takes_ends_after_its_own_time() {
        let start = Instant::now();
        let seen = |second| Pulse {
            ticks: 5,
            bytes: 7,
            writing: true,
            since: start + Duration::from_secs(second),
        };
        let mut pulse = seen(0);
        assert_eq!(pulse.judge(b'S', seen(119), || false), None);
        assert_eq!(pulse.judge(b'S', seen(121), || false), Some(Ending::Blocked));
        // A stopped one cannot write.
        assert_eq!(pulse.judge(b'T', seen(4), || false), Some(Ending::Hung));
    }

    #[test]
    fn a_child_that_waits_for_nobody_is_hung_at_once() {
        let start = Instant::now();
        let seen = |milliseconds| Pulse {
            ticks: 5,
            bytes: 7,
            writing: false,
            since: start + Duration::from_millis(milliseconds),
        };
        let mut pulse = seen(0);
        assert_eq!(pulse.judge(b'S', seen(100), || true), None);
        assert_eq!(pulse.judge(b'S', seen(400), || true), Some(Ending::Hung));
    }
}
