//! `cargo run --release -p heapredact --example cost -- FILE [TIMES]`: what the filter costs a snapshot that is in memory,
//! beside a copy of the same pieces.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for a terminal")]

use heapredact::{Key, Options, Redactor};
use std::time::Instant;

fn main() {
    let mut words = std::env::args().skip(1);
    let file = words.next().expect("a file");
    let times: u32 = words.next().map_or(5, |times| times.parse().expect("a number"));
    let bytes = std::fs::read(file).expect("readable");
    let mut best = f64::MAX;
    for _ in 0..times {
        let options = Options { key: Key::new(&[7; 32]), given_key: true, hide_paths: false };
        let mut redactor = Redactor::new(options);
        let mut out = Vec::new();
        let start = Instant::now();
        for chunk in bytes.chunks(1 << 20) {
            out.clear();
            redactor.push(chunk, &mut out).expect("a snapshot");
        }
        redactor.finish().expect("a whole snapshot");
        best = best.min(start.elapsed().as_secs_f64());
    }
    let megabytes = bytes.len() as f64 / 1e6;
    println!("{megabytes:.1} MB in {:.1} ms: {:.0} MB/s", best * 1e3, megabytes / best);
}
