//! Prints the user CPU of loading and of the dominators, for work on their speed.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]
fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() / 100.0, f[12].parse::<f64>().unwrap() / 100.0)
}
fn mem(k: &str) -> u64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with(k))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let t = std::time::Instant::now();
    let s = heapsnapshot::Snapshot::open(path).unwrap();
    println!(
        "load {:?} cpu {:?} anon {} MB hwm {}",
        t.elapsed(),
        cpu(),
        mem("RssAnon"),
        mem("VmHWM")
    );
    let t = std::time::Instant::now();
    let r = s.retained_size(s.root());
    println!(
        "dominators {:?} cpu {:?} anon {} hwm {} MB retained {r} nodes {} edges {} = {:.1} B an edge",
        t.elapsed(),
        cpu(),
        mem("RssAnon"),
        mem("VmHWM"),
        s.node_count(),
        s.edge_count(),
        mem("VmHWM") as f64 * 1048576.0 / s.edge_count() as f64
    );
}
