//! One error type for the crate. Each variant says where, what was expected and what was there.

use crate::{ForeignFile, Section};

/// Why a snapshot could not be read or a question not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read.
    #[error("cannot read the snapshot at byte {offset}: {source}")]
    Io {
        /// How many bytes had been read.
        offset: u64,
        /// The operating system's word.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are not what a snapshot has at this place.
    #[error("{section} at byte {offset}: expected {expected}, found {found}")]
    Syntax {
        /// The part of the file.
        section: Section,
        /// The byte in the (uncompressed) file.
        offset: u64,
        /// What should have been there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// The file ends too early: the disk was full, or its writer was killed.
    #[error("{section}: the file ends at byte {offset}, expected {expected}")]
    Truncated {
        /// The part of the file in which it ends.
        section: Section,
        /// The length of the (uncompressed) file.
        offset: u64,
        /// What should have come next.
        expected: String,
    },
    /// A value points outside of the file's own tables, or two counts contradict each other.
    #[error("{section}, record {record}: expected {expected}, found {found}")]
    Inconsistent {
        /// The part of the file.
        section: Section,
        /// The record, counted from 0.
        record: u64,
        /// What should have been there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A part that every snapshot has is not there.
    #[error("{section} is missing from the file")]
    Missing {
        /// The part that is missing.
        section: Section,
    },
    /// More than this library holds, or more than the caller's limit allows.
    #[error("{section}: {what} is {found}, more than the limit of {limit}")]
    TooLarge {
        /// The part of the file.
        section: Section,
        /// What is too large.
        what: &'static str,
        /// How large it is, or how much was seen before giving up.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is something else.
    #[error("expected a heap snapshot of V8, found {found}{}{}: {}", if *packed { ", packed" } else { "" }, said_of(said), found.advice())]
    NotASnapshot {
        /// What it is.
        found: ForeignFile,
        /// What it says of itself: a page's title, a store's message, the first entry of an archive.
        /// May be empty.
        said: String,
        /// Whether that is within gzip or zstd.
        packed: bool,
    },
    /// The file is encrypted, and nobody said by what it is to be opened.
    #[error("the file is encrypted (age): it is read with the identity of one of its recipients")]
    Encrypted,
    /// The file is encrypted, and the identities do not open it.
    #[error("the file is encrypted (age), and was not opened: {source}")]
    NotOpened {
        /// Why.
        #[source]
        source: heapcrypt::OpenError,
    },
    /// There is not enough memory for the file's tables.
    #[error("not enough memory for {what}")]
    OutOfMemory {
        /// What the memory was for.
        what: &'static str,
    },
}

impl Error {
    /// Whether the file is encrypted, and was not opened.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Error::Encrypted | Error::NotOpened { .. })
    }

    /// What the file is, if it is something else.
    #[must_use]
    pub fn found(&self) -> Option<ForeignFile> {
        match self {
            Error::NotASnapshot { found, .. } => Some(*found),
            _ => None,
        }
    }
}

fn said_of(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

/// The result of reading a snapshot.
pub type Result<T> = std::result::Result<T, Error>;
