//! What can go wrong with a command.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error("{}: {source}", path.display())]
    Snapshot {
        path: PathBuf,
        #[source]
        source: heapsnapshot::Error,
    },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
    #[error("cannot write the answer: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Usage(String),
    #[error("{}: {source}", path.display())]
    Redact {
        path: PathBuf,
        #[source]
        source: heapredact::Error,
    },
    #[error("{}: {source}", path.display())]
    Identity {
        path: PathBuf,
        #[source]
        source: heapcrypt::OpenError,
    },
    #[error("there is no object {id} in {}", path.display())]
    NoObject { id: heapsnapshot::NodeId, path: PathBuf },
}

impl Error {
    /// Why a file could not be loaded.
    pub(crate) fn load(path: &Path, source: heapsnapshot::Error) -> Self {
        let path = path.to_owned();
        match source {
            // It was not even opened: no offset is of interest.
            heapsnapshot::Error::Io { offset: 0, source } => Error::File { path, source },
            source => Error::Snapshot { path, source },
        }
    }

    /// What can be done about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Snapshot {
                source: heapsnapshot::Error::Truncated { offset: 1.., .. }, ..
            } => Some(
                "it was cut off: its disk was full, or its writer or the copy was stopped. \
                 Copy it again; --salvage uses what is whole of it",
            ),
            Error::Snapshot { source: heapsnapshot::Error::Inconsistent { .. }, .. } => Some(
                "it is damaged: compare it with the original; --salvage uses what fits together",
            ),
            Error::Snapshot { source: heapsnapshot::Error::Encrypted, .. } => {
                Some("--identity FILE says which: a file as age-keygen writes it")
            }
            _ => None,
        }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        match self {
            Error::Write(error) => error.kind() == std::io::ErrorKind::BrokenPipe,
            Error::Json(error) => error.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;
