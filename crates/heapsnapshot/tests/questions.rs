//! Questions about many objects: selecting them, what would be freed without them, DevTools' filters,
//! and what holds one on other ways.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::{
    CLOSURE, CONTEXT, ELEMENT, Graph, INTERNAL, NATIVE, OBJECT, PROPERTY, SHORTCUT, STRING,
    SYNTHETIC,
};
use heapsnapshot::query::{Condition, Query};
use heapsnapshot::{NamedFilter, NodeOrdinal, NodeSet, Snapshot};

fn read(graph: &Graph) -> Snapshot {
    Snapshot::read(graph.json().as_bytes()).unwrap()
}

fn set(snapshot: &Snapshot, nodes: &[u32]) -> NodeSet {
    snapshot.nodes_where(|node| nodes.contains(&node.0))
}

fn members(nodes: &NodeSet) -> Vec<u32> {
    nodes.iter().map(|node| node.0).collect()
}

fn select(snapshot: &Snapshot, condition: &str) -> Vec<u32> {
    let condition: Condition = condition.parse().unwrap();
    let query = Query { condition: Some(condition), ..Query::default() };
    members(&snapshot.select(&query))
}

#[test]
fn conditions_select_by_every_field() {
    let snapshot = read(&common::small());
    assert_eq!(select(&snapshot, "shallow >= 20 and shallow < 100"), [3, 4]);
    assert_eq!(select(&snapshot, "retained > 0.05kB and not id = @3"), [2]);
    assert_eq!(select(&snapshot, "distance = 1"), [1]);
    assert_eq!(select(&snapshot, "edges = 2"), [2]);
    assert_eq!(select(&snapshot, "id = 7 || id = @9"), [3, 4]);
    assert_eq!(select(&snapshot, "class = Thing and name ~ 'hin'"), [2, 3, 4]);
    assert_eq!(select(&snapshot, "class !~ /^thing/i"), [1]);
    assert_eq!(select(&snapshot, "kind = object and name != Thing"), [1]);
    assert_eq!(select(&snapshot, "detached"), [] as [u32; 0]);
    // `and` binds closer than `or`.
    assert_eq!(select(&snapshot, "id = @3 or id = @5 and shallow = 1"), [1]);
}

#[test]
fn a_search_by_name_finds_what_each_name_says() {
    let mut graph = Graph { strings: vec![""], ..Graph::default() };
    graph.strings.extend([
        "GC roots",
        "Object",
        "Thing",
        r"caf\u00e9",
        r"c\u0061fé",
        r"a\/b",
        r#"say \"a\""#,
        "(missing)",
        "first",
        "second",
    ]);
    graph.nodes = vec![(SYNTHETIC, 1, 0)];
    for (kind, name) in [
        (OBJECT, 3),
        (STRING, 4),
        (STRING, 5),
        (STRING, 6),
        (STRING, 7),
        (STRING, 8),
        (OBJECT, 2),
        (OBJECT, 2),
        (OBJECT, 2),
    ] {
        graph.nodes.push((kind, name, 8));
    }
    // A joined string, and plain objects: two alike, one without properties.
    graph.nodes.push((10, 0, 8));
    let all = graph.nodes.len();
    graph.edges = (1..all).map(|to| (0, ELEMENT, i64::try_from(to).unwrap(), to)).collect();
    graph.edges.extend([
        (7, PROPERTY, 4, 1),
        (7, PROPERTY, 9, 1),
        (8, PROPERTY, 4, 1),
        (8, PROPERTY, 9, 1),
    ]);
    graph.edges.extend([(10, INTERNAL, 9, 2), (10, INTERNAL, 10, 4)]);
    let snapshot = read(&graph);
    for text in [
        "a", "af", "caf", "café", "é", "afirst", "first", "{", "/", "a/b", "y \"", "missing",
        "u00", "Object", "", "zz",
    ] {
        for operator in ["~", "="] {
            let condition: Condition = format!("name {operator} '{text}'").parse().unwrap();
            let sized = snapshot.nodes().filter(|&node| snapshot.shallow_size(node) > 0);
            let wanted: Vec<u32> =
                sized.filter(|&node| condition.holds(&snapshot, node)).map(|node| node.0).collect();
            assert_eq!(
                select(&snapshot, &format!("name {operator} '{text}'")),
                wanted,
                "{operator} {text}"
            );
        }
    }
    assert_eq!(select(&snapshot, "name ~ 'caf'"), [2, 3, 7, 8, 10]);
    assert_eq!(select(&snapshot, "name = '{}'"), [9]);
}

#[test]
fn each_of_many_is_looked_at() {
    let mut graph = Graph { strings: vec!["", "Cat", "Dog", "Object", "x"], ..Graph::default() };
    graph.nodes = vec![(SYNTHETIC, 0, 0)];
    for at in 1..150u32 {
        let kind = if at % 7 == 0 { STRING } else { OBJECT };
        graph.nodes.push((kind, 1 + at % 3, u64::from(at % 5) * 8));
        graph.edges.push((0, ELEMENT, i64::from(at), at as usize));
    }
    graph.edges.push((3, PROPERTY, 4, 149));
    graph.edges.push((149, PROPERTY, 4, 3));
    let snapshot = read(&graph);
    let sized = || snapshot.nodes().filter(|&node| snapshot.shallow_size(node) > 0);
    for text in [
        "name ~ 'Cat' or class ~ 'Dog'",
        "name != 'Cat' and class != 'Dog'",
        "shallow > 8 and name = 'Dog' or id = @299",
        "class = '(string)' or edges > 0",
        "kind = 'string'",
        "class = 'nothing'",
    ] {
        let condition: Condition = text.parse().unwrap();
        let wanted = sized().filter(|&node| condition.holds(&snapshot, node));
        assert_eq!(
            select(&snapshot, text),
            wanted.map(|node| node.0).collect::<Vec<_>>(),
            "{text}"
        );
    }
    let few = snapshot.nodes_where(|node| node.0 % 10 == 9);
    let query = |class: &str, properties: &[&str]| Query {
        class: Some(class.parse().unwrap()),
        properties: properties.iter().map(|&name| name.to_owned()).collect(),
        within: Some(few.clone()),
        ..Query::default()
    };
    let dogs = sized().filter(|node| node.0 % 10 == 9 && snapshot.class_name(*node) == "Dog");
    let found = snapshot.select(&query("Dog", &[]));
    assert_eq!(members(&found), dogs.map(|node| node.0).collect::<Vec<_>>());
    assert!(found.len() > 3);
    assert_eq!(
        members(&snapshot.select(&query(snapshot.class_name(NodeOrdinal(149)), &["x"]))),
        [149]
    );
}

#[test]
fn a_class_and_a_property_select_too() {
    let snapshot = read(&common::small());
    let query = Query {
        class: Some("/hing$/".parse().unwrap()),
        properties: vec!["b".to_owned()],
        ..Query::default()
    };
    assert_eq!(members(&snapshot.select(&query)), [2]);
    assert_eq!(snapshot.property(NodeOrdinal(2), "b"), Some(NodeOrdinal(3)));
    let within = Query { within: Some(set(&snapshot, &[0, 3])), ..Query::default() };
    // The root has no size.
    assert_eq!(members(&snapshot.select(&within)), [3]);
}

#[test]
fn without_some_what_they_hold_together_is_freed() {
    // The global object holds two, and both hold a third.
    let mut graph = common::small();
    graph.edges = vec![
        (0, SHORTCUT, 1, 1),
        (1, PROPERTY, 3, 2),
        (1, PROPERTY, 4, 3),
        (2, PROPERTY, 5, 4),
        (3, PROPERTY, 5, 4),
    ];
    let snapshot = read(&graph);
    let both = set(&snapshot, &[2, 3]);
    assert_eq!(snapshot.retained_size_of(&both), 30);
    let freed = snapshot.freed_without(&both);
    assert_eq!((members(&freed), snapshot.shallow_size_of(&freed)), (vec![2, 3, 4], 60));
    assert_eq!(members(&snapshot.freed_without(&set(&snapshot, &[2]))), [2]);
}

/// A WeakMap and its table, a key, and a value that both lead to.
fn weak_map() -> Graph {
    const PAIR: &str = " / part of key (Key @9) -> value (Value @11) pair in WeakMap (table @7)";
    let names =
        ["1", "2"].map(|number| Box::leak(format!("{number}{PAIR}").into_boxed_str()) as &str);
    Graph {
        nodes: vec![
            (SYNTHETIC, 0, 0),
            (OBJECT, 1, 100),
            (OBJECT, 2, 10),
            (OBJECT, 3, 20),
            (OBJECT, 4, 30),
            (OBJECT, 5, 40),
        ],
        edges: vec![
            (0, SHORTCUT, 1, 1),
            (1, PROPERTY, 6, 2),
            (1, PROPERTY, 7, 4),
            (2, INTERNAL, 8, 3),
            (3, INTERNAL, 9, 5),
            (4, INTERNAL, 10, 5),
        ],
        strings: vec![
            "",
            "global",
            "WeakMap",
            "system / Table",
            "Key",
            "Value",
            "map",
            "key",
            "table",
            names[0],
            names[1],
        ],
    }
}

#[test]
fn a_value_of_a_weak_map_needs_key_and_table() {
    let snapshot = read(&weak_map());
    assert_eq!(members(&snapshot.freed_without(&set(&snapshot, &[4]))), [4, 5]);
    assert_eq!(members(&snapshot.freed_without(&set(&snapshot, &[2]))), [2, 3, 5]);
    // DevTools' retained sizes know only the key.
    assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 30);
    assert_eq!(snapshot.retained_size(NodeOrdinal(4)), 70);
}

#[test]
fn an_ignored_table_or_key_leaves_no_way_to_the_value() {
    let snapshot = read(&weak_map());
    for ignored in [2, 4] {
        let around = snapshot.around(set(&snapshot, &[ignored]));
        assert_eq!(around.distance(NodeOrdinal(5)), None);
        assert_eq!(around.holders(NodeOrdinal(5)).count(), 0);
    }
    assert_eq!(snapshot.holders(NodeOrdinal(5)).count(), 2);
}

#[test]
fn ignored_retainers_and_what_they_lead_through_are_passed_by() {
    let snapshot = read(&common::small());
    let c = NodeOrdinal(4);
    let from = |around: &heapsnapshot::retainers::Detour<'_>| {
        around.holders(c).map(|step| step.from.0).collect::<Vec<_>>()
    };
    let around = snapshot.around(set(&snapshot, &[3]));
    assert_eq!((from(&around), around.distance(c)), (vec![2], Some(3)));
    assert_eq!(around.path(c).last().unwrap().from, NodeOrdinal(2));
    // What only leads there by way of an ignored one is no retainer either.
    let around = snapshot.around(set(&snapshot, &[2]));
    assert_eq!((from(&around), around.distance(c)), (vec![], None));
    assert!(around.path(c).is_empty());
}

#[test]
fn js_holders_are_what_a_program_sees() {
    const ARRAY: u32 = 1;
    // A function's variable is a Map whose table holds an object; V8 holds it too.
    let graph = Graph {
        nodes: vec![
            (SYNTHETIC, 0, 0),
            (CLOSURE, 1, 10),
            (OBJECT, 2, 10),
            (OBJECT, 3, 10),
            (ARRAY, 0, 10),
            (OBJECT, 4, 10),
            (SYNTHETIC, 5, 0),
        ],
        edges: vec![
            (0, SHORTCUT, 1, 1),
            (0, ELEMENT, 1, 6),
            (1, INTERNAL, 6, 2),
            (2, CONTEXT, 7, 3),
            (3, INTERNAL, 8, 4),
            (4, INTERNAL, 9, 5),
            (6, ELEMENT, 0, 5),
        ],
        strings: vec![
            "",
            "handler",
            "system / Context",
            "Map",
            "Session",
            "(Handles)",
            "context",
            "sessions",
            "table",
            "7",
        ],
    };
    let snapshot = read(&graph);
    let holders = |node| {
        let found = snapshot.js_holders(NodeOrdinal(node)).into_iter();
        found.map(|holder| (holder.from.0, holder.name.into_owned())).collect::<Vec<_>>()
    };
    assert_eq!(holders(5), [(3, "[key]".to_owned())]);
    assert_eq!(holders(3), [(1, "sessions".to_owned())]);
    let short = snapshot.js_path(&snapshot.path_from_root(NodeOrdinal(3)));
    let names: Vec<_> = short.iter().map(|(holder, to)| (&*holder.name, to.0)).collect();
    assert_eq!(names, [("handler", 1), ("sessions", 3)]);
}

#[test]
fn filters_of_devtools() {
    let graph = Graph {
        nodes: vec![
            (SYNTHETIC, 0, 0),
            (OBJECT, 1, 100),
            (NATIVE, 2, 10),
            (CLOSURE, 3, 20),
            (OBJECT, 4, 30),
            (OBJECT, 5, 40),
            (OBJECT, 6, 50),
        ],
        edges: vec![
            (0, SHORTCUT, 1, 1),
            // A listener calls a function with code; its variables are held by nothing else.
            (1, PROPERTY, 10, 2),
            (2, ELEMENT, 1, 3),
            (3, INTERNAL, 8, 4),
            (3, INTERNAL, 9, 1),
            // The console.
            (0, PROPERTY, 7, 5),
            (4, CONTEXT, 10, 6),
        ],
        strings: vec![
            "",
            "global",
            "V8EventListener",
            "onclick",
            "system / Context",
            "Logged",
            "Captured",
            "3 / DevTools console",
            "context",
            "code",
            "x",
        ],
    };
    let snapshot = read(&graph);
    let shown = |filter| members(&snapshot.filtered(filter));
    assert_eq!(shown(NamedFilter::EventHandlers), [3, 4, 6]);
    assert_eq!(shown(NamedFilter::Console), [5]);
    assert_eq!(shown(NamedFilter::Contexts), [4, 6]);
    assert!(shown(NamedFilter::DuplicatedStrings).is_empty());
    let classes = snapshot.classes_within(&set(&snapshot, &[3, 4, 6]));
    let sums: Vec<_> = classes
        .iter()
        .map(|(_, class, distance)| (class.key.name.as_str(), class.retained_size, *distance))
        .collect();
    assert_eq!(sums, [("Function", 100, 3), ("system / Context", 80, 4), ("Captured", 50, 5)]);
}
