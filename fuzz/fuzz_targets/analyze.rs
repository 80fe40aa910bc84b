//! Any bytes: read strictly and salvaged, then every question asked. Nothing may panic, hang or take
//! memory out of proportion.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run analyze -- -max_total_time=60 -rss_limit_mb=1024 -timeout=10`

#![no_main]

use heapsnapshot::compare::{Matching, compare};
use heapsnapshot::leaks::{LeakOptions, find_leaks};
use heapsnapshot::{LoadOptions, NamedFilter, Snapshot, trend};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let strict = Snapshot::read(data);
    let salvaged = LoadOptions::new().salvage(true).max_bytes(1 << 24).read(data);
    // What can be read needs no salvage, and salvage finds nothing more missing in it.
    if let Ok(strict) = &strict
        && let Ok(salvaged) = &salvaged
    {
        assert_eq!(strict.missing().len(), salvaged.missing().len());
        assert_eq!(strict.node_count(), salvaged.node_count());
    }
    let Ok(snapshot) = salvaged else { return };
    let mut within = 0u64;
    for node in snapshot.nodes() {
        within = within.saturating_add(snapshot.shallow_size(node));
        let _ = (snapshot.display_name(node), snapshot.class_name(node), snapshot.distance(node));
        let _ = (snapshot.source_place(node), snapshot.trace_node_id(node));
        for edge in snapshot.edges(node) {
            assert_eq!(snapshot.edge_owner(edge.index), node);
            let _ = (snapshot.edge_name(edge), snapshot.edge_kind_name(edge));
        }
        assert!(snapshot.retained_size(node) <= snapshot.retained_size(snapshot.root()));
        let _ = snapshot.describe_path(&snapshot.path_from_root(node));
    }
    // All bytes are the root's, in the end.
    assert_eq!(snapshot.retained_size(snapshot.root()), within);
    let _ = (snapshot.statistics(), snapshot.duplicate_strings(), snapshot.suspects(0.1));
    let _ = (snapshot.by_package(), snapshot.by_script());
    for filter in [
        NamedFilter::DuplicatedStrings,
        NamedFilter::DetachedDomNodes,
        NamedFilter::Console,
        NamedFilter::EventHandlers,
        NamedFilter::Contexts,
    ] {
        let _ = snapshot.classes_within(&snapshot.filtered(filter));
    }
    let second = snapshot.nodes_where(|node| node.0 == 1);
    let freed = snapshot.freed_without(&second);
    assert!(second.iter().all(|node| freed.contains(node)));
    let around = snapshot.around(second);
    for node in snapshot.nodes().take(64) {
        let _ = (around.js_holders(node), snapshot.js_path(&around.path(node)), snapshot.origin(node));
    }
    let _ = trend::Watch::new(&snapshot, &snapshot, &LeakOptions::default());
    let _ = compare(&snapshot, &snapshot, Matching::ById);
    let _ = find_leaks(&[&snapshot, &snapshot, &snapshot], &LeakOptions::default());
});
