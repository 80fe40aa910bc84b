//! Each kind of suspect in words: what grew and how fast, what holds it, where it is made, what to do. The
//! sentences are in `leak_words.txt`, to be read aloud; `UPDATE_WORDS=1 cargo test -p heapdump-cli` writes
//! them anew, to be reviewed.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

#[path = "../../heapsnapshot/tests/common/mod.rs"]
mod common;

use std::fmt::Write;
use std::path::Path;

use common::{
    ARRAY, Builder, CLOSURE, CONTEXT, HIDDEN, INTERNAL, NATIVE, OBJECT, PROPERTY, STRING,
};
use heapdump_cli::report::{Rows, find_leaks};
use heapsnapshot::Snapshot;
use heapsnapshot::leaks::LeakOptions;

const SERVER: (&str, u32, u32) = ("/srv/app/server.js", 4, 14);
const NODE: (&str, u32, u32) = ("node:internal/timers", 170, 14);
const CONS_STRING: u32 = 10;
const SLICED_STRING: u32 = 11;

/// A graph with so many of what leaks.
type Leak = fn(usize) -> Builder;

const KINDS: [(&str, Leak); 24] = [
    ("instances of a class in a Map", instances),
    ("one object that is new", one_object),
    ("an array that has more elements", array_by_elements),
    ("an array of numbers that is larger", array_by_bytes),
    ("plain objects in an object used as a dictionary", dictionary),
    ("a Map that is larger", map_by_bytes),
    ("values in a Set", set),
    ("strings", strings),
    ("slices of strings", slices),
    ("a string that grows by joining", joined),
    ("buffers", buffers),
    ("closures", closures),
    ("timers", timers),
    ("functions of vm contexts", vm_contexts),
    ("listeners", listeners),
    ("listeners of an EventTarget", event_target),
    ("promises", promises),
    ("one promise that much waits for", one_promise),
    ("suspended async functions", suspended),
    ("detached nodes", detached),
    ("streams", streams),
    ("a linked list", linked_list),
    ("modules", modules),
    ("what a package holds", package),
];

#[test]
fn every_kind_of_suspect_has_its_words() {
    let mut text = String::new();
    for (kind, leak) in KINDS {
        writeln!(text, "# {kind}").unwrap();
        for counts in [&[1, 30][..], &[1, 30, 60]] {
            writeln!(text, "{}", sentence(leak, counts)).unwrap();
        }
        writeln!(text).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leak_words.txt");
    if std::env::var_os("UPDATE_WORDS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap();
    for (found, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(text.len(), expected.len());
}

/// The first suspect's sentence.
fn sentence(leak: Leak, counts: &[usize]) -> String {
    let read = |&count: &usize| Snapshot::read(leak(count).json().as_bytes()).unwrap();
    let snapshots: Vec<Snapshot> = counts.iter().map(read).collect();
    let borrowed: Vec<&Snapshot> = snapshots.iter().collect();
    let report = find_leaks(&borrowed, &LeakOptions::default(), &Rows::default(), false, None);
    report.suspects.into_iter().next().map(|suspect| suspect.sentence).unwrap()
}

/// Something in a variable of a module, that a function of the module uses.
fn in_variable(
    name: &'static str,
    class: &'static str,
    script: (&'static str, u32, u32),
) -> (Builder, usize) {
    let mut builder = Builder::new();
    let context = builder.context();
    let handler = builder.closure("handler", script, Some(context));
    builder.edge(Builder::GLOBAL, PROPERTY, "process", handler);
    let node = builder.node(OBJECT, class, 100);
    builder.edge(context, CONTEXT, name, node);
    (builder, node)
}

/// The store of a Map, a Set or an array.
fn store(builder: &mut Builder, of: usize, link: &'static str) -> usize {
    let table = builder.node(ARRAY, "", 16);
    builder.edge(of, INTERNAL, link, table);
    table
}

fn instances(count: usize) -> Builder {
    let (mut builder, map) = in_variable("sessions", "Map", SERVER);
    let table = store(&mut builder, map, "table");
    for i in 0..count {
        let session = builder.node(OBJECT, "Session", 1000);
        builder.made_at(session, SERVER);
        builder.element(table, i, session);
    }
    builder
}

fn one_object(count: usize) -> Builder {
    let (mut builder, app) = in_variable("app", "App", SERVER);
    if count > 1 {
        let report = builder.node(OBJECT, "Report", 300_000 + 1000 * count as u64);
        builder.edge(app, PROPERTY, "report", report);
    }
    builder
}

fn array_by_elements(count: usize) -> Builder {
    let (mut builder, elements) = in_variable("compiled", "Array", SERVER);
    for i in 0..count {
        let row = builder.node(OBJECT, "Array", 20_000);
        builder.element(elements, i, row);
    }
    builder
}

fn array_by_bytes(count: usize) -> Builder {
    let mut builder = Builder::new();
    let context = builder.context();
    let handler = builder.closure("handler", SERVER, Some(context));
    builder.edge(Builder::GLOBAL, PROPERTY, "process", handler);
    let array = builder.node(OBJECT, "Array", 20_000 * count as u64);
    builder.edge(context, CONTEXT, "samples", array);
    builder
}

fn dictionary(count: usize) -> Builder {
    const NAMES: [&str; 80] = {
        let mut names = [""; 80];
        let digits =
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab";
        let mut i = 0;
        while i < 80 {
            names[i] = digits.split_at(i).1;
            i += 1;
        }
        names
    };
    let (mut builder, answers) = in_variable("answers", "Object", SERVER);
    for name in NAMES.iter().take(count + 20) {
        let answer = builder.property(answers, name, OBJECT, "Answer");
        let body = builder.node(STRING, "body", 1000);
        builder.edge(answer, PROPERTY, "body", body);
    }
    builder
}

fn map_by_bytes(count: usize) -> Builder {
    let mut builder = Builder::new();
    let map = builder.node(OBJECT, "Map", 20_000 * count as u64);
    builder.edge(Builder::GLOBAL, PROPERTY, "counters", map);
    builder
}

fn set(count: usize) -> Builder {
    let (mut builder, pool) = in_variable("pool", "Pool", SERVER);
    let busy = builder.property(pool, "busy", OBJECT, "Set");
    let table = store(&mut builder, busy, "table");
    for i in 0..count {
        let connection = builder.node(OBJECT, "Connection", 1000);
        builder.element(table, i, connection);
    }
    builder
}

fn strings_of(kind: u32, count: usize) -> Builder {
    let (mut builder, elements) = in_variable("names", "Array", SERVER);
    for i in 0..count {
        let text = builder.node(kind, "name", 1000);
        builder.element(elements, i, text);
    }
    builder
}

fn strings(count: usize) -> Builder {
    strings_of(STRING, count)
}

fn slices(count: usize) -> Builder {
    strings_of(SLICED_STRING, count)
}

fn joined(count: usize) -> Builder {
    let (mut builder, logger) = in_variable("logger", "Logger", SERVER);
    let mut at = builder.node(CONS_STRING, "line", 1000);
    builder.edge(logger, PROPERTY, "text", at);
    for _ in 0..count {
        let first = builder.node(CONS_STRING, "line", 1000);
        builder.edge(at, INTERNAL, "first", first);
        at = first;
    }
    builder
}

fn buffers(count: usize) -> Builder {
    let (mut builder, elements) = in_variable("queue", "Array", SERVER);
    for i in 0..count {
        let buffer = builder.node(OBJECT, "Buffer", 100);
        let memory = builder.node(NATIVE, "system / JSArrayBufferData", 4000);
        builder.edge(buffer, INTERNAL, "buffer", memory);
        builder.element(elements, i, buffer);
    }
    builder
}

/// Functions that hold what they captured.
fn functions(builder: &mut Builder, of: usize, count: usize) {
    for i in 0..count {
        let call = builder.node(OBJECT, "system / Context", 40);
        let closure = builder.closure("onData", ("/srv/app/session.js", 12, 3), Some(call));
        let chunks = builder.node(ARRAY, "", 1000);
        builder.edge(call, CONTEXT, "chunks", chunks);
        builder.element(of, i, closure);
    }
}

fn closures(count: usize) -> Builder {
    let (mut builder, elements) = in_variable("hooks", "Array", SERVER);
    functions(&mut builder, elements, count);
    builder
}

fn timers(count: usize) -> Builder {
    let (mut builder, lists) = in_variable("timerListMap", "Object", NODE);
    let list = builder.property(lists, "1000", OBJECT, "TimersList");
    let mut at = list;
    for _ in 0..count {
        let timer = builder.property(at, "_idlePrev", OBJECT, "Timeout");
        builder.edge(list, PROPERTY, "_idleNext", timer);
        builder.edge(timer, PROPERTY, "_list", list);
        let call = builder.node(OBJECT, "system / Context", 1000);
        let callback = builder.closure("", ("/srv/app/session.js", 12, 3), Some(call));
        builder.edge(timer, PROPERTY, "_onTimeout", callback);
        builder.made_at(timer, NODE);
        at = timer;
    }
    builder
}

fn listeners(count: usize) -> Builder {
    let (mut builder, bus) = in_variable("bus", "EventEmitter", SERVER);
    let events = builder.property(bus, "_events", OBJECT, "Object");
    let list = builder.property(events, "data", OBJECT, "Array");
    functions(&mut builder, list, count);
    builder
}

/// What was compiled in contexts of their own: the code has no file, and is known by its variable.
fn vm_contexts(count: usize) -> Builder {
    let (mut builder, compiled) = in_variable("compiled", "Array", SERVER);
    for i in 0..count {
        let globals = builder.node(OBJECT, "system / Context", 1000);
        let render = builder.closure("render", ("evalmachine.<anonymous>", 1, 17), Some(globals));
        builder.element(compiled, i, render);
    }
    builder
}

/// Each listener leads to the next.
fn event_target(count: usize) -> Builder {
    let (mut builder, target) = in_variable("target", "EventTarget", SERVER);
    let events = builder.property(target, "<symbol kEvents>", OBJECT, "Map");
    let table = store(&mut builder, events, "table");
    let mut at = builder.node(OBJECT, "Object", 50);
    builder.element(table, 0, at);
    for _ in 0..count {
        at = builder.property(at, "next", OBJECT, "Listener");
        let call = builder.node(OBJECT, "system / Context", 1000);
        let callback = builder.closure("onData", ("/srv/app/session.js", 12, 3), Some(call));
        builder.edge(at, PROPERTY, "callback", callback);
    }
    builder
}

fn one_promise(count: usize) -> Builder {
    let (mut builder, promise) = in_variable("stopped", "Promise", SERVER);
    let (mut at, mut link) = (promise, "reactions_or_result");
    for _ in 0..count {
        let reaction = builder.node(HIDDEN, "system / PromiseReaction", 100);
        builder.edge(at, INTERNAL, link, reaction);
        let call = builder.node(OBJECT, "system / Context", 1000);
        let then = builder.closure("", ("/srv/app/queue.js", 30, 18), Some(call));
        builder.edge(reaction, INTERNAL, "fulfill_handler", then);
        (at, link) = (reaction, "next");
    }
    builder
}

fn promises(count: usize) -> Builder {
    let (mut builder, elements) = in_variable("waiting", "Array", SERVER);
    for i in 0..count {
        let promise = builder.node(OBJECT, "Promise", 100);
        let reaction = builder.node(HIDDEN, "system / PromiseReaction", 1000);
        builder.edge(promise, INTERNAL, "reactions_or_result", reaction);
        let then = builder.closure("", ("/srv/app/queue.js", 30, 18), None);
        builder.edge(reaction, INTERNAL, "fulfill_handler", then);
        builder.element(elements, i, promise);
    }
    builder
}

fn suspended(count: usize) -> Builder {
    let (mut builder, lock) = in_variable("lock", "Lock", SERVER);
    let elements = builder.property(lock, "waiting", OBJECT, "Array");
    let handle = builder.closure("handle", ("/srv/app/handle.js", 7, 22), None);
    for i in 0..count {
        let generator = builder.node(OBJECT, "Generator", 1000);
        builder.edge(generator, INTERNAL, "function", handle);
        builder.element(elements, i, generator);
    }
    builder
}

fn detached(count: usize) -> Builder {
    let (mut builder, elements) = in_variable("views", "Array", SERVER);
    for i in 0..count {
        let node = builder.node(NATIVE, "Detached <div class=\\\"row\\\">", 1000);
        builder.element(elements, i, node);
    }
    builder
}

fn streams(count: usize) -> Builder {
    let (mut builder, clients) = in_variable("clients", "Set", SERVER);
    let table = store(&mut builder, clients, "table");
    for i in 0..count {
        let socket = builder.node(OBJECT, "Socket", 1000);
        let events = builder.property(socket, "_events", OBJECT, "Object");
        let listener = builder.closure("onClose", ("/srv/app/clients.js", 9, 20), None);
        builder.edge(events, PROPERTY, "close", listener);
        builder.element(table, i, socket);
    }
    builder
}

fn linked_list(count: usize) -> Builder {
    let (mut builder, history) = in_variable("history", "History", SERVER);
    let mut at = builder.property(history, "last", OBJECT, "Change");
    for _ in 0..count {
        at = builder.property(at, "before", OBJECT, "Change");
        builder.made_at(at, SERVER);
        let text = builder.node(STRING, "text", 1000);
        builder.edge(at, PROPERTY, "text", text);
    }
    builder
}

fn modules(count: usize) -> Builder {
    let mut builder = Builder::new();
    let cache = builder.property(Builder::GLOBAL, "process", OBJECT, "Object");
    let parent = builder.property(cache, "main", OBJECT, "Module");
    builder.property(parent, "filename", STRING, "/srv/app/server.js");
    let elements = builder.property(parent, "children", OBJECT, "Array");
    let file = builder.node(STRING, "/srv/app/config.js", 50);
    for i in 0..count {
        let module = builder.node(OBJECT, "Module", 1000);
        builder.edge(module, PROPERTY, "filename", file);
        builder.element(elements, i, module);
    }
    builder
}

fn package(count: usize) -> Builder {
    let memory = ("/srv/app/node_modules/express-session/session/memory.js", 10, 1);
    let (mut builder, store) = in_variable("store", "MemoryStore", memory);
    let sessions = builder.property(store, "sessions", OBJECT, "Map");
    let table = self::store(&mut builder, sessions, "table");
    for i in 0..count {
        let entry = builder.node(OBJECT, "Entry", 1000);
        let touch = builder.node(CLOSURE, "native", 0);
        builder.edge(entry, INTERNAL, "touch", touch);
        builder.element(table, i, entry);
    }
    builder
}
