//! What stands out in one snapshot, by its numbers and bytes.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test")]

mod common;

use common::{
    ARRAY, Builder, CLOSURE, CONTEXT, HIDDEN, INTERNAL, NATIVE, OBJECT, PROPERTY, STRING, SYNTHETIC,
};
use heapsnapshot::Snapshot;
use heapsnapshot::inspections::{Inspection, InspectionKind, Instrument};

const SERVER: (&str, u32, u32) = ("/srv/app/server.js", 4, 14);
const SLICED_STRING: u32 = 11;

/// Something in a variable of a script.
fn in_variable(name: &'static str, class: &'static str, script: &'static str) -> (Builder, usize) {
    let mut builder = Builder::new();
    let context = builder.context();
    let handler = builder.closure("handler", (script, 4, 14), Some(context));
    builder.edge(Builder::GLOBAL, PROPERTY, "process", handler);
    let node = builder.node(OBJECT, class, 100);
    builder.edge(context, CONTEXT, name, node);
    (builder, node)
}

fn inspect(builder: &Builder) -> Vec<Inspection> {
    Snapshot::read(builder.json().as_bytes()).unwrap().inspections()
}

/// The only thing that stands out: its kind, number, bytes and name.
fn only(builder: &Builder) -> (InspectionKind, u64, u64, String) {
    let mut found = inspect(builder);
    assert_eq!(found.len(), 1, "{found:?}");
    let found = found.pop().unwrap();
    (found.kind, found.count, found.bytes, found.name)
}

fn emitter(count: usize, script: &'static str) -> Builder {
    let (mut builder, bus) = in_variable("bus", "EventEmitter", script);
    let events = builder.property(bus, "_events", OBJECT, "Object");
    let list = builder.property(events, "data", OBJECT, "Array");
    for i in 0..count {
        let listener = builder.closure("onData", SERVER, None);
        builder.element(list, i, listener);
    }
    builder
}

#[test]
fn more_than_ten_listeners_of_an_event() {
    let (kind, count, bytes, name) = only(&emitter(12, SERVER.0));
    assert_eq!((kind, count, bytes), (InspectionKind::Listeners, 12, 12 * 64));
    assert_eq!(name, "data");
    assert_eq!(inspect(&emitter(10, SERVER.0)).len(), 0);
    let found = inspect(&emitter(12, SERVER.0)).pop().unwrap();
    assert_eq!((found.functions[0].name.as_str(), found.functions[0].count), ("onData", 12));
    assert_eq!(found.instrument, None);
}

#[test]
fn what_a_test_runner_holds_is_named_as_such() {
    let script = "/srv/app/node_modules/jest-circus/build/state.js";
    let found = inspect(&emitter(12, script)).pop().unwrap();
    assert_eq!(found.instrument, Some(Instrument::TestRunner));
}

#[test]
fn timers_that_wait_and_not_those_that_were_cleared() {
    let (mut builder, list) = in_variable("list", "TimersList", SERVER.0);
    for i in 0..150 {
        let timer = builder.node(OBJECT, "Timeout", 100);
        builder.element(list, i, timer);
        if i < 120 {
            builder.edge(timer, PROPERTY, "_idleNext", list);
        }
        let callback = builder.closure("poll", SERVER, None);
        builder.edge(timer, PROPERTY, "_onTimeout", callback);
    }
    let (kind, count, bytes, _) = only(&builder);
    assert_eq!((kind, count, bytes), (InspectionKind::Timers, 120, 120 * 164));
}

#[test]
fn what_waits_for_one_promise() {
    let (mut builder, promise) = in_variable("stopped", "Promise", SERVER.0);
    let mut at = (promise, "reactions_or_result", INTERNAL);
    for _ in 0..150 {
        let reaction = builder.node(HIDDEN, "system / PromiseReaction", 48);
        builder.edge(at.0, at.2, at.1, reaction);
        at = (reaction, "next", INTERNAL);
    }
    let (kind, count, bytes, _) = only(&builder);
    assert_eq!((kind, count, bytes), (InspectionKind::Waiting, 150, 100 + 150 * 48));
}

#[test]
fn slices_count_where_nothing_else_holds_the_text() {
    let (mut builder, texts) = in_variable("texts", "Array", SERVER.0);
    for (i, text) in ["held by a slice", "held twice"].into_iter().enumerate() {
        let slice = builder.node(SLICED_STRING, "part", 32);
        let parent = builder.node(STRING, text, 100_000);
        builder.edge(slice, INTERNAL, "parent", parent);
        builder.element(texts, i, slice);
        if i == 1 {
            builder.element(texts, 9, parent);
        }
    }
    let (kind, count, bytes, _) = only(&builder);
    assert_eq!((kind, count, bytes), (InspectionKind::SlicedStrings, 1, 100_000));
}

#[test]
fn an_array_with_much_room_and_few_objects() {
    let (mut builder, array) = in_variable("sparse", "Array", SERVER.0);
    let store = builder.node(ARRAY, "(object elements)", 160_000);
    builder.edge(array, INTERNAL, "elements", store);
    for i in [5, 9_000] {
        let thing = builder.node(OBJECT, "Thing", 10);
        builder.element(array, i, thing);
    }
    let (kind, count, bytes, _) = only(&builder);
    assert_eq!((kind, count, bytes), (InspectionKind::SparseArray, 2, 160_100));
}

#[test]
fn memory_is_of_what_holds_it() {
    let (mut builder, queue) = in_variable("queue", "Queue", SERVER.0);
    let waiting = builder.property(queue, "waiting", OBJECT, "Array");
    for i in 0..20 {
        let buffer = builder.node(OBJECT, "Buffer", 100);
        let memory = builder.node(NATIVE, "system / JSArrayBufferData", 100_000);
        builder.edge(buffer, INTERNAL, "backing_store", memory);
        builder.element(waiting, i, buffer);
    }
    let (kind, count, bytes, name) = only(&builder);
    assert_eq!((kind, count, bytes), (InspectionKind::Buffers, 20, 2_000_000));
    assert_eq!(name, "Array");
}

#[test]
fn contexts_of_vm_beside_the_own() {
    let mut builder = Builder::new();
    let handles = builder.node(SYNTHETIC, "(Global handles)", 0);
    builder.edge(Builder::ROOT, PROPERTY, "handles", handles);
    for i in 0..12 {
        let context = builder.node(HIDDEN, "system / NativeContext", 2000);
        builder.element(handles, i, context);
    }
    let closure = builder.node(CLOSURE, "f", 10);
    builder.edge(handles, PROPERTY, "f", closure);
    let (kind, count, bytes, _) = only(&builder);
    assert_eq!((kind, count, bytes), (InspectionKind::VmContexts, 11, 22_000));
}
