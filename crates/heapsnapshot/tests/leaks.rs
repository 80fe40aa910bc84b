//! The example of what grew is what accounts for the growth.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test")]

mod common;

use common::{ELEMENT, Graph, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC};
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
    let mut snapshots: Vec<Snapshot> =
        graphs.iter().map(|graph| Snapshot::read(graph.json().as_bytes()).unwrap()).collect();
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
