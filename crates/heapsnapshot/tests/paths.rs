//! Ways from the roots, in words that lead to code.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::{CLOSURE, CODE, CONTEXT, Graph, INTERNAL, OBJECT, PROPERTY, SHORTCUT, SYNTHETIC};
use heapsnapshot::{NodeOrdinal, Snapshot};

/// A session in a module's variable, `holder` being what holds the module's context, and the name of
/// the field that leads to the script.
fn server(holder: (u32, &'static str), script_field: &'static str) -> Graph {
    let (kind, link) = holder;
    Graph {
        nodes: vec![
            (SYNTHETIC, 0, 0),
            (OBJECT, 1, 100),
            (kind, 2, 50),
            (OBJECT, 3, 40),
            (OBJECT, 4, 30),
            (OBJECT, 5, 80),
            (CODE, 6, 10),
            (CODE, 7, 10),
        ],
        edges: vec![
            (0, SHORTCUT, 1, 1),
            (1, PROPERTY, 2, 2),
            (2, INTERNAL, 8, 3),
            (2, INTERNAL, if link == "shared" { 9 } else { 10 }, 6),
            (3, CONTEXT, 11, 4),
            (4, PROPERTY, 12, 5),
            (6, INTERNAL, 13, 7),
        ],
        strings: vec![
            "",
            "global",
            "handler",
            "system / Context",
            "Map",
            "Session",
            "handler",
            "/srv/app/server.js",
            "context",
            "shared",
            link,
            "sessions",
            "current",
            script_field,
        ],
    }
}

fn words(graph: &Graph) -> String {
    let snapshot = Snapshot::read(graph.json().as_bytes()).unwrap();
    snapshot.describe_path(&snapshot.path_from_root(NodeOrdinal(5)))
}

const EXPECTED: &str = "server.js: sessions → Map → current → Session";

#[test]
fn a_variable_is_named_with_its_script() {
    // Node 22 and later; Node 18 and 20.
    for field in ["script", "script_or_debug_info"] {
        assert_eq!(words(&server((CLOSURE, "shared"), field)), EXPECTED, "{field}");
    }
    assert_eq!(words(&server((CLOSURE, "shared"), "other")), &EXPECTED["server.js: ".len()..]);
}

#[test]
fn a_suspended_function_names_its_script() {
    // A generator's `function` is the closure that has the script.
    let mut graph = server((OBJECT, "function"), "script");
    graph.nodes.push((CLOSURE, 2, 60));
    graph.edges.retain(|&(from, _, name, _)| (from, name) != (2, 10));
    graph.edges.push((2, INTERNAL, 10, 8));
    graph.edges.push((8, INTERNAL, 9, 6));
    assert_eq!(words(&graph), EXPECTED);
}

#[test]
fn a_top_level_variable_is_named_with_the_script_of_a_function_that_uses_it() {
    // V8's table of such variables is nearer to the roots than any function.
    let mut graph = server((CODE, "table"), "script");
    graph.nodes.push((CLOSURE, 2, 60));
    graph.edges.push((5, PROPERTY, 2, 8));
    graph.edges.push((8, INTERNAL, 8, 3));
    graph.edges.push((8, INTERNAL, 9, 6));
    assert_eq!(words(&graph), EXPECTED);
}
