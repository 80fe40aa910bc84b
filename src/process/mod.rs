//! What this project asks of the operating system: forking, watching a child, memory headroom, native signals.
//!
//! Each system has one safe face with the same names. Linux forks; elsewhere [`FORK_UNSUPPORTED`] says why not.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Bell, Gauges, Woken};

#[cfg(unix)]
mod uv_signal;
#[cfg(unix)]
pub(crate) use uv_signal::watch_signal;

mod clock;
mod disk;
mod file;
mod identity;
#[cfg(target_os = "linux")]
mod mapped;
mod progress;
mod say;
pub(crate) use clock::monotonic;
pub(crate) use disk::{free_space, no_space};
pub(crate) use file::{Held, hold};
#[cfg(target_os = "linux")]
pub(crate) use file::{is_in_memory, link_open_file, open_file_path};
pub(crate) use identity::{host_name, title};
#[cfg(target_os = "linux")]
pub(crate) use mapped::MappedFile;
pub(crate) use progress::{Failure, Progress, Stage};
pub(crate) use say::say;

/// Whether this is the thread that the process started with, on which Node's main environment runs.
pub(crate) fn is_main_thread() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: neither call has preconditions; gettid(2): the main thread's number is the process's.
    return unsafe { libc::gettid() == libc::getpid() };
    #[cfg(target_os = "macos")]
    // SAFETY: no preconditions.
    return unsafe { libc::pthread_main_np() == 1 };
    // Only signals ask for it, and Windows has none.
    #[cfg(windows)]
    return true;
}

/// gettid(2): the calling thread's number.
#[cfg(target_os = "linux")]
pub(crate) fn thread_number() -> u32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }.unsigned_abs()
}

/// Ends the process at once: no destructor and no atexit handler runs, so it may be called inside V8.
#[cfg(unix)]
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Ends the process at once. Windows never gets here: nothing is armed there.
#[cfg(windows)]
#[allow(clippy::exit)]
pub(crate) fn exit_now(status: i32) -> ! {
    std::process::exit(status)
}

/// geteuid(2): whose files this process makes.
#[cfg(unix)]
pub(crate) fn effective_user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(unix)]
mod thread;
#[cfg(unix)]
pub(crate) use thread::spawn_quiet;

#[cfg(not(target_os = "linux"))]
mod no_public_page;
#[cfg(not(target_os = "linux"))]
pub(crate) use no_public_page::PublicPage;

/// What a memory control group uses of its limit, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupUse {
    /// Without clean file pages, which the kernel drops first.
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// Resident memory of this process; read on Linux alone.
#[cfg(not(target_os = "linux"))]
pub(crate) fn resident() -> Option<u64> {
    None
}

/// Only Linux limits it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stand_aside(_budget: u64) -> bool {
    true
}

/// Only Linux has control groups.
#[cfg(not(target_os = "linux"))]
pub(crate) fn group_use() -> Option<GroupUse> {
    None
}

/// What this process may still use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryLeft {
    pub(crate) available: u64,
    /// The limit that is nearest, as it stands in an error message.
    pub(crate) below: &'static str,
    /// Lack of memory there ends all that runs in it (`memory.oom.group`).
    pub(crate) dies_as_one: bool,
    /// Anonymous memory that it has.
    pub(crate) anonymous: u64,
}

/// What is left below the nearest limit; read on Linux alone.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory_left() -> Option<MemoryLeft> {
    None
}

/// Why this system takes snapshots in process; `None` where a child can be forked.
#[cfg(target_os = "linux")]
pub(crate) const FORK_UNSUPPORTED: Option<&str> = None;
/// Why this system takes snapshots in process; `None` where a child can be forked.
#[cfg(target_os = "macos")]
pub(crate) const FORK_UNSUPPORTED: Option<&str> =
    Some("macOS does not let a forked child of Node.js go on");
/// Why this system takes snapshots in process; `None` where a child can be forked.
#[cfg(windows)]
pub(crate) const FORK_UNSUPPORTED: Option<&str> = Some("Windows has no fork");

/// Starts a thread. Windows delivers no signals to it.
#[cfg(windows)]
pub(crate) fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}
