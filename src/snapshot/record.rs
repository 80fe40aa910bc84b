//! The sidecar of a snapshot at V8's heap limit. It is all that is left where there can be no snapshot, so it says more than
//! others do.
//!
//! The child writes it before it takes the snapshot, so it is there whatever becomes of child and parent; the end of the
//! snapshot corrects or removes it.

use super::sidecar::{Made, Origin, Sidecar, float};
use super::{Kind, Report};
use crate::error::SnapshotError;
use crate::process::Progress;
use crate::v8::{AtHeapLimit, HeapSpace, Isolate, Sampled, heap_statistics, sampled_allocations};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Functions of the sampling profile that are recorded.
const MOST_SAMPLED: usize = 25;

/// The member that only a forked child can give.
const PROFILE: &str = "allocationProfile";

/// Thresholds of monitors that a record tells of.
const LAST_THRESHOLDS: usize = 8;

/// What monitors saw last, the oldest first.
static THRESHOLDS: Mutex<VecDeque<Value>> = Mutex::new(VecDeque::new());

/// Keeps what a monitor saw (a JSON object) for the record of a heap at its limit.
pub(crate) fn remember_threshold(seen: Value) {
    let mut last = THRESHOLDS.lock().unwrap_or_else(PoisonError::into_inner);
    if last.len() == LAST_THRESHOLDS {
        last.pop_front();
    }
    last.push_back(seen);
}

/// A record to be written; everything in it but the end was known at the limit.
#[derive(Debug)]
pub(crate) struct Record {
    sidecar: Sidecar,
    /// Whether it stays beside a complete snapshot.
    keep: bool,
}

impl Record {
    /// On the JavaScript thread, in V8's call: `snapshot` is the file that is about to be taken, `path` the record's own.
    pub(crate) fn at_limit(
        heap: &AtHeapLimit,
        snapshot: &Path,
        path: PathBuf,
        origin: Origin,
        mode_at_limit: &str,
        keep: bool,
    ) -> Record {
        let statistics = heap_statistics(heap.isolate).ok();
        let mut figures = statistics.as_ref().map(|statistics| statistics.figures);
        if let Some(figures) = &mut figures {
            // As it was before it was raised.
            figures.limit = heap.initial as u64;
        }
        let over = figures.map(|figures| (float(figures.used), float(figures.limit)));
        let mut sidecar = Sidecar::new(path, snapshot, "oom", origin, over, figures);
        let more = &mut sidecar.more;
        more.insert("afterSnapshot".to_owned(), json!(mode_at_limit));
        if let Some(statistics) = &statistics {
            more.insert("mallocedMemory".to_owned(), json!(statistics.figures.malloced));
            more.insert("heapSpaces".to_owned(), statistics.spaces.iter().map(space).collect());
        }
        let thresholds = THRESHOLDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        more.insert("thresholds".to_owned(), Value::Array(thresholds.into()));
        more.insert(PROFILE.to_owned(), Value::Null);
        Record { sidecar, keep }
    }

    pub(crate) fn path(&self) -> &Path {
        self.sidecar.path()
    }

    /// In a forked child: adds what only a child may find out, and says that there is no snapshot yet. What fails here
    /// is told by the snapshot itself.
    pub(super) fn begin_in_child(&self, isolate: Isolate, redaction: Option<&heapredact::Options>) {
        let mut sidecar = self.sidecar.clone();
        let profile = sampled_allocations(isolate, MOST_SAMPLED);
        let mut names = redaction.cloned().map(heapredact::Names::new);
        let profile = profile.map_or(Value::Null, |top| profile_value(&top, names.as_mut()));
        sidecar.more.insert(PROFILE.to_owned(), profile);
        sidecar.fail(
            &SnapshotError::Incomplete,
            "the process and its child had ended before the snapshot was complete".to_owned(),
        );
        let _ = sidecar.replace();
    }

    /// In a forked child: the snapshot is complete under its name, should nobody be left to say so.
    pub(super) fn complete_in_child(&self, kind: Kind, file: Option<&Path>, progress: &Progress) {
        if self.keep {
            let mut sidecar = self.with_profile();
            sidecar.succeed_in_child(kind, file, Made::in_child(progress));
            let _ = sidecar.replace();
        } else {
            // Only ours: the child has just written it.
            let _ = fs::remove_file(self.path());
        }
    }

    /// The end, as the process knows it; whether the record stands.
    pub(crate) fn finish(&self, result: &Result<Report, SnapshotError>) -> bool {
        if result.is_ok() && !self.keep {
            return false;
        }
        self.with_profile().finish(result).is_ok()
    }

    /// With what a child of this very record has found.
    fn with_profile(&self) -> Sidecar {
        let mut sidecar = self.sidecar.clone();
        if let Some(profile) = self.profile_on_disk() {
            sidecar.more.insert(PROFILE.to_owned(), profile);
        }
        sidecar
    }

    fn profile_on_disk(&self) -> Option<Value> {
        let mut found: Value = serde_json::from_slice(&fs::read(self.path()).ok()?).ok()?;
        let ours = serde_json::to_value(&self.sidecar).ok()?;
        let same = |name| found.get(name) == ours.get(name);
        (same("time") && same("pid")).then(|| found.get_mut(PROFILE).map(Value::take)).flatten()
    }
}

fn space(space: &HeapSpace) -> Value {
    json!({
        "name": space.name,
        "size": space.size,
        "used": space.used,
        "available": space.available,
        "physical": space.physical,
    })
}

/// Functions and scripts are named as the snapshot names them.
fn profile_value(top: &[Sampled], mut names: Option<&mut heapredact::Names>) -> Value {
    top.iter()
        .map(|sampled| {
            let (mut function, mut script) = (sampled.function.clone(), sampled.script.clone());
            if let Some(names) = names.as_deref_mut() {
                (function, script) = (names.name(&function), names.path(&script));
            }
            json!({
                "function": function,
                "script": script,
                "line": sampled.line,
                "bytes": sampled.bytes,
                "objects": sampled.objects,
            })
        })
        .collect()
}

/// `a.heapsnapshot` → `a.heapsnapshot.json`, cut where that would be too long a name.
pub(crate) fn record_path(snapshot: &Path) -> PathBuf {
    const LONGEST: usize = 255 - ".json".len();
    let name = snapshot.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    snapshot.with_file_name(format!("{}.json", name.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(directory: &Path, keep: bool) -> Record {
        let (host, node) = (String::new(), String::new());
        let origin = Origin { host, node, thread: 0, name: None, program: None };
        let snapshot = directory.join("a.heapsnapshot");
        let path = record_path(&snapshot);
        Record { sidecar: Sidecar::new(path, &snapshot, "oom", origin, None, None), keep }
    }

    #[test]
    fn is_named_after_the_snapshot() {
        assert_eq!(
            record_path(Path::new("/d/a.heapsnapshot")),
            Path::new("/d/a.heapsnapshot.json")
        );
        let long = format!("/d/{}", "ä".repeat(127));
        let name = record_path(Path::new(&long)).file_name().map(std::ffi::OsStr::len);
        assert!(name.is_some_and(|length| length <= 255), "{name:?}");
    }

    #[test]
    fn the_end_keeps_what_the_child_found() {
        let directory =
            std::env::temp_dir().join(format!("heapdump-record-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let record = record(&directory, false);
        let mut begun = record.sidecar.clone();
        begun.more.insert(PROFILE.to_owned(), json!(["found"]));
        begun.replace().expect("written");
        assert!(record.finish(&Err(SnapshotError::Aborted)));
        let text = fs::read_to_string(record.path()).expect("readable");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value.get(PROFILE), Some(&json!(["found"])));
        assert_eq!(value.pointer("/error/code"), Some(&json!("ABORT_ERR")));
        fs::remove_file(record.path()).expect("is there");
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 0);
        fs::remove_dir(&directory).expect("empty");
    }
}
