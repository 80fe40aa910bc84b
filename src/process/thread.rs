//! Threads that stay out of the application's way.

use std::io;

/// Starts a thread that handles no signals: the application's handlers run where they always did.
///
/// # Errors
///
/// What `pthread_create` says: EAGAIN at a limit on threads.
pub(crate) fn spawn_quiet(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    let before = block_all_signals();
    // A new thread inherits its creator's mask.
    let started = builder.spawn(body);
    restore_signals(&before);
    started.map(drop)
}

/// Blocks every signal on this thread and returns the mask that was in force.
pub(super) fn block_all_signals() -> libc::sigset_t {
    // SAFETY: both sets are valid places; sigfillset and pthread_sigmask only write to them.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

/// Puts back a mask that [`block_all_signals`] returned.
pub(super) fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: `mask` is a valid signal set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}
