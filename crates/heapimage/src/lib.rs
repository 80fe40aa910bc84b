//! Heap images: the memory of one Node.js process, written in one pass by a forked child (or made of a core file), from
//! which a restorer makes a process again, in which V8 takes the heap snapshot.
//!
//! ```text
//! Header      8 KiB   what the image is, what it needs of a machine, where the restored process begins
//! Mapping[]           every mapping of the process, ascending
//! FileRecord[]        the files that mappings name
//!                     zeros to a whole page
//! Block               4 KiB of runs, then the pages of these runs, in the same order; any number of times
//! Trailer     4 KiB   the totals: only a whole image has one
//! ```
//!
//! Little-endian, every part a whole number of pages, so that an image can be written with O_DIRECT and mapped. Each part
//! has a checksum (XXH3-64: as sure as a CRC against flips, and fast without a CPU's CRC instructions).
//!
//! *Invariants*: nothing here makes a system call, allocates, panics or trusts what it reads. Writer, restorer and
//! converter share these records, so none of them can disagree about a byte.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(target_endian = "big")]
compile_error!("heap images are little-endian, and their records are read in place");

mod block;
mod fault;
mod header;
mod sum;
mod tables;
mod thread;

pub use block::{BLOCK_PAGES, BLOCK_RUNS, Block, Order, Run, Trailer};
pub use fault::Fault;
pub use header::{
    ARCHITECTURE_ARM64, ARCHITECTURE_X64, Entry, HEADER_BYTES, Header, MAGIC, Machine, MemoryMarks,
    Origin, V8Functions, VERSION,
};
pub use sum::Sum;
pub use tables::{
    FILE_PATH_BYTES, FileRecord, Kind, MOST_FILES, MOST_MAPPINGS, Mapping, NO_FILE, check_mappings,
    table_bytes,
};
pub use thread::{
    LEAST_XSAVE_BYTES, MOST_THREADS, MOST_XSAVE_BYTES, REGISTERS, ThreadRecord, register,
    thread_bytes,
};

/// The page that everything is counted in. Images of machines with larger ones are refused.
pub const PAGE: u64 = 4096;

/// No mapping of an image may begin below: the restorer itself lies there, where no program of Linux does (the link
/// address of programs that cannot be moved is 4 MiB on x86-64 and arm64).
pub const FLOOR: u64 = 4 << 20;
