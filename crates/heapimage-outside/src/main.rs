//! Stops a Node.js process for milliseconds, forks it from outside, lets it go on, and reads the frozen copy into a heap image.
//! Nothing is loaded into the process and nothing stays in it.
//!
//! ```text
//! Process::open    is anything in the way? (process.rs)
//! Program::of      where V8 is in it (program.rs, pages.rs)
//! fork::fork       all threads stop (stop.rs); the main one makes five to eighty system calls for us (inject.rs, arch/): its
//!                  mappings may be copied, clone(2), and are kept from children again; all go on
//! image::write     the copy, which never runs, is read and written (image.rs)
//! Copy::take_away  it is killed; in a second stop its process waits for it, so that nothing is left
//! ```
//!
//! *Invariants*: before the first injected call frames lie below the main thread's red zone by which it finds back alone. An error
//! after the copy was made takes it away. Nothing is injected that the process' own filter might end it for.
//!
//! Descriptor 1 is where the image goes, 2 where lines say what was done: `is NAME: VALUE`, and `stop WORD: TEXT`.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod outside;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    outside::run::run()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {}
