//! Lines on standard error that hold nobody up.

/// Writes `line` by one write(2) if standard error takes it at once, and drops it otherwise: it may be closed, a pipe that is
/// full because nobody reads it, or one whose reader has gone.
#[cfg(unix)]
pub(crate) fn say(line: &str) {
    let mut text = line.replace(char::is_control, "?");
    text.push('\n');
    unix::without_broken_pipe(|| unix::write_now(text.as_bytes()));
}

/// Writes `line`. Windows ends nobody for that, and Node's own output blocks there too.
#[cfg(windows)]
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{}", line.replace(char::is_control, "?"));
}

#[cfg(unix)]
mod unix {
    use crate::process::thread::{block_all_signals, restore_signals};

    /// Runs `write` so that SIGPIPE ends nobody: Node ignores it, until a JavaScript listener for it comes and goes.
    pub(super) fn without_broken_pipe(write: impl FnOnce()) {
        let before = block_all_signals();
        let was_pending = is_pending(libc::SIGPIPE);
        write();
        if !was_pending && is_pending(libc::SIGPIPE) {
            // SAFETY: a valid set and a valid place; the signal is pending, so this returns at once (sigwait(3)).
            unsafe {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGPIPE);
                libc::sigwait(&raw const set, &mut 0);
            }
        }
        restore_signals(&before);
    }

    fn is_pending(signal: i32) -> bool {
        // SAFETY: sigpending writes to a valid place, which sigismember reads.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigpending(&raw mut set) == 0 && libc::sigismember(&raw const set, signal) == 1
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn write_now(text: &[u8]) {
        let (start, size) = (text.as_ptr().cast(), text.len());
        // SAFETY: fstat writes to a valid place; every other call reads `size` bytes of `text` at most.
        unsafe {
            let mut status: libc::stat = std::mem::zeroed();
            if libc::fstat(libc::STDERR_FILENO, &raw mut status) != 0 {
                return;
            }
            match status.st_mode & libc::S_IFMT {
                libc::S_IFSOCK => {
                    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                    libc::send(libc::STDERR_FILENO, start, size, flags);
                }
                libc::S_IFIFO => {
                    // A description of our own: others' must not become non-blocking. Not of a file, whose offset it
                    // would not share. ENXIO: nobody reads.
                    let flags = libc::O_WRONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
                    let pipe = libc::open(c"/proc/self/fd/2".as_ptr(), flags);
                    if pipe < 0 {
                        write_if_ready(text);
                    } else {
                        libc::write(pipe, start, size);
                        libc::close(pipe);
                    }
                }
                _ => write_if_ready(text),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn write_now(text: &[u8]) {
        write_if_ready(text);
    }

    fn write_if_ready(text: &[u8]) {
        let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one valid entry, no waiting; write reads `text` alone.
        unsafe {
            if libc::poll(&raw mut poll, 1, 0) == 1 && poll.revents == libc::POLLOUT {
                libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
            }
        }
    }
}
