//! Loads a file with the crate v8-heap-parser and computes retained sizes: `bench-v8-heap-parser FILE`.

fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let file = std::fs::File::open(path).expect("a readable file");
    let mut reader = std::io::BufReader::with_capacity(1 << 20, file);
    let graph = v8_heap_parser::decode_reader(&mut reader).expect("a snapshot");
    // The first call computes them all.
    let largest = (0..graph.nodes().len()).map(|node| graph.retained_size(node)).max();
    println!("{largest:?}");
}
