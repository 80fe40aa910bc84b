//! What to do about a suspect: a line for each kind.

use heapsnapshot::leaks::Suspect;
use heapsnapshot::packages::Origin;
use heapsnapshot::paths::Step;
use heapsnapshot::{EdgeKind, NodeKind, Snapshot};

use super::words::{last_holder, listeners, listeners_on};

/// One short line that fits what grew and what holds it.
pub(super) fn advice(snapshot: &Snapshot, found: &Suspect) -> &'static str {
    if listeners(snapshot, found).is_some() {
        return LISTENERS;
    }
    if found.is_chain && found.group.class.name != "(concatenated string)" {
        return CHAIN;
    }
    by_class(&found.group.class.name).unwrap_or_else(|| match &found.container {
        Some(container) => of_holder(snapshot, container.node),
        None => last_holder(snapshot, found).map_or(RELEASE, |holder| of_holder(snapshot, holder)),
    })
}

/// What fits an object that retains much, at the end of a way.
pub(in crate::report) fn of_object(
    snapshot: &Snapshot,
    node: heapsnapshot::NodeOrdinal,
    path: &[Step],
) -> &'static str {
    let class = snapshot.class_name(node);
    if listeners_on(snapshot, class, path).is_some() {
        return LISTENERS;
    }
    if snapshot.origin(node) == Origin::Node {
        return "It is Node's own: look at what of yours uses it.";
    }
    by_class(class).unwrap_or_else(|| of_holder(snapshot, node))
}

pub(in crate::report) const LISTENERS: &str =
    "Remove each listener when it has done its work: removeListener(), once() or an AbortSignal.";
pub(in crate::report) const RELEASE: &str =
    "Clear the variable or property that holds it when it is no longer needed.";
const PROMISE: &str = "Settle each promise, if need be by a timeout; what awaits or races one that stays pending is held by it.";
const CHAIN: &str = "Cut the chain where it is no longer needed: each keeps the next alive.";
pub(in crate::report) const BUFFERS: &str = "Drop each buffer when it has been used, limit what waits, and copy a small part of a large one.";
pub(in crate::report) const MAP: &str = "Delete entries that are no longer needed, limit how many there are, or use a WeakMap \
                   if the keys are objects.";
pub(in crate::report) const SET: &str =
    "Delete what is no longer needed, limit how much there is, or use a WeakSet for objects.";
pub(in crate::report) const ARRAY: &str =
    "Remove elements that are no longer needed, or limit how many there are.";
pub(in crate::report) const DICTIONARY: &str =
    "Delete properties that are no longer needed, or use a Map of limited size.";

fn by_class(class: &str) -> Option<&'static str> {
    Some(match class {
        "Timeout" | "TimersList" => {
            "Clear each timer (clearTimeout, clearInterval) when nobody waits for it any more."
        }
        "Promise" => PROMISE,
        "Generator" | "AsyncGenerator" => {
            "Let what they await happen: give it a timeout, or abort it."
        }
        "Module" => {
            "Do not load a module again and again: what is deleted from require.cache stays in module.children."
        }
        "(sliced string)" => {
            "Copy the part that is kept (Buffer.from(part).toString()): a slice keeps the whole text."
        }
        "(concatenated string)" => {
            "Collect the parts in a stream or a file instead of one growing string."
        }
        "ArrayBuffer"
        | "SharedArrayBuffer"
        | "Buffer"
        | "FastBuffer"
        | "DataView"
        | "Uint8Array"
        | "Float64Array"
        | "system / JSArrayBufferData" => BUFFERS,
        "Socket" | "TLSSocket" | "IncomingMessage" | "ServerResponse" | "ClientRequest"
        | "ReadStream" | "WriteStream" | "Http2Stream" | "WebSocket" => {
            "End or destroy each when its work is over, also after an error, and forget it on 'close'."
        }
        _ if class.starts_with("Detached ") => {
            "Let go of nodes that have been removed from the document."
        }
        _ => return None,
    })
}

fn of_holder(snapshot: &Snapshot, holder: heapsnapshot::NodeOrdinal) -> &'static str {
    match snapshot.class_name(holder) {
        "Map" => MAP,
        "Set" => SET,
        "Array" => ARRAY,
        "Promise" => PROMISE,
        "WeakMap" => "Let go of the keys: a WeakMap keeps a value for as long as its key lives.",
        _ if snapshot.kind(holder) == NodeKind::Closure => {
            "Let go of the function, or of what its variables hold, when it is no longer needed."
        }
        _ if is_dictionary(snapshot, holder) => DICTIONARY,
        _ => RELEASE,
    }
}

fn is_dictionary(snapshot: &Snapshot, node: heapsnapshot::NodeOrdinal) -> bool {
    const MANY: usize = 32;
    let properties = snapshot.edges(node).filter(|edge| edge.kind == EdgeKind::Property);
    snapshot.kind(node) == NodeKind::Object && properties.take(MANY + 1).count() > MANY
}
