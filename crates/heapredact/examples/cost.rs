//! `cargo run --release -p heapredact --example cost -- FILE [TIMES]`: what the filter costs a snapshot that is in memory, by part:
//! the least CPU time of so many times, in which a busy machine matters little.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for a terminal")]

use heapredact::{Key, Options, Redactor};
use std::time::{Duration, Instant};

fn main() {
    let mut words = std::env::args().skip(1);
    let file = words.next().expect("a file");
    let times: u32 = words.next().map_or(5, |times| times.parse().expect("a number"));
    let bytes = std::fs::read(file).expect("readable");
    let start_of = |part: &str| {
        let found = memchr::memmem::find(&bytes, part.as_bytes());
        found.expect("a snapshot as V8 writes it")
    };
    let ends = [start_of("\"edges\":["), start_of("\"strings\":["), bytes.len()];
    let began = Instant::now();
    let mut least = [Duration::MAX; 3];
    for _ in 0..times {
        let options = Options { key: Key::new(&[7; 32]), given_key: true, hide_paths: false };
        let mut redactor = Redactor::new(options);
        let mut out = Vec::new();
        let mut from = 0;
        for (to, least) in ends.into_iter().zip(&mut least) {
            let start = cpu_time(began);
            for chunk in bytes[from..to].chunks(1 << 20) {
                out.clear();
                redactor.push(chunk, &mut out).expect("a snapshot");
            }
            *least = (*least).min(cpu_time(began) - start);
            from = to;
        }
        redactor.finish().expect("a whole snapshot");
    }
    let megabytes = bytes.len() as f64 / 1e6;
    let all: Duration = least.iter().sum();
    let [nodes, edges, strings] = least.map(|time| time.as_secs_f64() * 1e3);
    println!("nodes {nodes:.1} ms, edges {edges:.1} ms, strings {strings:.1} ms");
    println!("{megabytes:.1} MB: {:.0} MB/s", megabytes / all.as_secs_f64());
}

/// Of this thread where Linux tells it to the nanosecond (schedstat of proc(5)), else the time of day.
fn cpu_time(began: Instant) -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    spent.map_or_else(|| began.elapsed(), Duration::from_nanos)
}
