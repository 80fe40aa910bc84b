//! A suspect in words: what grew, by how much and how fast; what holds it; where its code is.

use heapsnapshot::leaks::{Container, HeldFunction, Suspect};
use heapsnapshot::paths::{ScriptOwner, SourcePlace, Step, file_name};
use heapsnapshot::{NodeKind, NodeOrdinal, Snapshot};

use super::Series;
use crate::reporters::text::{number, size};

/// `40 more Session objects than in the baseline (3 → 43) retain 10.9 kB more`.
pub(super) fn what(snapshot: &Snapshot, found: &Suspect, series: Option<&Series>) -> String {
    let retained = match &found.container {
        Some(container) => &container.retained,
        None => &found.retained,
    };
    let (first, last) = ends(retained);
    let growth = last.saturating_sub(first);
    let snapshots = series.map_or(retained.len(), |series| series.snapshots);
    let speed = match (found.work, snapshots) {
        (Some(work), _) => format!(", about {} a run", size(of_one(growth, work))),
        (None, 0..3) => String::new(),
        (None, many) => {
            format!(", about {} from one snapshot to the next", size(growth / (many as u64 - 1)))
        }
    };
    match &found.container {
        Some(container) => format!("{}{speed}", container_grew(snapshot, found, container)),
        None => format!("{}{speed}", objects_grew(found, series)),
    }
}

/// `the Map `sessions` in server.js holds all of them`; nothing where that is said already, or where no one
/// object does.
pub(super) fn holder(snapshot: &Snapshot, found: &Suspect) -> Option<String> {
    if let Some(at) = listeners(snapshot, found) {
        let emitter = found.path.get(at)?.from;
        let name = snapshot.name_in_code(found.path.get(..at)?)?;
        return Some(format!("the {} {name} has them as listeners", snapshot.short_name(emitter)));
    }
    let holder = found.holder.filter(|_| found.container.is_none())?;
    let class = snapshot.class_name(holder);
    if holder == snapshot.root()
        || snapshot.kind(holder) == NodeKind::Synthetic
        || class == "TimersList"
    {
        return None;
    }
    let what = if class.starts_with("system / Context") {
        let at = found.path.iter().rposition(|step| step.from == holder)?;
        format!("the variable {}", snapshot.name_in_code(found.path.get(..=at)?)?)
    } else {
        let name = snapshot.name_in_code(&snapshot.path_from_root(holder));
        let class = snapshot.short_name(holder);
        match (name, snapshot.kind(holder)) {
            (_, NodeKind::Closure) => format!("the function {class}"),
            (Some(name), _) => format!("the {class} {name}"),
            (None, _) => format!("one {class}"),
        }
    };
    let of = if found.is_chain || found.objects.len() > 1 { " all of them" } else { " it" };
    Some(format!("{what} holds{of}"))
}

/// Where on the way an EventEmitter's or EventTarget's listeners are, if it leads to such.
pub(super) fn listeners(snapshot: &Snapshot, found: &Suspect) -> Option<usize> {
    listeners_on(snapshot, &found.group.class.name, &found.path)
}

/// Of objects of a class at the end of a way.
pub(super) fn listeners_on(snapshot: &Snapshot, class: &str, path: &[Step]) -> Option<usize> {
    const NEAR: usize = 6;
    if !matches!(class, "Function" | "Array" | "Listener") {
        return None;
    }
    let first = path.len().saturating_sub(NEAR);
    let mut near = path.iter().enumerate().skip(first).rev();
    near.find_map(|(at, step)| {
        let name = snapshot.edge_name(step.edge);
        (name == "_events" || name == "<symbol kEvents>").then_some(at)
    })
}

/// Whether the place where the objects are made says something: not in Node, and not for functions, which
/// are told with their places.
pub(super) fn is_made_there(found: &Suspect, place: &SourcePlace) -> bool {
    let of_node =
        place.script.as_deref().is_none_or(|script| ScriptOwner::of(script) == ScriptOwner::Node);
    !of_node && found.group.class.name != "Function"
}

/// `4,000 functions of session.js:12:3`.
pub(super) fn function(held: &HeldFunction) -> String {
    let count = number(held.count);
    let functions = if held.count == 1 { "function" } else { "functions" };
    match held.name.as_str() {
        "" => format!("{count} {functions} of {}", place(&held.place)),
        name => format!("{count} {functions} {name}() of {}", place(&held.place)),
    }
}

/// `server.js:4:14`.
pub(super) fn place(place: &SourcePlace) -> String {
    let script = place.script.as_deref().map_or("a script", file_name);
    format!("{script}:{}:{}", place.line, place.column)
}

fn objects_grew(found: &Suspect, series: Option<&Series>) -> String {
    let (first, last) = ends(&found.counts);
    let nouns = Nouns::of(&found.group.class.name);
    let bytes = size(found.growth());
    let counts = counts(found, series);
    let chain = if found.is_chain { ", each holding the next," } else { "" };
    match (last.saturating_sub(first), last) {
        (0, 1) => format!("One {} retains {bytes} more than in the baseline", nouns.one),
        (0, _) => {
            format!("{} {} retain {bytes} more than in the baseline", number(last), nouns.many)
        }
        (1, _) => {
            format!("One more {} than in the baseline ({counts}) retains {bytes} more", nouns.one)
        }
        (more, _) => format!(
            "{} more {} than in the baseline ({counts}){chain} retain {bytes} more",
            number(more),
            nouns.many
        ),
    }
}

/// `3 → 20 → 43`: of each snapshot, or of the first and the last where they are many, or not all were counted.
fn counts(found: &Suspect, series: Option<&Series>) -> String {
    const MOST: usize = 5;
    let all = match series {
        Some(series) if series.snapshots > found.counts.len() => series.counts(found),
        _ => Some(found.counts.as_slice()),
    };
    match all {
        Some(all) if all.len() <= MOST => {
            let all: Vec<String> = all.iter().map(|&count| number(count)).collect();
            all.join(" → ")
        }
        _ => {
            let (first, last) = ends(&found.counts);
            format!("{} → … → {}", number(first), number(last))
        }
    }
}

/// `` The Array `compiled` in app.js grew from 4 to 84 elements and by 12.9 MB ``.
fn container_grew(snapshot: &Snapshot, found: &Suspect, container: &Container) -> String {
    let nouns = Nouns::of(&found.group.class.name);
    let what = match snapshot.name_in_code(&found.path) {
        Some(name) => format!("The {} {name}", nouns.one),
        None => format!("One {}", nouns.one),
    };
    let (before, after) = ends(&container.retained);
    let bytes = size(after.saturating_sub(before));
    if !container.has_more() {
        return format!("{what} grew by {bytes}");
    }
    let (few, many) = ends(&container.elements);
    format!("{what} grew from {} to {} elements and by {bytes}", number(few), number(many))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "about"
)]
fn of_one(bytes: u64, runs: f64) -> u64 {
    (bytes as f64 / runs).round() as u64
}

fn ends(series: &[u64]) -> (u64, u64) {
    (series.first().copied().unwrap_or(0), series.last().copied().unwrap_or(0))
}

/// What one and many of a class are called.
struct Nouns {
    one: String,
    many: String,
}

impl Nouns {
    fn of(class: &str) -> Self {
        let known = match class {
            "(string)" => ("string", "strings"),
            "(concatenated string)" => ("joined string", "joined strings"),
            "(sliced string)" => ("sliced string", "sliced strings"),
            "(symbol)" => ("symbol", "symbols"),
            "(bigint)" => ("BigInt", "BigInts"),
            "Function" => ("function", "functions"),
            "Promise" => ("promise", "promises"),
            "Timeout" => ("timer", "timers"),
            "Immediate" => ("immediate", "immediates"),
            "Generator" => ("suspended function", "suspended functions"),
            "AsyncGenerator" => ("suspended async generator", "suspended async generators"),
            "RegExp" => ("regular expression", "regular expressions"),
            "Object" => ("plain object", "plain objects"),
            "global" => ("global object", "global objects"),
            "system / JSArrayBufferData" => {
                ("block of an ArrayBuffer's memory", "blocks of ArrayBuffers' memory")
            }
            "Array" | "Map" | "Set" | "WeakMap" | "WeakSet" | "ArrayBuffer" | "DataView"
            | "Buffer" | "Uint8Array" | "Error" | "Module" => {
                return Nouns { one: class.to_owned(), many: format!("{class}s") };
            }
            _ if class.starts_with('{') => {
                return Nouns { one: format!("object {class}"), many: format!("objects {class}") };
            }
            _ => {
                let class = class.strip_prefix("Detached ").map_or_else(
                    || class.strip_prefix("Node / ").unwrap_or(class).to_owned(),
                    |class| format!("detached {class}"),
                );
                return Nouns { one: format!("{class} object"), many: format!("{class} objects") };
            }
        };
        Nouns { one: known.0.to_owned(), many: known.1.to_owned() }
    }
}

/// What a way passes through last before its end: a Map, an Array.
pub(super) fn last_holder(snapshot: &Snapshot, found: &Suspect) -> Option<NodeOrdinal> {
    let is_store = |node| matches!(snapshot.kind(node), NodeKind::Array | NodeKind::Hidden);
    let before = found.path.iter().rev().map(|step| step.from);
    before.into_iter().find(|&node| !is_store(node))
}
