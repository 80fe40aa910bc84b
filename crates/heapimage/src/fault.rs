use thiserror::Error;

/// Why a file is no image that can be restored. Each says what was expected and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Another kind of file.
    #[error("it does not begin as a heap image does")]
    NotAnImage,
    /// A format that this version does not know.
    #[error("its format is version {0}; this program reads version {known}", known = crate::VERSION)]
    Version(u32),
    /// Written on another architecture (an ELF machine number).
    #[error("it is of ELF machine {found}, and this one is {here}")]
    Architecture {
        /// The image's.
        found: u32,
        /// The restorer's.
        here: u32,
    },
    /// The process had pages of another size.
    #[error("its pages have {0} bytes; only 4096 can be restored")]
    PageSize(u32),
    /// The bytes are not those that were written.
    #[error("{0} is damaged: its checksum is another")]
    Damaged(&'static str),
    /// A field that no writer of ours would write.
    #[error("{0}")]
    Malformed(&'static str),
    /// The end is missing.
    #[error("it is cut short: its writer did not come to the end")]
    CutShort,
}
