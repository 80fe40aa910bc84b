//! Ways from the roots, in words that lead to code.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::{
    ARRAY, Builder, CLOSURE, CODE, CONTEXT, Graph, HIDDEN, INTERNAL, NUMBERED, OBJECT, PROPERTY,
    SHORTCUT, STRING, SYNTHETIC,
};
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

const APP: (&str, u32, u32) = ("/srv/app/server.js", 1, 1);
const PACKAGE: (&str, u32, u32) = ("/srv/app/node_modules/store/lib/memory.js", 1, 1);
const NODE: (&str, u32, u32) = ("node:internal/modules/helpers", 1, 1);

/// A function that hangs from the global object by so many objects, in a scope of its own.
fn function(builder: &mut Builder, place: (&'static str, u32, u32), far: usize) -> (usize, usize) {
    let context = builder.context();
    let closure = builder.closure("start", place, Some(context));
    let mut at = Builder::GLOBAL;
    for _ in 0..far {
        at = builder.property(at, "process", OBJECT, "process");
    }
    builder.edge(at, PROPERTY, "process", closure);
    (closure, context)
}

fn described(builder: &Builder, node: usize) -> String {
    let snapshot = Snapshot::read(builder.json().as_bytes()).unwrap();
    let node = NodeOrdinal(u32::try_from(node).unwrap());
    let path = snapshot.path_from_root(node);
    assert_eq!(path.first().unwrap().from, snapshot.root());
    assert_eq!(path.last().unwrap().edge.to, node);
    assert!(path.windows(2).all(|steps| steps[0].edge.to == steps[1].from));
    snapshot.describe_path(&path)
}

#[test]
fn a_way_starts_in_the_application_else_in_a_package_else_in_node() {
    let mut builder = Builder::new();
    let map = builder.node(OBJECT, "Map", 100);
    // The farther from the roots, the better.
    for (place, far, variable, expected) in [
        (NODE, 1, "cache", "node:internal/modules/helpers: cache → Map"),
        (PACKAGE, 5, "entries", "store/lib/memory.js: entries → Map"),
        (APP, 9, "sessions", "server.js: sessions → Map"),
    ] {
        let (_, context) = function(&mut builder, place, far);
        builder.edge(context, CONTEXT, variable, map);
        assert_eq!(described(&builder, map), expected);
    }
}

#[test]
fn a_way_through_a_prototype_or_a_shape_is_the_last_resort() {
    let mut builder = Builder::new();
    let (_, app) = function(&mut builder, APP, 1);
    let (_, node) = function(&mut builder, NODE, 1);
    let map = builder.node(OBJECT, "Map", 100);
    let user = builder.node(OBJECT, "User", 100);
    let prototype = builder.node(OBJECT, "Registry", 100);
    builder.edge(app, CONTEXT, "user", user);
    builder.edge(user, PROPERTY, "__proto__", prototype);
    builder.edge(prototype, PROPERTY, "all", map);
    assert_eq!(
        described(&builder, map),
        "server.js: user → User → __proto__ → Registry → all → Map"
    );
    let table = builder.node(OBJECT, "Registry", 100);
    builder.edge(node, CONTEXT, "table", table);
    builder.edge(table, PROPERTY, "all", map);
    let expected = "node:internal/modules/helpers: table → Registry → all → Map";
    assert_eq!(described(&builder, map), expected);
}

#[test]
fn the_variables_of_a_function_that_was_called_often_start_no_way() {
    let mut builder = Builder::new();
    let (_, module) = function(&mut builder, APP, 1);
    let scope = builder.node(CODE, "system / ScopeInfo", 0);
    let listeners = builder.node(OBJECT, "Array", 100);
    builder.edge(module, CONTEXT, "listeners", listeners);
    let mut last = 0;
    for i in 0..3 {
        let call = builder.node(OBJECT, "system / Context", 40);
        builder.edge(call, INTERNAL, "scope_info", scope);
        let closure = builder.closure("onData", APP, Some(call));
        last = builder.node(OBJECT, "Chunks", 100);
        builder.edge(call, CONTEXT, "chunks", last);
        builder.element(listeners, i, closure);
    }
    let expected = "server.js: listeners → Array → [key] → onData() → chunks → Chunks";
    assert_eq!(described(&builder, last), expected);
}

#[test]
fn the_root_leads_to_a_global_object_over_its_native_context() {
    let mut builder = Builder::new();
    let native = builder.node(HIDDEN, "system / NativeContext", 300);
    let global = builder.node(OBJECT, "global (global*)", 40);
    let map = builder.node(OBJECT, "Map", 100);
    builder.edge(0, SHORTCUT, "2", native);
    builder.edge(native, INTERNAL, "global_object", global);
    builder.edge(global, PROPERTY, "sessions", map);
    let (_, running) = function(&mut builder, APP, 9);
    builder.edge(running, CONTEXT, "local", map);
    assert_eq!(described(&builder, map), "global: sessions → Map");
}

#[test]
fn a_module_of_commonjs_starts_a_way() {
    let mut builder = Builder::new();
    let cache = builder.property(Builder::GLOBAL, "process", OBJECT, "Object");
    let module = builder.property(cache, "/srv/app/cache.js", OBJECT, "Module");
    builder.property(module, "filename", STRING, "/srv/app/cache.js");
    let exports = builder.property(module, "exports", OBJECT, "Object");
    let map = builder.property(exports, "entries", OBJECT, "Map");
    let children = builder.property(module, "children", OBJECT, "Array");
    let way = "cache.js: exports → Object → entries → Map";
    assert_eq!(described(&builder, map), way);
    assert_eq!(described(&builder, children), "cache.js: module → children → Array");
    let snapshot = Snapshot::read(builder.json().as_bytes()).unwrap();
    let path = snapshot.path_from_root(NodeOrdinal(u32::try_from(children).unwrap()));
    assert_eq!(snapshot.name_in_code(&path).unwrap(), "`module.children` of cache.js");
}

#[test]
fn what_an_es_module_exports_has_its_name() {
    let mut builder = Builder::new();
    let (_, context) = function(&mut builder, APP, 1);
    let module = builder.node(HIDDEN, "system / SourceTextModule", 50);
    builder.edge(context, INTERNAL, "extension", module);
    let cell = builder.node(HIDDEN, "system / Cell", 8);
    let map = builder.node(OBJECT, "Map", 100);
    builder.edge(cell, INTERNAL, "value", map);
    let cells = builder.node(ARRAY, "", 16);
    builder.numbered(module, NUMBERED, 5, cells);
    builder.edge(cells, INTERNAL, "0", cell);
    let exports = builder.node(ARRAY, "", 16);
    builder.numbered(module, NUMBERED, 0, exports);
    let name = builder.node(STRING, "metrics", 16);
    builder.edge(exports, INTERNAL, "3", name);
    builder.edge(exports, INTERNAL, "4", cell);
    assert_eq!(described(&builder, map), "server.js: metrics → Map");
    let snapshot = Snapshot::read(builder.json().as_bytes()).unwrap();
    let path = snapshot.path_from_root(NodeOrdinal(u32::try_from(map).unwrap()));
    assert_eq!(snapshot.name_in_code(&path).unwrap(), "`metrics` in server.js");
}

#[test]
fn a_variable_that_only_the_object_itself_holds_is_no_way_to_it() {
    // node → Cache → get() → its variables → self → Cache.
    let mut builder = Builder::new();
    let cache = builder.property(Builder::GLOBAL, "process", OBJECT, "Cache");
    let context = builder.context();
    let get = builder.closure("get", APP, Some(context));
    builder.edge(cache, PROPERTY, "get", get);
    builder.edge(context, CONTEXT, "self", cache);
    assert_eq!(described(&builder, cache), "global: process → Cache");
}

#[test]
fn one_timer_does_not_lead_to_all_others() {
    let mut builder = Builder::new();
    let (_, app) = function(&mut builder, APP, 1);
    let (_, node) = function(&mut builder, NODE, 1);
    let mine = builder.node(OBJECT, "Timeout", 100);
    let other = builder.node(OBJECT, "Timeout", 100);
    let list = builder.node(OBJECT, "TimersList", 100);
    builder.edge(app, CONTEXT, "interval", mine);
    builder.edge(mine, PROPERTY, "_idlePrev", other);
    builder.edge(other, PROPERTY, "_idlePrev", list);
    builder.edge(node, CONTEXT, "timerListMap", list);
    builder.edge(list, PROPERTY, "_idleNext", other);
    assert_eq!(described(&builder, mine), "server.js: interval → Timeout");
    let expected = "node:internal/modules/helpers: timerListMap → TimersList → _idleNext → Timeout";
    assert_eq!(described(&builder, other), expected);
}
