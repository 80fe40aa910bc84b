//! Everything that can go wrong with a snapshot, each with a code that does not change.

use crate::snapshot::IMAGE_UNSUPPORTED;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What can be done where memory is too little for a snapshot.
const IMAGE_HINT: &str = if IMAGE_UNSUPPORTED.is_none() {
    "; lowMemory: 'image' writes a heap image instead, which needs a few MB"
} else {
    ""
};

/// Why there is no snapshot. The codes are the keys of the table in docs/errors.md.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SnapshotError {
    /// A system call on the output failed. Its code in JavaScript is the name of the errno, as in Node's own errors.
    #[error("heapdump write error: {syscall} {}: {source}", path.display())]
    Io { syscall: &'static str, path: PathBuf, source: io::Error },
    #[error("heapdump write error: {} is {found}, expected a regular file or a free name", path.display())]
    NotAFile { path: PathBuf, found: &'static str },
    /// What Node's permission model says, with its own code.
    #[error("Access to this API has been restricted. Use --allow-fs-write to write {0}")]
    AccessDenied(String),
    #[error(
        "a heap snapshot is already being taken in this process; use busy: 'queue' to wait for it"
    )]
    Busy,
    #[error("not enough memory for a heap snapshot: {0}")]
    NoMemory(String),
    /// Which needs but a few MB.
    #[error("not even enough memory for a heap image: {0}")]
    NoMemoryForImage(String),
    #[error(
        "no child process can be forked for the heap snapshot: {0}; allow fallback: 'inline' to take it in process"
    )]
    ForkUnavailable(String),
    #[error("no heap image can be written: {0}. A snapshot can be taken here: output: 'snapshot'")]
    ImageUnsupported(Cow<'static, str>),
    /// Nothing is written rather than what was to be hidden.
    #[error("the heap snapshot cannot be redacted: {0}")]
    Redact(String),
    /// Nothing is written rather than what everybody can read.
    #[error("the heap snapshot cannot be encrypted: {0}")]
    Encrypt(String),
    #[error("the JavaScript thread did not answer for {} s, so it could not be forked", .0.as_secs())]
    NotResponding(Duration),
    #[error(
        "the child that takes the heap snapshot crashed with signal {signal}, {attempts} times in a row"
    )]
    ChildCrashed { signal: i32, attempts: u32 },
    #[error("the child that takes the heap snapshot was killed from outside with signal {signal}")]
    ChildKilled { signal: i32 },
    #[error("the child that takes the heap snapshot hung, {attempts} times in a row")]
    ChildHung { attempts: u32 },
    #[error("V8 did not complete the heap snapshot")]
    Incomplete,
    #[error("the heap snapshot took longer than {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error(
        "the heap snapshot's output has taken no byte for two minutes: nobody reads the stream, or the disk hangs"
    )]
    OutputStalled,
    #[error("The operation was aborted")]
    Aborted,
    #[error("the thread that asked for the heap snapshot has ended")]
    Closed,
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl SnapshotError {
    pub(crate) fn io(syscall: &'static str, path: &Path, source: io::Error) -> SnapshotError {
        SnapshotError::Io { syscall, path: path.to_owned(), source }
    }

    /// Says that an image needs less: where it could help, and was not tried.
    pub(crate) fn with_image_hint(self) -> SnapshotError {
        match self {
            SnapshotError::NoMemory(why) => SnapshotError::NoMemory(format!("{why}{IMAGE_HINT}")),
            other => other,
        }
    }

    /// Why there is no image either, behind what a snapshot `lacked`.
    pub(crate) fn instead_of(self, lacked: &str) -> SnapshotError {
        match self {
            SnapshotError::NoMemoryForImage(why) => SnapshotError::NoMemory(format!(
                "{lacked}; and not even enough memory for a heap image: {why}"
            )),
            SnapshotError::ImageUnsupported(why) => SnapshotError::NoMemory(format!(
                "{lacked}; and no heap image can be written: {why}"
            )),
            other => other,
        }
    }

    /// The stable code; `None` where it is the name of an errno.
    pub(crate) fn code(&self) -> Option<&'static str> {
        Some(match self {
            SnapshotError::Io { .. } => return None,
            SnapshotError::NotAFile { .. } => "ERR_HEAPDUMP_NOT_A_FILE",
            SnapshotError::AccessDenied(_) => "ERR_ACCESS_DENIED",
            SnapshotError::Busy => "ERR_HEAPDUMP_BUSY",
            SnapshotError::NoMemory(_) | SnapshotError::NoMemoryForImage(_) => {
                "ERR_HEAPDUMP_NO_MEMORY"
            }
            SnapshotError::ForkUnavailable(_) => "ERR_HEAPDUMP_FORK_UNAVAILABLE",
            SnapshotError::ImageUnsupported(_) => "ERR_HEAPDUMP_IMAGE_UNSUPPORTED",
            SnapshotError::Redact(_) => "ERR_HEAPDUMP_REDACT",
            SnapshotError::Encrypt(_) => "ERR_HEAPDUMP_ENCRYPT",
            SnapshotError::NotResponding(_) => "ERR_HEAPDUMP_NOT_RESPONDING",
            SnapshotError::ChildCrashed { .. } => "ERR_HEAPDUMP_CHILD_CRASHED",
            SnapshotError::ChildKilled { .. } => "ERR_HEAPDUMP_CHILD_KILLED",
            SnapshotError::ChildHung { .. } => "ERR_HEAPDUMP_CHILD_HUNG",
            SnapshotError::Incomplete => "ERR_HEAPDUMP_INCOMPLETE",
            SnapshotError::Timeout(_) => "ERR_HEAPDUMP_TIMEOUT",
            SnapshotError::OutputStalled => "ERR_HEAPDUMP_OUTPUT_STALLED",
            SnapshotError::Aborted => "ABORT_ERR",
            SnapshotError::Closed => "ERR_HEAPDUMP_CLOSED",
            SnapshotError::Internal(_) => "ERR_HEAPDUMP_INTERNAL",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_fails_too_tells_both_reasons() {
        let no_image = SnapshotError::ImageUnsupported("no pagemap".into()).instead_of("3 MB left");
        assert_eq!(no_image.code(), Some("ERR_HEAPDUMP_NO_MEMORY"));
        assert_eq!(
            no_image.to_string(),
            "not enough memory for a heap snapshot: 3 MB left; and no heap image can be written: no pagemap"
        );
    }

    #[test]
    fn system_errors_have_no_code_of_their_own() {
        let error = SnapshotError::io("open", Path::new("/x"), io::Error::from_raw_os_error(2));
        assert_eq!(error.code(), None);
        assert!(error.to_string().starts_with("heapdump write error"));
    }
}
