//! Dominators, retained and shallow sizes against the plainest algorithms, on graphs of all shapes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_range_loop,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test"
)]

mod common;

use std::iter::successors;

use common::{ELEMENT, Graph, INTERNAL, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC, WEAK};
use heapsnapshot::{NodeOrdinal, Snapshot};
use proptest::prelude::*;

/// Node 0 is the root. Sizes are different powers, so that no two sums are equal by chance.
fn graphs() -> impl Strategy<Value = Graph> {
    (1usize..24).prop_flat_map(|count| {
        let kinds = prop_oneof![
            4 => Just(PROPERTY),
            2 => Just(ELEMENT),
            2 => Just(INTERNAL),
            1 => Just(SHORTCUT),
            1 => Just(WEAK),
        ];
        let edge = (0..count, kinds, 0..count);
        let synthetic = proptest::collection::vec(proptest::bool::weighted(0.1), count);
        (proptest::collection::vec(edge, 0..70), synthetic).prop_map(move |(edges, synthetic)| {
            Graph {
                nodes: (0..count)
                    .map(|node| {
                        let kind = if node == 0 || synthetic[node] { SYNTHETIC } else { OBJECT };
                        (kind, 0, (1 + node as u64) * (1 + node as u64))
                    })
                    .collect(),
                edges: edges.into_iter().map(|(from, kind, to)| (from, kind, 0, to)).collect(),
                strings: vec!["x"],
            }
        })
    })
}

/// DevTools' essential edges, in so many words.
fn essential(graph: &Graph) -> Vec<(usize, usize)> {
    let mut page = vec![false; graph.nodes.len()];
    let mut work: Vec<usize> = graph
        .edges
        .iter()
        .filter(|&&(from, kind, _, _)| from == 0 && kind == SHORTCUT)
        .map(|&(_, _, _, to)| to)
        .collect();
    while let Some(node) = work.pop() {
        if !std::mem::replace(&mut page[node], true) {
            work.extend(
                graph.edges.iter().filter(|e| e.0 == node && e.1 != WEAK).map(|edge| edge.3),
            );
        }
    }
    graph
        .edges
        .iter()
        .filter(|&&(from, kind, _, to)| {
            kind != WEAK
                && from != to
                && (from == 0 || (kind != SHORTCUT && (page[from] || !page[to])))
        })
        .map(|&(from, _, _, to)| (from, to))
        .collect()
}

fn reachable(
    count: usize,
    edges: &[(usize, usize)],
    start: usize,
    without: Option<usize>,
) -> Vec<bool> {
    let mut seen = vec![false; count];
    let mut work = vec![start];
    while let Some(node) = work.pop() {
        if Some(node) != without && !std::mem::replace(&mut seen[node], true) {
            work.extend(edges.iter().filter(|edge| edge.0 == node).map(|edge| edge.1));
        }
    }
    seen
}

/// The dominator of a node is the one that, removed, cuts off the node, and is itself cut off by every
/// other such one.
fn naive(graph: &Graph) -> (Vec<usize>, Vec<u64>) {
    let count = graph.nodes.len();
    let mut edges = essential(graph);
    let seen = reachable(count, &edges, 0, None);
    for node in 1..count {
        if !seen[node] && !edges.iter().any(|edge| edge.1 == node) {
            edges.push((0, node));
        }
    }
    let seen = reachable(count, &edges, 0, None);
    // Rings that nothing leads to hang from the root, node by node.
    edges.retain(|edge| seen[edge.0]);
    edges.extend((0..count).filter(|&node| !seen[node]).map(|node| (0, node)));
    let without: Vec<Vec<bool>> =
        (0..count).map(|node| reachable(count, &edges, 0, Some(node))).collect();
    let mut dominators = vec![0; count];
    let mut retained = vec![0; count];
    for node in 0..count {
        let strict: Vec<usize> =
            (0..count).filter(|&other| other != node && !without[other][node]).collect();
        dominators[node] = strict
            .iter()
            .copied()
            .find(|&near| strict.iter().all(|&far| far == near || !without[far][near]))
            .unwrap_or(0);
        retained[node] = (0..count)
            .filter(|&other| other == node || !without[node][other])
            .map(|other| graph.nodes[other].2)
            .sum();
    }
    (dominators, retained)
}

/// A few by default; `PROPTEST_CASES` for many.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_the_naive_ones(graph in graphs()) {
        let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
        let (dominators, retained) = naive(&graph);
        for node in snapshot.nodes() {
            prop_assert_eq!(snapshot.dominator(node).index(), dominators[node.index()], "{:?}", node);
            prop_assert_eq!(snapshot.retained_size(node), retained[node.index()], "{:?}", node);
        }
    }

    #[test]
    fn without_an_object_its_retained_size_is_freed(graph in graphs()) {
        let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
        for node in snapshot.nodes() {
            let freed = snapshot.freed_without(&snapshot.nodes_where(|other| other == node));
            prop_assert_eq!(snapshot.shallow_size_of(&freed), snapshot.retained_size(node), "{:?}", node);
            prop_assert_eq!(snapshot.retained_size_of(&freed), snapshot.retained_size(node), "{:?}", node);
        }
    }

    #[test]
    fn one_within_another_is_retained_once(graph in graphs(), chosen in 0u32..1 << 24) {
        let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
        let is_chosen = |node: NodeOrdinal| chosen >> (node.0 % 24) & 1 == 1;
        let is_within = |node: NodeOrdinal| {
            let above = |&node: &NodeOrdinal| Some(snapshot.dominator(node)).filter(|&above| above != node);
            successors(Some(node), above).skip(1).any(is_chosen)
        };
        let outer = snapshot.nodes().filter(|&node| is_chosen(node) && !is_within(node));
        let sum: u64 = outer.map(|node| snapshot.retained_size(node)).sum();
        prop_assert_eq!(snapshot.retained_size_of(&snapshot.nodes_where(is_chosen)), sum);
    }

    #[test]
    fn without_several_what_they_hold_together_is_freed(graph in graphs(), chosen in 0u32..1 << 24) {
        let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
        let gone = |node: usize| node > 0 && chosen >> node & 1 == 1;
        let count = graph.nodes.len();
        let mut edges = essential(&graph);
        let orphans: Vec<usize> =
            (1..count).filter(|&node| !edges.iter().any(|edge| edge.1 == node)).collect();
        edges.extend(orphans.into_iter().map(|node| (0, node)));
        let before = reachable(count, &edges, 0, None);
        edges.retain(|&(from, to)| !gone(from) && !gone(to));
        let after = reachable(count, &edges, 0, None);
        let freed =
            snapshot.freed_without(&snapshot.nodes_where(|node| gone(node.index())));
        for node in 0..count {
            let expected = gone(node) || (before[node] && !after[node]);
            prop_assert_eq!(freed.contains(NodeOrdinal(node as u32)), expected, "{}", node);
        }
    }

    #[test]
    fn retainers_and_children_are_the_other_way_round(graph in graphs()) {
        let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
        let mut edges = 0;
        for node in snapshot.nodes() {
            for edge in snapshot.edges(node) {
                prop_assert!(snapshot.retainers(edge.to).any(|other| other == edge));
                prop_assert_eq!(snapshot.edge_owner(edge.index), node);
                edges += 1;
            }
            for child in snapshot.dominated(node) {
                prop_assert_eq!(snapshot.dominator(child), node);
            }
            let path = snapshot.path_from_root(node);
            prop_assert_eq!(path.last().map(|step| step.edge.to), path.last().map(|_| node));
        }
        prop_assert_eq!(edges, graph.edges.len());
    }
}

/// A list of many links takes no longer than its length: no recursion, no fix-point.
#[test]
fn a_long_list_is_no_trouble() {
    const LENGTH: usize = 20_000;
    let mut nodes = vec!["9,0,1,0,2,0".to_owned()];
    let mut edges = vec!["5,0,6".to_owned(), format!("2,0,{}", 6 * LENGTH)];
    for node in 1..=LENGTH {
        // Forth and back, and to the last one.
        let next = if node == LENGTH { 1 } else { node + 1 };
        nodes.push(format!("3,0,{},1,3,0", 2 * node + 1));
        edges.push(format!("2,0,{}", 6 * next));
        edges.push(format!("2,0,{}", 6 * (node - 1)));
        edges.push(format!("2,0,{}", 6 * LENGTH));
    }
    let json = format!(
        "{{\"snapshot\":{{\"meta\":{},\"node_count\":{},\"edge_count\":{}}},\"nodes\":[{}],\
         \"edges\":[{}],\"strings\":[\"x\"]}}",
        common::META,
        nodes.len(),
        edges.len(),
        nodes.join(","),
        edges.join(",")
    );
    let snapshot = Snapshot::read(json.as_bytes()).unwrap();
    assert_eq!(snapshot.retained_size(snapshot.root()), LENGTH as u64);
    assert_eq!(snapshot.dominator(NodeOrdinal(20_000)), snapshot.root());
    assert_eq!(snapshot.classes().iter().count(), 1);
}
