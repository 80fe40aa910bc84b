//! What is known of an automatic snapshot beside the snapshot itself, as JSON: the first thing to read after an exit.

use super::unfinished::Unfinished;
use super::{Kind, Mode, Report};
use crate::error::SnapshotError;
use crate::filename::{EXTENSION, IMAGE_EXTENSION};
use crate::process::{self, Progress};
use crate::v8::HeapFigures;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Facts of the process that only JavaScript knows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Origin {
    pub(crate) host: String,
    /// Node's version.
    pub(crate) node: String,
    /// 0 is the main thread.
    pub(crate) thread: u32,
    /// The pattern that names the snapshot: by it a monitor knows its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The main script. Snapshots of one program share a cooldown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<String>,
}

/// A sidecar that can be written again when more is known.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sidecar {
    version: u32,
    reason: &'static str,
    time: String,
    pid: u32,
    #[serde(flatten)]
    origin: Origin,
    /// What was over its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Over>,
    memory: Memory,
    /// `null` until that is known: its process may end before.
    complete: Option<bool>,
    /// `snapshot` or `image`: what the file is.
    kind: &'static str,
    /// The file's name, beside this one.
    snapshot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Made>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// What is known besides at V8's heap limit.
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Clone, Serialize)]
struct Over {
    value: f64,
    limit: f64,
}

/// Bytes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    rss: Option<u64>,
    rss_anonymous: Option<u64>,
    heap_used: Option<u64>,
    heap_total: Option<u64>,
    external: Option<u64>,
    heap_limit: Option<u64>,
    /// Of the control group that is nearest to its limit, without the file cache that the kernel can drop.
    cgroup_used: Option<u64>,
    cgroup_limit: Option<u64>,
    /// What was left to the nearest limit of any kind.
    available: Option<u64>,
    available_below: Option<&'static str>,
}

/// Times in milliseconds, sizes in bytes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Made {
    bytes: u64,
    sha256: Box<str>,
    nodes: u64,
    edges: u64,
    mode: &'static str,
    child_private_memory: u64,
    /// `None` from a child whose process ended before it.
    #[serde(flatten)]
    cost: Option<Cost>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    attempts: u32,
    pause: f64,
    barrier_wait: f64,
    fork_time: f64,
    duration: f64,
    child_peak_memory: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Failure {
    code: Option<&'static str>,
    message: String,
}

impl Sidecar {
    /// In the file `path`, of the snapshot `snapshot` that is about to be taken. `over`: value and limit, where there is one.
    pub(crate) fn new(
        path: PathBuf,
        snapshot: &Path,
        reason: &'static str,
        origin: Origin,
        over: Option<(f64, f64)>,
        heap: Option<HeapFigures>,
    ) -> Sidecar {
        let group = process::group_use();
        let left = process::memory_left();
        Sidecar {
            version: VERSION,
            reason,
            time: format!("{:?}", chrono::Utc::now()),
            pid: std::process::id(),
            origin,
            threshold: over.map(|(value, limit)| Over { value, limit }),
            memory: Memory {
                rss: process::resident(),
                rss_anonymous: left.map(|left| left.anonymous),
                heap_used: heap.map(|heap| heap.used),
                heap_total: heap.map(|heap| heap.total),
                external: heap.map(|heap| heap.external),
                heap_limit: heap.map(|heap| heap.limit),
                cgroup_used: group.map(|group| group.used),
                cgroup_limit: group.map(|group| group.limit),
                available: left.map(|left| left.available),
                available_below: left.map(|left| left.below),
            },
            complete: None,
            kind: Kind::of_name(&file_name(snapshot)).name(),
            snapshot: file_name(snapshot),
            report: None,
            error: None,
            more: Map::new(),
            path,
        }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it before the snapshot is begun: an attempt that ends its process is on record too.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when another process took the name.
    pub(crate) fn reserve(&self) -> io::Result<()> {
        Ok(self.write()?.place(&self.path)?)
    }

    /// Writes it anew, as a whole or not at all, now that the end is known.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub(crate) fn finish(&mut self, result: &Result<Report, SnapshotError>) -> io::Result<()> {
        match result {
            Ok(report) => {
                self.kind = report.kind.name();
                self.snapshot = report.path.as_deref().map(file_name).unwrap_or_default();
                self.succeed(report.into());
            }
            Err(error) => self.fail(error, error.to_string()),
        }
        self.replace()
    }

    /// The same in a child, which knows what it has written and where.
    pub(super) fn succeed_in_child(&mut self, kind: Kind, file: Option<&Path>, made: Made) {
        self.kind = kind.name();
        self.snapshot = file.map(file_name).unwrap_or_default();
        self.succeed(made);
    }

    fn succeed(&mut self, made: Made) {
        self.complete = Some(true);
        self.report = Some(made);
        self.error = None;
    }

    pub(super) fn fail(&mut self, error: &SnapshotError, message: String) {
        self.complete = Some(false);
        self.error = Some(Failure { code: error.code(), message });
    }

    /// Writes it whole or not at all, over what it said before.
    pub(super) fn replace(&self) -> io::Result<()> {
        Ok(self.write()?.replace(&self.path)?)
    }

    /// For its owner alone, as the snapshot.
    fn write(&self) -> io::Result<Unfinished> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let unfinished = Unfinished::create(&self.path, 0o600)?;
        let mut file = unfinished.file();
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(unfinished)
    }
}

impl Made {
    /// As the child knows it.
    pub(super) fn in_child(progress: &Progress) -> Made {
        Made {
            bytes: progress.bytes.load(Relaxed),
            sha256: progress.digest(),
            nodes: progress.nodes.load(Relaxed),
            edges: progress.edges.load(Relaxed),
            mode: Mode::Fork.name(),
            child_private_memory: progress.private_bytes.load(Relaxed),
            cost: None,
        }
    }
}

impl From<&Report> for Made {
    fn from(report: &Report) -> Made {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        Made {
            bytes: report.bytes,
            sha256: report.sha256.clone(),
            nodes: report.nodes,
            edges: report.edges,
            mode: report.mode.name(),
            child_private_memory: report.child_private_memory,
            cost: Some(Cost {
                attempts: report.attempts,
                pause: milliseconds(report.pause),
                barrier_wait: milliseconds(report.barrier_wait),
                fork_time: milliseconds(report.fork_time),
                duration: milliseconds(report.duration),
                child_peak_memory: report.child_peak_memory,
            }),
        }
    }
}

/// `a.json` for `a.heapsnapshot` and `a.heapimage`, however they are compressed.
pub(crate) fn sidecar_of(snapshot: &Path) -> PathBuf {
    let name = file_name(snapshot);
    let before = |extension| name.split_once(extension).map(|(stem, _)| stem);
    let stem = before(EXTENSION).or(before(IMAGE_EXTENSION)).unwrap_or(&name);
    snapshot.with_file_name(format!("{stem}.json"))
}

/// JavaScript's numbers are exact up to 2⁵³, which no size here reaches.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn float(size: u64) -> f64 {
    size as f64
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lies_beside_its_snapshot() {
        for end in ["heapsnapshot", "heapsnapshot.gz", "heapimage", "heapimage.zst.age"] {
            let name = &format!("/d/heap-rss-1.{end}");
            assert_eq!(sidecar_of(Path::new(name)), Path::new("/d/heap-rss-1.json"));
        }
        assert_eq!(sidecar_of(Path::new("evidence")), Path::new("evidence.json"));
    }

    #[test]
    fn is_written_before_and_after() {
        let directory =
            std::env::temp_dir().join(format!("heapdump-sidecar-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let origin = Origin {
            host: "h\"ost".to_owned(),
            node: "v1.2.3".to_owned(),
            thread: 0,
            name: None,
            program: None,
        };
        let snapshot = directory.join("heap-rss-1.heapsnapshot");
        let path = sidecar_of(&snapshot);
        let mut sidecar = Sidecar::new(path, &snapshot, "rss", origin, Some((2.0, 1.0)), None);
        sidecar.reserve().expect("is written");
        assert!(sidecar.reserve().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists));
        let read = || fs::read_to_string(directory.join("heap-rss-1.json")).expect("is there");
        assert!(read().contains("\"complete\": null"));
        sidecar.finish(&Err(SnapshotError::Incomplete)).expect("is written again");
        assert!(read().contains("\"complete\": false") && read().contains("h\\\"ost"));
        assert_eq!(fs::read_dir(&directory).expect("readable").count(), 1);
        fs::remove_dir_all(&directory).expect("removable");
    }
}
