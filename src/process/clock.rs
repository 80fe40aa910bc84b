//! The clock of node-heapdump's default names.

use std::time::Duration;

/// Time since an arbitrary point that never goes back: `uv_hrtime`, which is `CLOCK_MONOTONIC` on Unix.
#[cfg(unix)]
pub(crate) fn monotonic() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the answer; CLOCK_MONOTONIC exists on every system that Node runs on.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Time since the first call: Windows has no fork and so no second process that must agree on it.
#[cfg(windows)]
pub(crate) fn monotonic() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
        + Duration::from_secs(u64::from(std::process::id()))
}
