//! What stands out in one snapshot, each in a sentence and with a line of advice.

use heapsnapshot::Snapshot;
use heapsnapshot::inspections::{Inspection, InspectionKind, Instrument};
use heapsnapshot::paths::SourcePlace;
use serde::Serialize;

use super::leaks::{FunctionReport, advice};
use super::{ObjectRef, PathReport};
use crate::reporters::text::{number, size};

/// Something that stands out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectionReport {
    /// What it is: `listeners`, `timers`, `large-collection` and so on.
    pub kind: &'static str,
    /// How many there are.
    pub count: u64,
    /// The bytes that they keep, or that would be saved.
    pub bytes: u64,
    /// What tells it from others of its kind: an event, a class, a package, a text.
    pub name: String,
    /// All that in words.
    pub what: String,
    /// What to do, in a line.
    pub advice: &'static str,
    /// Which instrument leaves it, if it is not the application's.
    pub instrument: Option<Instrument>,
    /// Whose it is: an npm package, `(application)`, `(node)` or `(unknown)`.
    pub package: String,
    /// The one that it is about, or the largest.
    pub example: ObjectRef,
    /// Where the example's constructor is, or the function.
    pub location: Option<SourcePlace>,
    /// The way to the example.
    pub path: PathReport,
    /// The functions that they are or hold.
    pub functions: Vec<FunctionReport>,
}

pub(super) fn inspections(snapshot: &Snapshot) -> Vec<InspectionReport> {
    snapshot.inspections().iter().map(|found| report(snapshot, found)).collect()
}

fn report(snapshot: &Snapshot, found: &Inspection) -> InspectionReport {
    let (kind, what, advice) = words(snapshot, found);
    InspectionReport {
        kind,
        count: found.count,
        bytes: found.bytes,
        name: found.name.clone(),
        what,
        advice,
        instrument: found.instrument,
        package: snapshot.origin(found.example).to_string(),
        example: ObjectRef::new(snapshot, found.example),
        location: snapshot.source_place(found.example),
        path: PathReport::new(snapshot, &found.path),
        functions: found.functions.iter().map(FunctionReport::new).collect(),
    }
}

/// The kind's name, what there is of it, and what to do.
fn words(snapshot: &Snapshot, found: &Inspection) -> (&'static str, String, &'static str) {
    let (count, bytes, name) = (number(found.count), size(found.bytes), &found.name);
    let class = || snapshot.short_name(found.example);
    match found.kind {
        InspectionKind::Listeners => {
            let of = if name.is_empty() { "one event".to_owned() } else { format!("`{name}`") };
            ("listeners", format!("{count} listeners of {of} keep {bytes}"), advice::LISTENERS)
        }
        InspectionKind::Timers => {
            let advice =
                "Clear each timer (clearTimeout, clearInterval) when nobody waits for it any more.";
            ("timers", format!("{count} timers wait and keep {bytes}"), advice)
        }
        InspectionKind::PendingPromises => {
            let advice = "Settle each promise, if need be by a timeout.";
            let what = format!("{count} pending promises that something waits for keep {bytes}");
            ("pending-promises", what, advice)
        }
        InspectionKind::Waiting => {
            let advice = "What awaits or races a promise is held until it settles: settle it, or race a new one each time.";
            ("waiting", format!("{count} reactions wait for one promise and keep {bytes}"), advice)
        }
        InspectionKind::SuspendedFunctions => {
            let of = if name.is_empty() { "one function".to_owned() } else { format!("{name}()") };
            let advice = "Let what they await happen: give it a timeout, or abort it. Run generators to their end.";
            let what = format!("{count} suspended calls of {of} keep {bytes}");
            ("suspended-functions", what, advice)
        }
        InspectionKind::LargeCollection => {
            let advice = match name.as_str() {
                "Map" => advice::MAP,
                "Set" => advice::SET,
                "Array" => advice::ARRAY,
                _ => advice::DICTIONARY,
            };
            let what = collection(snapshot, found);
            ("large-collection", format!("{what} has {count} entries and keeps {bytes}"), advice)
        }
        InspectionKind::EmptyCollections => {
            let advice = "Make them when there is something to put in.";
            ("empty-collections", format!("{count} empty {name}s take {bytes}"), advice)
        }
        InspectionKind::SparseArray => {
            let what = collection(snapshot, found);
            let room = name.parse().map_or_else(|_| name.clone(), number);
            let advice = "Use a Map for few keys of a wide range; do not make room in advance.";
            let what = format!("{what} has {count} objects in room for {room} and takes {bytes}");
            ("sparse-array", what, advice)
        }
        InspectionKind::SlicedStrings => {
            let advice = "Copy the part that is kept (Buffer.from(part).toString()): a slice keeps the whole text.";
            let what = format!(
                "{count} sliced strings alone keep {bytes} of the texts that they are parts of"
            );
            ("sliced-strings", what, advice)
        }
        InspectionKind::JoinedStrings => {
            let advice = "Collect the parts in an array and join them, or write them to a stream.";
            let what = format!("{count} joined strings take {bytes} beside their parts");
            ("joined-strings", what, advice)
        }
        InspectionKind::DuplicateStrings => {
            let text: String = name.chars().take(40).collect();
            let advice =
                "Keep one of each: look it up in a Map, or take it from a list of constants.";
            let what = format!(
                "{count} strings of texts that are there 100 times and more waste {bytes}, most of all {text:?}"
            );
            ("duplicate-strings", what, advice)
        }
        InspectionKind::Buffers => {
            let of = if name.is_empty() {
                "Several holders have".to_owned()
            } else {
                format!("One {} holds", class())
            };
            let blocks = if found.count == 1 { "block" } else { "blocks" };
            let what = format!("{of} {count} {blocks} of ArrayBuffers' memory, {bytes}");
            ("buffers", what, advice::BUFFERS)
        }
        InspectionKind::AsyncStores => {
            let advice = "A store lives as long as the timer, promise or socket that was made in it: let those end, or keep little in it.";
            ("async-stores", format!("{count} stores of AsyncLocalStorage keep {bytes}"), advice)
        }
        InspectionKind::VmContexts => {
            let advice =
                "Use one context for many scripts, and let go of its objects and functions.";
            ("vm-contexts", format!("{count} contexts of node:vm keep {bytes}"), advice)
        }
        InspectionKind::PackageCopies => {
            let advice = "Have one version of it: npm ls, npm dedupe.";
            let what = format!("{name} is loaded from {count} places; one would save {bytes}");
            ("package-copies", what, advice)
        }
        InspectionKind::Streams => {
            let advice = "End or destroy each when its work is over, also after an error, and forget it on 'close'.";
            ("streams", format!("{count} {name} objects keep {bytes}"), advice)
        }
        InspectionKind::Errors => {
            let advice = "Keep a message instead of an error: its stack holds the functions that were running.";
            ("errors", format!("{count} errors with their stacks keep {bytes}"), advice)
        }
        _ => ("other", format!("{count} keep {bytes}"), advice::RELEASE),
    }
}

/// `` The Map `sessions` in server.js ``.
fn collection(snapshot: &Snapshot, found: &Inspection) -> String {
    let class = snapshot.short_name(found.example);
    match snapshot.name_in_code(&found.path) {
        Some(name) => format!("The {class} {name}"),
        None => format!("One {class}"),
    }
}
