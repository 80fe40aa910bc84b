//! Linux on x86-64. Another architecture needs its own file in `arch/`: registers, frames, the instruction of a system call.

#[path = "arch/x86_64.rs"]
mod arch;
mod dying;
mod fault;
mod fork;
mod image;
mod inject;
mod mapped;
mod maps;
mod output;
mod pages;
mod process;
mod program;
mod ptrace;
mod rooted;
pub(crate) mod run;
mod stop;
