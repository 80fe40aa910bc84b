//! What can go wrong with a command.

use std::path::PathBuf;

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
    #[error("there is no object {id} in {}", path.display())]
    NoObject { id: heapsnapshot::NodeId, path: PathBuf },
}

impl Error {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        match self {
            Error::Write(error) => error.kind() == std::io::ErrorKind::BrokenPipe,
            Error::Json(error) => error.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;
