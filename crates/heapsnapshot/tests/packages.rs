//! The heap by package and by script.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::{CLOSURE, CODE, CONTEXT, Graph, INTERNAL, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC};
use heapsnapshot::packages::{Origin, Share};
use heapsnapshot::{NodeOrdinal, Snapshot};

/// An application and a package: each has a function with its script, and the application's holds in a
/// variable an array of the package's object, which holds a Buffer that Node made.
fn snapshot() -> Snapshot {
    const STRINGS: [&str; 18] = [
        "",
        "global",
        "main",
        "system / Context",
        "Array",
        "Client",
        "FastBuffer",
        "/srv/app.js",
        "/srv/node_modules/ws/index.js",
        "node:buffer",
        "alloc",
        "connect",
        "shared",
        "context",
        "script",
        "clients",
        "buffer",
        "x",
    ];
    let graph = Graph {
        nodes: vec![
            (SYNTHETIC, 0, 0),
            (OBJECT, 1, 100),
            (CLOSURE, 2, 1),
            (OBJECT, 3, 2),
            (OBJECT, 4, 4),
            (OBJECT, 5, 8),
            (OBJECT, 6, 16),
            (CODE, 2, 32),
            (CODE, 7, 64),
            (CLOSURE, 11, 128),
            (CODE, 11, 256),
            (CODE, 8, 512),
            (CLOSURE, 10, 1024),
            (CODE, 10, 2048),
            (CODE, 9, 4096),
            (OBJECT, 6, 8192),
        ],
        edges: vec![
            (0, SHORTCUT, 1, 1),
            (1, PROPERTY, 2, 2),
            (1, PROPERTY, 11, 9),
            (1, PROPERTY, 10, 12),
            (1, PROPERTY, 17, 15),
            (2, INTERNAL, 12, 7),
            (2, INTERNAL, 13, 3),
            (3, CONTEXT, 15, 4),
            (4, PROPERTY, 17, 5),
            (5, PROPERTY, 16, 6),
            (7, INTERNAL, 14, 8),
            (9, INTERNAL, 12, 10),
            (10, INTERNAL, 14, 11),
            (12, INTERNAL, 12, 13),
            (13, INTERNAL, 14, 14),
        ],
        strings: STRINGS.to_vec(),
    };
    // Of each: the object, its script, line and column.
    let locations = "12,1,0,0, 54,2,0,0, 72,3,0,0, 30,2,0,0, 36,3,0,0, 90,3,0,0";
    let json = graph.json().replace("\"locations\":[]", &format!("\"locations\":[{locations}]"));
    Snapshot::read(json.as_bytes()).unwrap()
}

fn rows(shares: Vec<Share>) -> Vec<(String, u64, u64, Option<u64>)> {
    let named = |share: &Share| share.script.clone().unwrap_or_else(|| share.origin.to_string());
    let mut rows: Vec<_> = shares
        .iter()
        .map(|share| (named(share), share.count, share.shallow_size, share.retained_size))
        .collect();
    rows.sort();
    rows
}

#[test]
fn each_byte_belongs_to_one() {
    let snapshot = snapshot();
    let packages = rows(snapshot.by_package());
    let expected = [
        // Function, context, array, code and script; the package's object is within.
        ("(application)", 5, 1 + 2 + 4 + 32 + 64, Some(1 + 2 + 4 + 8 + 16 + 32 + 64)),
        ("(node)", 4, 1024 + 2048 + 4096 + 8192, Some(1024 + 2048 + 4096 + 8192)),
        ("(unknown)", 1, 100, None),
        // Function, code and script, and its object with the Buffer that it holds.
        ("ws", 5, 128 + 256 + 512 + 8 + 16, Some(128 + 256 + 512 + 8 + 16)),
    ];
    assert_eq!(
        packages,
        expected.map(|(name, count, own, all)| (name.to_owned(), count, own, all))
    );
    assert_eq!(packages.iter().map(|row| row.2).sum::<u64>(), snapshot.total_size());
}

#[test]
fn scripts_are_told_apart() {
    let names: Vec<_> = rows(snapshot().by_script()).into_iter().map(|row| row.0).collect();
    assert_eq!(names, ["(unknown)", "/srv/app.js", "/srv/node_modules/ws/index.js", "node:buffer"]);
}

#[test]
fn an_object_knows_its_origin() {
    let snapshot = snapshot();
    let origin = |node| snapshot.origin(NodeOrdinal(node)).to_string();
    assert_eq!(
        [2, 3, 4, 5, 6, 8].map(origin),
        ["(application)", "(application)", "(application)", "ws", "ws", "(application)"]
    );
    assert_eq!([12, 15, 1].map(origin), ["(node)", "(node)", "(unknown)"]);
    assert_eq!(snapshot.origin(NodeOrdinal(0)), Origin::Unknown);
}
