//! Images of a few instructions for tests of the command: `make_image writes|sleeps|crashes FILE`. What the first writes is on
//! standard input.
#![cfg_attr(
    all(target_os = "linux", target_arch = "x86_64"),
    allow(unsafe_code, dead_code, unreachable_pub)
)]
#![allow(missing_docs, clippy::cast_possible_truncation, clippy::expect_used)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../tests/support/mod.rs"]
mod support;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::io::Result<()> {
    use support::Image;
    use support::code::{CRASH, sleeper, that_writes};

    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, file] = words.as_slice() else { return Err(std::io::Error::other("KIND FILE")) };
    let image = match kind.as_str() {
        "writes" => that_writes(&std::io::read_to_string(std::io::stdin())?.into_bytes()),
        "sleeps" => Image::of(sleeper(), &[0; 8]),
        "crashes" => Image::of(CRASH, &[0; 8]),
        _ => return Err(std::io::Error::other("an unknown kind")),
    };
    std::fs::write(file, image.bytes())
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {}
