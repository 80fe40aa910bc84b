//! What grows over more than two snapshots.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::{ELEMENT, Graph, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC};
use heapsnapshot::Snapshot;
use heapsnapshot::leaks::LeakOptions;
use heapsnapshot::trend::{Point, Watch};

const REGISTRY: usize = 2;
const CACHE: usize = 3;

/// A registry with sessions of 500 bytes, and a cache with entries of 600.
fn snapshot(sessions: usize, entries: usize) -> Snapshot {
    let mut graph = Graph {
        nodes: vec![(SYNTHETIC, 0, 0), (OBJECT, 1, 100), (OBJECT, 2, 10), (OBJECT, 3, 10)],
        edges: vec![(0, SHORTCUT, 1, 1), (1, PROPERTY, 6, REGISTRY), (1, PROPERTY, 7, CACHE)],
        strings: vec!["", "global", "Registry", "Cache", "Session", "Entry", "registry", "cache"],
    };
    for (count, name, size, holder) in [(sessions, 4, 500, REGISTRY), (entries, 5, 600, CACHE)] {
        for index in 0..count {
            graph.nodes.push((OBJECT, name, size));
            graph.edges.push((
                holder,
                ELEMENT,
                i64::try_from(index).unwrap(),
                graph.nodes.len() - 1,
            ));
        }
    }
    Snapshot::read(graph.json().as_bytes()).unwrap()
}

#[test]
fn what_grew_is_measured_in_all() {
    let [first, last] = [snapshot(10, 0), snapshot(70, 50)];
    let (watch, mut grown, points) = Watch::new(&first, &last, &LeakOptions::default());
    grown.sort_by(|a, b| a.group.cmp(&b.group));
    let names: Vec<_> = grown.iter().map(|found| found.group.class.name.as_str()).collect();
    assert_eq!(names, ["Entry", "Session"]);
    let [entries, sessions] = [&grown[0], &grown[1]];
    assert_eq!(sessions.group.owner.as_ref().unwrap().name, "Registry");
    assert_eq!(last.class_name(sessions.example), "Session");
    assert_eq!(sessions.path.last().unwrap().edge.to, sessions.example);
    let all = [&points[0], &watch.measure(&snapshot(30, 50)), &points[1]]
        .map(|points| [sessions, entries].map(|found| points.get(&found.group).copied()));
    let point = |count, retained| Some(Point { count, retained });
    assert_eq!(
        all,
        [
            [point(10, 5000), None],
            [point(30, 15_000), point(50, 30_000)],
            [point(70, 35_000), point(50, 30_000)],
        ]
    );
}

#[test]
fn what_shrank_or_grew_by_little_is_not_told() {
    let (_, grown, _) = Watch::new(&snapshot(70, 0), &snapshot(10, 15), &LeakOptions::default());
    assert!(grown.is_empty());
}
