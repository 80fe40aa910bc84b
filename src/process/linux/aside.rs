//! A process of ours that does not matter beside the application: it goes first, in every queue.

use super::procfs::kilobytes;
use std::ffi::c_int;
use std::fs;

/// Four hours; a heap of 3 GB takes minutes.
const MOST_CPU_SECONDS: libc::rlim_t = 4 * 3600;

/// What was allocated when a limit was set, and the limit, in bytes.
pub(super) struct DataLimit {
    pub(super) data: u64,
    pub(super) limit: u64,
}

/// Behind the application in every queue: CPU, memory killer. No core file either.
pub(super) fn step_back(nice: c_int) {
    // SAFETY: system calls that change this process only.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
    }
    // Raising it needs no privilege.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// RLIMIT_DATA = what this process has now + its budget. An absolute RLIMIT_AS would be wrong: an idle Node 24 has
/// 1.28 GB of address space. `None` where nobody says what it has.
pub(super) fn limit_data(budget: u64) -> Option<DataLimit> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let data = kilobytes(&status, "VmData")?;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: each limit is a valid place; the calls change this process only.
    unsafe {
        libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit);
        limit.rlim_cur = limit.rlim_cur.min(data.saturating_add(budget));
        libc::setrlimit(libc::RLIMIT_DATA, &raw const limit);
        // One that computes for ever ends some day.
        let hours = libc::rlimit { rlim_cur: MOST_CPU_SECONDS, rlim_max: MOST_CPU_SECONDS };
        libc::setrlimit(libc::RLIMIT_CPU, &raw const hours);
    }
    Some(DataLimit { data, limit: limit.rlim_cur })
}

/// Prepares a program that was started beside the application: it steps back, may allocate `budget` bytes more, and hears the signals
/// that the thread which started it does not. Whether it is limited; without a limit it might take the application with it.
pub(crate) fn stand_aside(budget: u64) -> bool {
    const LAST: c_int = 19;
    step_back(LAST);
    // SAFETY: the set is a valid place; both calls write to it or read it.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    limit_data(budget).is_some()
}
