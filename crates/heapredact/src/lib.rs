//! Takes the texts out of a V8 heap snapshot while it is written.
//!
//! V8 writes nodes, then edges, then the strings that both are named by. Each string gets two places in the file that
//! comes out: the one with an even number for those that it *names*, the other for those that have it as their *text*.
//! So what a string is need not be known where it is referred to, and nothing waits but bits: whether somebody needs
//! the place, and whether code made the name, which then stays. In all other places a pseudonym stands
//! ([`pseudonym`]). Same bytes in, same bytes out, however they are cut.

mod audit;
mod digits;
mod functions;
mod header;
mod key;
mod lines;
mod marks;
mod memo;
mod names;
mod network;
mod numbers;
mod pseudonym;
mod records;
mod secrets;
mod signs;
mod stream;
mod strings;
mod units;

pub use audit::{Audit, Finding};
pub use header::MARK;
pub use key::Key;
pub use secrets::{Family, family};
pub use stream::Redactor;
pub use strings::Names;

/// How a snapshot is redacted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Pseudonyms depend on it.
    pub key: Key,
    /// Whether the caller gave the key, which then is not this process' alone.
    pub given_key: bool,
    /// Whether the paths of scripts become pseudonyms too.
    pub hide_paths: bool,
}

/// Why there is no redacted snapshot. Nothing of the original has been put out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is no snapshot as V8 writes them.
    #[error("the input is no snapshot that can be redacted: it has {what}")]
    Malformed {
        /// What it has instead.
        what: &'static str,
    },
    /// It has been done.
    #[error("the snapshot is redacted already: the header says so")]
    AlreadyRedacted,
    /// The input ended too early.
    #[error("the input ends before the snapshot does")]
    Truncated,
    /// There is no memory for the bits.
    #[error("there is no memory for what must be remembered of each string")]
    Memory,
}
