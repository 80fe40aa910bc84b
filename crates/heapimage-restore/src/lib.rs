//! Makes a process of a heap image again: reads and checks all of it, gives back its own address space, maps the image's
//! memory where it was, shuts the process in and jumps into it. There V8 writes the heap snapshot.
//!
//! The program (`main.rs`) is static, without an allocator or a C library, and lies at 1 MiB, below every program of Linux,
//! so that it need not move out of anybody's way. `restore.rs` is the order of events. Everything that only looks at bytes
//! is safe code and works on any system; `system/` and `arch/` are Linux'.
//!
//! *Invariants*: nothing of an image is believed before it was checked. Nothing is unmapped before everything was checked; of an
//! image that comes through a pipe, before all but its pages was, and nothing of it runs before they were.
//! Nothing of the image runs before the filter of `system/filter.rs` is set.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod arguments;
pub mod blocks;
pub mod build_id;
pub mod input;
pub mod machine;
pub mod room;
pub mod stop;
pub mod tables;
pub mod text;
pub mod vdso;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "arch/x86_64.rs"]
pub mod arch;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod from_core;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod restore;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod system;
