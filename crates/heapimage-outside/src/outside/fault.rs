//! Why there is no image. The target goes on in every case.

use super::run::number_of;
use std::io;
use thiserror::Error;

/// Why there is no image. The program ends with status 1, and says [`word`](Fault::word) and the text on one line.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Usage(&'static str),
    #[error("it has ended")]
    Ended,
    #[error("its main thread has ended")]
    MainEnded,
    #[error("process {0} traces it already (a debugger, strace): end that first")]
    Traced(u32),
    #[error("{what} is not permitted (error {error})")]
    Refused { what: &'static str, error: i32 },
    #[error("its program is not one for x86-64")]
    Architecture,
    #[error("it runs with shadow stacks, on which no call can be injected")]
    ShadowStacks,
    #[error(
        "its seccomp filter might end it for a call that it does not make by itself, and this process may not suspend the filter"
    )]
    Filter,
    #[error("it was not Node.js: neither its program nor a libnode in it has {0}")]
    NotNode(&'static str),
    #[error("its thread {thread} runs no JavaScript; these do: {others}")]
    NoIsolate { thread: i32, others: String },
    #[error("{0}")]
    Image(#[from] heapimage_core::CoreFault),
    #[error("no instruction of its C library was found by which a system call can be made")]
    NoGadgets,
    #[error("its threads did not stop within {0} ms")]
    Slow(u128),
    #[error("it could not be copied within {0} ms, as long as it may be stopped")]
    Late(u128),
    #[error("its main thread was at a place where nothing can be injected, {0} times")]
    Awkward(u32),
    #[error("a system call in it did not come back")]
    Lost,
    #[error("a system call in it could not be prepared (error {0})")]
    Injection(i32),
    #[error("it could not be forked (error {0})")]
    Fork(i32),
    #[error("the copy of it was killed: memory ran short, most likely")]
    CopyKilled,
    #[error("the copy of it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the image cannot be written: {0}")]
    Output(io::Error),
    #[error("it was interrupted")]
    Interrupted,
}

impl Fault {
    /// A stable name of the kind, first on the line.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Fault::Usage(_) => "usage",
            Fault::Ended | Fault::MainEnded => "ended",
            Fault::Traced(_) => "traced",
            Fault::Refused { .. } => "refused",
            Fault::Architecture | Fault::ShadowStacks => "architecture",
            Fault::Filter => "filter",
            Fault::NotNode(_) => "not-node",
            Fault::NoIsolate { .. } => "thread",
            Fault::Image(_) | Fault::NoGadgets => "image",
            Fault::Slow(_) => "slow",
            Fault::Late(_) => "late",
            Fault::Awkward(_) => "awkward",
            Fault::Lost | Fault::Injection(_) => "injection",
            Fault::Fork(_) => "fork",
            Fault::CopyKilled => "copy",
            Fault::Unreadable(_) => "unreadable",
            Fault::Output(_) => "output",
            Fault::Interrupted => "interrupted",
        }
    }

    /// A file of /proc that cannot be opened: it has ended, or is not ours to look at.
    pub(crate) fn opening(what: &'static str, error: &io::Error) -> Fault {
        match number_of(error) {
            libc::ENOENT | libc::ESRCH => Fault::Ended,
            error => Fault::Refused { what, error },
        }
    }
}
