//! The record of a heap at its limit: what is known without a snapshot. A small JSON file beside the snapshot's, for when
//! there is none, or (as chosen) always.
//!
//! The child writes it before it takes the snapshot, so it is there whatever becomes of child and parent; the end of the
//! snapshot corrects or removes it.

use super::Report;
use crate::error::SnapshotError;
use crate::process;
use crate::v8::{
    AtHeapLimit, HeapStatistics, Isolate, Sampled, heap_statistics, sampled_allocations,
};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
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
    path: PathBuf,
    facts: Map<String, Value>,
    /// Whether it stays beside a complete snapshot.
    keep: bool,
}

impl Record {
    /// On the JavaScript thread, in V8's call: `snapshot` is the file that is about to be taken, `about` what JavaScript
    /// knew beforehand (a JSON object).
    pub(crate) fn at_limit(
        heap: &AtHeapLimit,
        snapshot: &Path,
        mode_at_limit: &str,
        about: &str,
        keep: bool,
    ) -> Record {
        let snapshot = std::path::absolute(snapshot).unwrap_or_else(|_| snapshot.to_owned());
        let mut facts = Map::new();
        facts.insert("reason".to_owned(), json!("heap-limit"));
        facts.insert("snapshot".to_owned(), json!(snapshot.to_string_lossy()));
        // Its Debug is ISO 8601.
        facts.insert("time".to_owned(), json!(format!("{:?}", chrono::Utc::now())));
        facts.insert("pid".to_owned(), json!(std::process::id()));
        facts.insert("afterSnapshot".to_owned(), json!(mode_at_limit));
        if let Ok(Value::Object(about)) = serde_json::from_str(about) {
            facts.extend(about);
        }
        facts.insert("heapLimit".to_owned(), json!(heap.initial));
        if let Ok(statistics) = heap_statistics(heap.isolate) {
            add_statistics(&mut facts, &statistics);
        }
        #[cfg(target_os = "linux")]
        add_memory(&mut facts);
        let thresholds = THRESHOLDS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        facts.insert("thresholds".to_owned(), Value::Array(thresholds.into()));
        Record { path: record_path(&snapshot), facts, keep }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// In a forked child: adds what only a child may find out, and says that there is no snapshot yet. What fails here
    /// is told by the snapshot itself.
    pub(super) fn begin_in_child(&self, isolate: Isolate) {
        let mut facts = self.facts.clone();
        let profile = sampled_allocations(isolate, MOST_SAMPLED);
        facts.insert(PROFILE.to_owned(), profile.map_or(Value::Null, |top| profile_value(&top)));
        let _ = self.write(
            facts,
            false,
            json!({
                "code": SnapshotError::Incomplete.code(),
                "message": "the process and its child had ended before the snapshot was complete",
            }),
        );
    }

    /// In a forked child: the snapshot is complete under its name, should nobody be left to say so.
    pub(super) fn complete_in_child(&self, private_memory: u64) {
        if self.keep {
            let mut facts = self.begun().unwrap_or_else(|| self.facts.clone());
            facts.insert("childPrivateMemory".to_owned(), json!(private_memory));
            let _ = self.write(facts, true, Value::Null);
        } else {
            // Only ours: the child has just written it.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// The end, as the process knows it: `true` when a record stands for what was not taken.
    pub(crate) fn finish(&self, result: &Result<Report, SnapshotError>) -> bool {
        match result {
            Ok(_) if !self.keep => false,
            Ok(report) => {
                let mut facts = self.begun().unwrap_or_else(|| self.facts.clone());
                let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
                facts.insert("bytes".to_owned(), json!(report.bytes));
                facts.insert("nodes".to_owned(), json!(report.nodes));
                facts.insert("pause".to_owned(), json!(milliseconds(report.pause)));
                facts.insert("duration".to_owned(), json!(milliseconds(report.duration)));
                facts.insert("childPeakMemory".to_owned(), json!(report.child_peak_memory));
                facts.insert("childPrivateMemory".to_owned(), json!(report.child_private_memory));
                self.write(facts, true, Value::Null).is_ok()
            }
            Err(error) => {
                let mut facts = self.begun().unwrap_or_else(|| self.facts.clone());
                facts.entry(PROFILE).or_insert(Value::Null);
                let errno = match error {
                    SnapshotError::Io { source, .. } => source.raw_os_error(),
                    _ => None,
                };
                let told =
                    json!({ "code": error.code(), "errno": errno, "message": error.to_string() });
                self.write(facts, false, told).is_ok()
            }
        }
    }

    /// What a child of this very record has written.
    fn begun(&self) -> Option<Map<String, Value>> {
        let facts: Map<String, Value> = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        (facts.get("time") == self.facts.get("time") && facts.get("pid") == self.facts.get("pid"))
            .then_some(facts)
    }

    /// Whole or not at all, as the snapshot.
    fn write(&self, mut facts: Map<String, Value>, complete: bool, error: Value) -> io::Result<()> {
        facts.insert("complete".to_owned(), json!(complete));
        facts.insert("error".to_owned(), error);
        let mut text = serde_json::to_vec_pretty(&facts)?;
        text.push(b'\n');
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let written = write_new(Path::new(&temporary), &text)
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn add_statistics(facts: &mut Map<String, Value>, heap: &HeapStatistics) {
    let spaces: Vec<Value> = heap
        .spaces
        .iter()
        .map(|space| {
            json!({
                "name": space.name,
                "size": space.size,
                "used": space.used,
                "available": space.available,
                "physical": space.physical,
            })
        })
        .collect();
    facts.insert("heapUsed".to_owned(), json!(heap.figures.used));
    facts.insert("heapTotal".to_owned(), json!(heap.figures.total));
    facts.insert("external".to_owned(), json!(heap.figures.external));
    facts.insert("mallocedMemory".to_owned(), json!(heap.figures.malloced));
    facts.insert("heapSpaces".to_owned(), json!(spaces));
}

#[cfg(target_os = "linux")]
fn add_memory(facts: &mut Map<String, Value>) {
    if let Some(headroom) = process::MemorySources::find(Path::new("/")).headroom() {
        facts.insert("rssAnonymous".to_owned(), json!(headroom.anonymous));
        facts.insert("memoryLeft".to_owned(), json!(headroom.available));
        facts.insert("memoryLeftBelow".to_owned(), json!(headroom.bound.describe()));
    }
}

fn profile_value(top: &[Sampled]) -> Value {
    top.iter()
        .map(|sampled| {
            json!({
                "function": sampled.function,
                "script": sampled.script,
                "line": sampled.line,
                "bytes": sampled.bytes,
                "objects": sampled.objects,
            })
        })
        .collect()
}

/// `a.heapsnapshot` → `a.heapsnapshot.json`, cut where that would be too long a name.
fn record_path(snapshot: &Path) -> PathBuf {
    const LONGEST: usize = 255;
    // With room for the temporary file's own ending.
    const ROOM: usize = ".json.4194304.tmp".len();
    let name = snapshot.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len().min(LONGEST - ROOM);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    snapshot.with_file_name(format!("{}.json", name.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(directory: &Path, keep: bool) -> Record {
        let mut facts = Map::new();
        facts.insert("time".to_owned(), json!("now"));
        facts.insert("pid".to_owned(), json!(1));
        Record { path: directory.join("a.heapsnapshot.json"), facts, keep }
    }

    #[test]
    fn is_named_after_the_snapshot() {
        assert_eq!(
            record_path(Path::new("/d/a.heapsnapshot")),
            Path::new("/d/a.heapsnapshot.json")
        );
        let long = format!("/d/{}", "ä".repeat(127));
        let name = record_path(Path::new(&long)).file_name().map(std::ffi::OsStr::len);
        assert!(name.is_some_and(|length| length <= 243), "{name:?}");
    }

    #[test]
    fn the_end_keeps_what_the_child_found() {
        let directory =
            std::env::temp_dir().join(format!("heapdump-record-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let record = record(&directory, false);
        let mut facts = record.facts.clone();
        facts.insert(PROFILE.to_owned(), json!(["found"]));
        record.write(facts, false, Value::Null).expect("written");
        assert!(record.finish(&Err(SnapshotError::Aborted)));
        let text = fs::read_to_string(record.path()).expect("readable");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value.get(PROFILE), Some(&json!(["found"])));
        assert_eq!(value.pointer("/error/code"), Some(&json!("ABORT_ERR")));
        record.complete_in_child(0);
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 0);
        fs::remove_dir(&directory).expect("empty");
    }
}
