//! What retains a large part of one heap, and where it accumulates.

#![allow(clippy::panic, clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::{ELEMENT, Graph, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC};
use heapsnapshot::suspects::Suspected;
use heapsnapshot::{NodeOrdinal, Snapshot};

const QUEUE: usize = 2;
const BELOW: usize = 3;

/// The root, the global object and, in its variable, a queue of 10 bytes.
fn queue() -> Graph {
    Graph {
        nodes: vec![(SYNTHETIC, 0, 0), (OBJECT, 1, 100), (OBJECT, 2, 10)],
        edges: vec![(0, SHORTCUT, 1, 1), (1, PROPERTY, 5, QUEUE)],
        strings: vec!["", "global", "Queue", "Item", "Registry", "queue", "head", "next"],
    }
}

/// The only suspect's object and its accumulation point.
fn suspect(graph: &Graph) -> (usize, usize) {
    let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
    let [suspect] = &snapshot.suspects(0.5)[..] else { panic!("one suspect is expected") };
    let Suspected::Object(NodeOrdinal(object)) = suspect.what else { panic!("an object") };
    let point = suspect.accumulation_point.unwrap();
    // The path leads to it.
    assert_eq!(suspect.path.last().unwrap().edge.to, point);
    (object as usize, point.index())
}

#[test]
fn a_linked_list_accumulates_at_its_head() {
    for (items, payload) in [(5, 0), (2000, 0), (300, 70)] {
        let mut graph = queue();
        graph.edges.push((QUEUE, PROPERTY, 6, BELOW));
        for i in 0..items {
            graph.nodes.push((OBJECT, 3, 50));
            if i + 1 < items {
                graph.edges.push((BELOW + i, PROPERTY, 7, BELOW + i + 1));
            }
        }
        // What hangs from each item.
        for i in 0..if payload > 0 { items } else { 0 } {
            graph.nodes.push((OBJECT, 4, payload));
            graph.edges.push((BELOW + i, ELEMENT, 0, graph.nodes.len() - 1));
        }
        assert_eq!(suspect(&graph), (QUEUE, BELOW), "{items} items");
    }
}

#[test]
fn a_container_in_containers_of_its_class_is_found() {
    // Queue → Registry → Registry → Registry → many items, where nothing is lost on the way.
    let mut graph = queue();
    for i in 0..3 {
        graph.nodes.push((OBJECT, 4, 10));
        graph.edges.push((QUEUE + i, PROPERTY, 6, BELOW + i));
    }
    for i in 0..100 {
        graph.nodes.push((OBJECT, 3, 50));
        graph.edges.push((BELOW + 2, ELEMENT, i, graph.nodes.len() - 1));
    }
    assert_eq!(suspect(&graph), (QUEUE, BELOW + 2));
}

#[test]
fn the_largest_objects_are_a_programs_and_of_a_list_the_first() {
    let mut graph = queue();
    for i in 0..50 {
        graph.nodes.push((OBJECT, 3, 50));
        graph.edges.push((BELOW + i - 1, PROPERTY, 7, BELOW + i));
    }
    let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
    let largest: Vec<usize> =
        snapshot.largest_objects(10).iter().map(|node| node.index()).collect();
    assert_eq!(largest, [QUEUE, BELOW]);
    assert_eq!(snapshot.largest_objects(1).len(), 1);
}
