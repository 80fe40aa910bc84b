//! `cargo bench -p heapsnapshot [-- FILE...]`: how long loading and each question take, best of several
//! runs, on a snapshot that it makes in memory (46 MB) or on files. Beside other tools, on real
//! snapshots: `npm run bench:analyze`.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use heapsnapshot::Snapshot;
use heapsnapshot::compare::{Matching, compare};

const RUNS: usize = 5;

fn main() {
    // Cargo adds --bench.
    let files: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if files.is_empty() {
        measure("generated", generated(200_000).as_bytes());
    }
    for file in files {
        measure(&file, &std::fs::read(&file).unwrap());
    }
}

fn measure(name: &str, bytes: &[u8]) {
    let snapshot = Snapshot::read(bytes).unwrap();
    let (nodes, edges) = (snapshot.node_count(), snapshot.edge_count());
    println!("{name}: {} MB, {nodes} nodes, {edges} edges", bytes.len() / 1_000_000);
    let read = || Snapshot::read(bytes).unwrap();
    report("load", best(|| (), |()| read()));
    report("dominators, retained sizes", best(read, |one| (one.total_size(), one)));
    report("distances", best(read, |one| (one.distance(one.root()), one)));
    report("classes, with both", best(read, |one| (one.classes().len(), one)));
    report("compare", best(|| (read(), read()), |(a, b)| (compare(&a, &b, Matching::Auto), a, b)));
}

/// The shortest time of `run`, without what prepares it and what frees its result.
fn best<T, R>(prepare: impl Fn() -> T, run: impl Fn(T) -> R) -> Duration {
    let time = |_| {
        let prepared = prepare();
        let start = Instant::now();
        let result = run(prepared);
        let time = start.elapsed();
        drop(std::hint::black_box(result));
        time
    };
    (0..RUNS).map(time).min().unwrap_or_default()
}

fn report(what: &str, time: Duration) {
    println!("  {what:<28} {:>9.2} ms", time.as_secs_f64() * 1000.0);
}

/// Sessions in a map, each with a user, a list and a name; all in one long list besides.
fn generated(sessions: usize) -> String {
    const META: &str = r#"{"node_fields":["type","name","id","self_size","edge_count","detachedness"],"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic"],"string","number","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],"location_fields":["object_index","script_id","line","column"]}"#;
    const EACH: usize = 4;
    let node_count = 3 + EACH * sessions;
    let (mut nodes, mut edges) = (String::new(), String::new());
    let mut edge_count = 2 + sessions;
    write!(nodes, "9,0,1,0,1,0\n,3,1,3,400,1,0\n,1,0,5,{},{sessions},0", 8 * sessions).unwrap();
    write!(edges, "5,1,6\n,2,2,12").unwrap();
    for i in 0..sessions {
        write!(edges, "\n,1,{i},{}", 6 * (3 + EACH * i)).unwrap();
    }
    let mut strings =
        r#""","global","sessions","Session","Array","User","user","list","name","next","self""#
            .to_owned();
    for i in 0..sessions {
        let first = 3 + EACH * i;
        let id = 2 * first + 1;
        let next = 3 + EACH * ((i + 1) % sessions);
        write!(nodes, "\n,3,3,{id},56,4,0\n,3,5,{},32,2,0", id + 2).unwrap();
        write!(nodes, "\n,1,4,{},80,3,0\n,2,{},{},24,0,0", id + 4, 11 + i, id + 6).unwrap();
        let at = |place: usize| 6 * (first + place);
        write!(edges, "\n,2,6,{}\n,2,7,{}\n,2,8,{}\n,2,9,{}", at(1), at(2), at(3), 6 * next)
            .unwrap();
        write!(edges, "\n,2,8,{}\n,2,10,{}", at(3), at(0)).unwrap();
        write!(edges, "\n,1,0,{}\n,1,1,{}\n,1,2,{}", at(0), at(1), 6 * next).unwrap();
        edge_count += 9;
        write!(strings, ",\n\"session-{i}\"").unwrap();
    }
    format!(
        "{{\"snapshot\":{{\"meta\":{META},\"node_count\":{node_count},\"edge_count\":{edge_count}}},\n\
         \"nodes\":[{nodes}],\n\"edges\":[{edges}],\n\"locations\":[],\n\"strings\":[{strings}]}}"
    )
}
