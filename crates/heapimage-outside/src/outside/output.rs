//! Where the image goes. While it is written the copy is there, and what the process writes to is there twice: whoever does not
//! read for long is not waited for.

use super::ptrace;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

/// So long nothing may be read.
const PATIENCE: Duration = Duration::from_secs(30);
/// And so long once the process has ended: the copy keeps its ports, which whoever starts it again needs.
const ONCE_ENDED: Duration = Duration::from_secs(5);
const SLICE: Duration = Duration::from_millis(100);

/// Descriptor 1.
pub(crate) struct Output {
    file: File,
    /// Whose image it is.
    pid: i32,
}

pub(crate) fn begin(pid: i32) -> io::Result<Output> {
    let file = ptrace::output();
    ptrace::do_not_wait(&file)?;
    Ok(Output { file, pid })
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begin = Instant::now();
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            ptrace::wait_for_room(&self.file, SLICE);
            if ptrace::was_interrupted() {
                return Err(io::Error::other("it was told to end"));
            }
            let patience = if has_ended(self.pid) { ONCE_ENDED } else { PATIENCE };
            if begin.elapsed() > patience {
                let text = format!("nobody reads it for {} s", patience.as_secs());
                return Err(io::Error::other(text));
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a process is gone, or dead and not yet taken away.
fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_none_or(|state| matches!(state, 'Z' | 'X'))
}
