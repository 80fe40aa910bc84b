//! What grew, the example that accounts for it, and the functions that it holds.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test")]

mod common;

use common::{Builder, CONTEXT, ELEMENT, Graph, INTERNAL, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC};
use heapsnapshot::compare::Matching;
use heapsnapshot::leaks::{LeakOptions, Suspect, find_leaks};
use heapsnapshot::{NodeOrdinal, Snapshot};

const ARRAY: u32 = 2;
const OLD: usize = 2;

/// The root, the global object and, in its variable, an array of a size with some elements.
fn array(size: u64, elements: usize) -> Graph {
    let mut graph = Graph {
        nodes: vec![(SYNTHETIC, 0, 0), (OBJECT, 1, 100), (OBJECT, ARRAY, size)],
        edges: vec![(0, SHORTCUT, 1, 1), (1, PROPERTY, 4, OLD)],
        strings: vec!["", "global", "Array", "Item", "compiled", "other"],
    };
    for _ in 0..elements {
        graph.nodes.push((OBJECT, 3, 10));
        graph.edges.push((OLD, ELEMENT, 0, graph.nodes.len() - 1));
    }
    graph
}

fn with_new_arrays(mut graph: Graph, count: usize, size: u64) -> Graph {
    for _ in 0..count {
        graph.nodes.push((OBJECT, ARRAY, size));
        graph.edges.push((1, PROPERTY, 5, graph.nodes.len() - 1));
    }
    graph
}

fn first_suspect(graphs: &[Graph], matching: Matching) -> (Snapshot, Suspect) {
    suspect_in(graphs.iter().map(Graph::json), matching)
}

fn suspect_in(files: impl Iterator<Item = String>, matching: Matching) -> (Snapshot, Suspect) {
    let mut snapshots: Vec<Snapshot> =
        files.map(|file| Snapshot::read(file.as_bytes()).unwrap()).collect();
    let borrowed: Vec<&Snapshot> = snapshots.iter().collect();
    let options = LeakOptions { matching, ..LeakOptions::default() };
    let suspect = find_leaks(&borrowed, &options).suspects.into_iter().next().unwrap();
    (snapshots.pop().unwrap(), suspect)
}

#[test]
fn an_array_that_grew_is_named_beside_new_ones() {
    let graphs = [
        array(1_000, 1),
        with_new_arrays(array(400_000, 3), 2, 500),
        with_new_arrays(array(800_000, 5), 2, 500),
    ];
    for matching in [Matching::ById, Matching::ByClass] {
        let (last, suspect) = first_suspect(&graphs, matching);
        let container = suspect.container.unwrap();
        assert_eq!((container.node, suspect.example), (NodeOrdinal(2), NodeOrdinal(2)));
        assert_eq!(container.retained, [1_010, 400_030, 800_050]);
        assert_eq!(container.elements, [1, 3, 5]);
        assert_eq!(suspect.objects, [NodeOrdinal(2)]);
        assert_eq!(last.name_in_code(&suspect.path).unwrap(), "`globalThis.compiled`");
    }
}

#[test]
fn what_holds_all_that_grew_is_told_beside_others_that_were_there() {
    let graphs = [15, 45, 75].map(|items| {
        let mut graph = with_new_arrays(array(1_000, items), 1, 500);
        for node in &mut graph.nodes[OLD + 1..OLD + 1 + items] {
            node.2 = 10_000;
        }
        let other = graph.nodes.len() - 1;
        for _ in 0..7 {
            graph.nodes.push((OBJECT, 3, 10));
            graph.edges.push((other, ELEMENT, 0, graph.nodes.len() - 1));
        }
        graph
    });
    for matching in [Matching::ById, Matching::ByClass] {
        let (_, suspect) = first_suspect(&graphs, matching);
        assert_eq!((suspect.counts.as_slice(), suspect.container), (&[22, 52, 82][..], None));
        assert_eq!(suspect.holder, Some(NodeOrdinal(2)), "{matching:?}");
    }
}

#[test]
fn where_many_are_new_none_of_them_is_a_container() {
    let graphs = [array(1_000, 1), with_new_arrays(array(1_000, 1), 30, 20_000)];
    for matching in [Matching::ById, Matching::ByClass] {
        let (last, suspect) = first_suspect(&graphs, matching);
        assert_eq!(suspect.container, None);
        assert_eq!(last.edge_name(suspect.path.last().unwrap().edge), "other");
    }
}

#[test]
fn one_large_object_that_is_new_is_no_container() {
    let graphs = [array(1_000, 1), with_new_arrays(array(1_000, 1), 1, 500_000)];
    let (last, suspect) = first_suspect(&graphs, Matching::ById);
    assert_eq!((suspect.container, last.shallow_size(suspect.example)), (None, 500_000));
}

/// Middleware that wraps the last one, so many times; the outermost is in a variable. Beside it `others`,
/// functions that have been there all the time.
fn wrapped(times: usize, others: usize) -> Builder {
    let mut builder = Builder::new();
    let module = builder.context();
    let start = builder.closure("start", ("/srv/app/server.js", 1, 1), Some(module));
    builder.edge(Builder::GLOBAL, PROPERTY, "start", start);
    for _ in 0..others {
        let old = builder.closure("old", ("/srv/app/old.js", 1, 1), None);
        builder.edge(Builder::GLOBAL, PROPERTY, "old", old);
    }
    let mut inner = None;
    for _ in 0..times {
        let call = builder.node(OBJECT, "system / Context", 300);
        let closure = builder.closure("wrapper", ("/srv/app/wrap.js", 5, 10), Some(call));
        if let Some(inner) = inner.replace(closure) {
            builder.edge(call, CONTEXT, "next", inner);
        }
    }
    builder.edge(module, CONTEXT, "handler", inner.unwrap());
    builder
}

#[test]
fn a_chain_is_counted_by_its_links_and_found_by_its_outermost() {
    // Nothing that was there before decides, however much there is of it.
    let cases = [(Matching::ById, 50), (Matching::ByClass, 50), (Matching::ById, 1_000)];
    for (matching, others) in cases {
        let files = [10, 60, 110].map(|times| wrapped(times, others).json());
        let (last, suspect) = suspect_in(files.into_iter(), matching);
        assert!(suspect.is_chain, "{matching:?} {others}");
        let counts = &suspect.counts;
        assert_eq!([counts[1] - counts[0], counts[2] - counts[1]], [50, 50]);
        let path = last.describe_path(&suspect.path);
        assert_eq!(path, "server.js: handler → wrapper()", "{matching:?} {others}");
    }
}

#[test]
fn many_side_by_side_in_one_of_them_are_no_chain() {
    let table = |rows: usize| {
        let mut graph = array(100, 0);
        for _ in 0..rows {
            graph.nodes.push((OBJECT, ARRAY, 300));
            graph.edges.push((OLD, ELEMENT, 0, graph.nodes.len() - 1));
        }
        graph
    };
    let (_, suspect) = first_suspect(&[table(1), table(61)], Matching::ById);
    assert!(!suspect.is_chain);
    assert_eq!(suspect.container.unwrap().elements, [1, 61]);
}

/// Timers in a list of Node's, each with a callback of its own; `handle` is shared by all.
fn timers(count: usize, script: &'static str) -> Builder {
    let mut builder = Builder::new();
    let handle = builder.closure("handle", (script, 3, 1), None);
    let list = builder.property(Builder::GLOBAL, "timers", OBJECT, "TimersList");
    for i in 0..count {
        let timer = builder.node(OBJECT, "Timeout", 400);
        builder.element(list, i, timer);
        // Node's own wrapper is passed, to what it calls.
        let call = builder.node(OBJECT, "system / Context", 40);
        let wrapper = builder.closure("listOnTimeout", ("node:internal/timers", 9, 9), Some(call));
        builder.edge(timer, PROPERTY, "_onTimeout", wrapper);
        builder.edge(call, CONTEXT, "callback", handle);
        let other = builder.closure("", ("/srv/app/node_modules/a/index.js", 8, 2), None);
        builder.edge(timer, INTERNAL, "extra", other);
    }
    builder
}

#[test]
fn the_functions_that_objects_hold_are_counted_by_place() {
    let held = |script: &'static str| {
        let files = [1, 41].map(|count| timers(count, script).json());
        let (_, suspect) = suspect_in(files.into_iter(), Matching::ById);
        assert_eq!(suspect.group.class.name, "Timeout");
        suspect.functions.into_iter().map(|held| {
            let place = held.place;
            (held.name, place.script.unwrap(), place.line, place.column, held.count)
        })
    };
    let app = "/srv/app/session.js";
    let expected = ("handle".to_owned(), app.to_owned(), 3, 1, 40);
    assert_eq!(held(app).collect::<Vec<_>>(), [expected]);
    // A package's only where there is none of the application's.
    let package = "/srv/app/node_modules/a/index.js";
    let mut expected = vec![
        ("handle".to_owned(), package.to_owned(), 3, 1, 40),
        (String::new(), package.to_owned(), 8, 2, 40),
    ];
    let mut found: Vec<_> = held(package).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_few_objects_that_are_there_once_are_no_leak() {
    let found = |counts: [usize; 3], size: u64| {
        let graphs = counts.map(|count| with_new_arrays(array(1_000, 1), count, size));
        let read = |graph: &Graph| Snapshot::read(graph.json().as_bytes()).unwrap();
        let snapshots = graphs.each_ref().map(read);
        !find_leaks(&snapshots.each_ref(), &LeakOptions::default()).suspects.is_empty()
    };
    assert!(!found([5, 45, 45], 1_000));
    assert!(found([5, 45, 85], 1_000));
    // Many bytes are told in any case.
    assert!(found([5, 45, 45], 10_000));
}

/// What is found in four snapshots, where 20 runs were done before the first, then 20, 60 and 40.
fn suspects_by_pace(graphs: &[Graph; 4]) -> Vec<(u64, Option<Vec<u64>>)> {
    let snapshots = graphs.each_ref().map(|graph| Snapshot::read(graph.json().as_bytes()).unwrap());
    let options = LeakOptions {
        matching: Matching::ById,
        min_objects: 5,
        min_bytes: 1,
        min_bytes_of_few: 16 << 10,
        work: vec![20.0, 20.0, 60.0, 40.0],
    };
    let found = find_leaks(&snapshots.each_ref(), &options).suspects;
    let of = |suspect: &Suspect| suspect.container.as_ref().map(|of| of.retained.clone());
    found.iter().map(|suspect| (suspect.growth(), of(suspect))).collect()
}

#[test]
fn with_a_measure_only_what_grows_with_the_work_is_a_suspect() {
    let items = |counts: [usize; 4]| suspects_by_pace(&counts.map(|count| array(1_000, count)));
    assert_eq!(items([20, 40, 100, 140]), [(1_200, None)]);
    assert_eq!(items([20, 30, 60, 80]), [(600, None)]);
    // With each snapshot; once; what waits for a while; a cache that is full.
    assert_eq!(items([20, 40, 60, 80]), []);
    assert_eq!(items([20, 60, 60, 60]), []);
    assert_eq!(items([20, 20, 60, 40]), []);
    assert_eq!(items([20, 40, 50, 50]), []);
}

#[test]
fn a_table_that_doubles_keeps_pace_with_the_work() {
    let sizes = [40_000, 80_000, 160_000, 160_000];
    let found = suspects_by_pace(&sizes.map(|size| with_new_arrays(array(size, 0), 3, 500_000)));
    assert_eq!(found, [(120_000, Some(sizes.to_vec()))]);
    let once = [40_000, 90_000, 90_000, 90_000].map(|size| array(size, 0));
    assert_eq!(suspects_by_pace(&once), []);
}

#[test]
fn what_is_in_an_array_that_grew_once_is_found() {
    let graphs = [(1_000, 20), (50_000, 40), (50_000, 100), (50_000, 140)];
    assert_eq!(suspects_by_pace(&graphs.map(|(size, count)| array(size, count))), [(1_200, None)]);
}

#[test]
fn what_is_made_anew_and_larger_each_time_keeps_pace() {
    // Beside others of its kind, and with another id in each snapshot.
    let graphs = [(20, 0), (40, 1), (100, 2), (140, 3)].map(|(runs, others)| {
        let mut graph = array(1_000, others);
        graph.nodes.push((OBJECT, ARRAY, 512 * runs));
        graph.edges.push((1, PROPERTY, 5, graph.nodes.len() - 1));
        graph
    });
    assert_eq!(suspects_by_pace(&graphs), [(120 * 512 + 30, None)]);
}
