//! What is said of a snapshot.

use super::Kind;
use std::path::PathBuf;
use std::time::Duration;

/// How a snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By a forked child.
    Fork,
    /// On the JavaScript thread, which stood still.
    Inline,
}

impl Mode {
    /// As JavaScript says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Fork => "fork",
            Mode::Inline => "inline",
        }
    }
}

/// A complete snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// What was written.
    pub(crate) kind: Kind,
    /// The file, absolute; `None` for a stream.
    pub(crate) path: Option<PathBuf>,
    /// Bytes of the output, as compressed.
    pub(crate) bytes: u64,
    /// SHA-256 of the output, as compressed, in hexadecimal digits.
    pub(crate) sha256: Box<str>,
    /// 0 of an image, which nobody has counted, as `edges`.
    pub(crate) nodes: u64,
    /// See `nodes`.
    pub(crate) edges: u64,
    pub(crate) mode: Mode,
    /// Why it was taken in process although a child was wanted.
    pub(crate) fallback_reason: Option<String>,
    /// Children that were forked; 0 in process.
    pub(crate) attempts: u32,
    /// Why children before the last one were given up.
    pub(crate) retry_reasons: Vec<String>,
    /// How long the JavaScript thread was stopped, all attempts together.
    pub(crate) pause: Duration,
    /// How long V8's workers took to be parked; the JavaScript thread was free.
    pub(crate) barrier_wait: Duration,
    /// fork(2) alone.
    pub(crate) fork_time: Duration,
    /// From the call to the complete file.
    pub(crate) duration: Duration,
    /// The child's peak resident memory, what it shared with the parent included.
    pub(crate) child_peak_memory: u64,
    /// What the child held alone when it was done.
    pub(crate) child_private_memory: u64,
}

/// How far a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgressReport {
    /// `collecting`, `recording`, `writing` or `complete`.
    pub(crate) stage: &'static str,
    /// Objects that V8 has visited.
    pub(crate) done: u32,
    /// Objects that V8 expects; 0 when it does not know yet.
    pub(crate) total: u32,
    /// Bytes written so far.
    pub(crate) bytes: u64,
}
