//! Core files of Node.js processes (core(5)): one is turned into a heap image, from which the restorer makes a process again,
//! in which V8 takes the heap snapshot. The process need not have loaded anything.
//!
//! ```text
//! Core::parse     the ELF file: memory, threads, what was mapped (elf.rs, notes.rs, core.rs)
//! Core::files     what it refers to and does not hold: the caller opens these
//! Image::of       finds V8 and Node in it and decides which thread goes on (v8.rs, threads.rs, layout.rs)
//! Image::write    the heap image (write.rs)
//! ```
//!
//! *Invariants*: no system call is made here; whatever the bytes are, nothing panics and nothing is read outside of them. Both
//! makers of cores are read: the kernel (fs/binfmt_elf.c), which leaves out what a file has, and gdb's `gcore`, which leaves out
//! mappings altogether.

#![forbid(unsafe_code)]

mod bytes;
mod core;
mod elf;
mod fault;
mod layout;
mod notes;
mod object;
mod threads;
mod v8;
mod write;

pub use crate::core::{Core, NamedFile};
pub use fault::{CoreFault, Missing};
pub use layout::{Image, Opened, Options};
pub use notes::Thread;
pub use object::{Object, version_in};
pub use threads::Threads;
pub use v8::{CURRENT_BREAK, NAMES, THREADS_ISOLATE, functions};
pub use write::ImageWriter;
