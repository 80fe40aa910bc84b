//! Why there is no restored process.

use heapimage::Fault;
use thiserror::Error;

/// Why there is no restored process. The program ends with [`status`](Stop::status), and says [`word`](Stop::word) and the
/// text on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Stop {
    /// The image is none, or damaged.
    #[error("{0}")]
    Image(#[from] Fault),
    /// The image cannot be read.
    #[error("it cannot be read (error {0})")]
    Unreadable(i32),
    /// The arguments are wrong.
    #[error("{0}")]
    Usage(&'static str),
    /// This machine will not do; what it lacks was said line by line.
    #[error("this machine will not do")]
    Machine,
    /// A system call that this machine refuses: what it was to do, and the error.
    #[error("{what} (error {error})")]
    Refused {
        /// What cannot be done.
        what: &'static str,
        /// The number of the system's error.
        error: i32,
    },
    /// Memory cannot be had where the image has it.
    #[error("{bytes} bytes cannot be mapped at {address:#x} (error {error})")]
    Memory {
        /// Where.
        address: u64,
        /// How much.
        bytes: u64,
        /// The number of the system's error.
        error: i32,
    },
    /// Something of the kernel's lies where the image needs memory. It lies elsewhere the next time.
    #[error("the kernel keeps something at {0:#x}, where the image needs memory")]
    Collision(u64),
    /// A file changed after it was checked.
    #[error("a file that it names changed meanwhile (error {0})")]
    FileChanged(i32),
    /// Continuing a core file.
    #[error("{0}")]
    Core(&'static str),
}

impl Stop {
    /// What the program ends with: 3 the image, 4 the machine, 5 V8, 6 the output, 2 its arguments.
    #[must_use]
    pub fn status(&self) -> i32 {
        match self {
            Stop::Usage(_) => 2,
            Stop::Image(_) | Stop::Unreadable(_) => 3,
            Stop::Core(_) => 5,
            _ => 4,
        }
    }

    /// A stable name of the kind, first on the line.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Stop::Usage(_) => "usage",
            Stop::Image(Fault::NotAnImage) => "not-an-image",
            Stop::Image(Fault::Version(_)) => "version",
            Stop::Image(Fault::Architecture { .. }) => "architecture",
            Stop::Image(Fault::CutShort) => "cut-short",
            Stop::Image(Fault::Damaged(_)) => "damaged",
            Stop::Image(_) => "malformed",
            Stop::Unreadable(_) => "unreadable",
            Stop::Machine => "machine",
            Stop::Refused { .. } => "refused",
            Stop::Memory { .. } => "memory",
            Stop::Collision(_) => "collision",
            Stop::FileChanged(_) => "file",
            Stop::Core(_) => "core",
        }
    }
}
