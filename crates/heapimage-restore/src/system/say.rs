//! Lines for whoever started the program, on standard error: `is NAME: VALUE` what the image is, `lacks WORD: TEXT` what this
//! machine does not have, `stop WORD: TEXT` why there is no restored process, `begins` before its first instruction. What
//! follows that is the restored process' own, but `takes`: V8 begins with the snapshot (of a core).

use super::{Descriptor, MESSAGES};
use core::fmt::{Arguments, Write};

/// Longer lines are cut.
const MOST_BYTES: usize = 8192;

struct Line {
    bytes: [u8; MOST_BYTES],
    length: usize,
}

/// Writes one line in one go. What cannot be written is nobody's to hear.
pub fn say(to: Descriptor, what: Arguments<'_>) {
    let mut line = Line { bytes: [0; MOST_BYTES], length: 0 };
    let _ = line.write_fmt(what);
    line.bytes[line.length] = b'\n';
    let _ = to.write(&line.bytes[..=line.length]);
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = MOST_BYTES - 1 - self.length;
        let count = text.len().min(room);
        self.bytes[self.length..self.length + count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
        Ok(())
    }
}

/// What this machine lacks: all of it is told, not only the first.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many.
    pub count: u32,
}

impl Findings {
    /// Tells one.
    pub fn add(&mut self, word: &str, what: Arguments<'_>) {
        say(MESSAGES, format_args!("lacks {word}: {what}"));
        self.count += 1;
    }
}
