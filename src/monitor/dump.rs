//! From a crossing to a request, and from its end to the sidecar.

use super::hold::Hold;
use super::{Crossing, Monitor, Reason, Settings, Told, Why, directory, lock};
use crate::error::SnapshotError;
use crate::facts::{Cause, Entry};
use crate::filename::{EXTENSION, NamePattern, numbered};
use crate::process;
use crate::signal;
use crate::snapshot::{
    Destination, Listener, Output, QUEUE, Report, Request, Sidecar, announce_request,
    expected_size, heap_now, open_destination, sidecar_of,
};
use crate::v8::HeapFigures;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Names that are tried for one dump.
const MOST_NAMES: u64 = 1000;

impl Monitor {
    pub(super) fn skip(&self, reason: Reason, why: Why, message: String) {
        (self.announce)(Told::Skipped(reason, why, message));
    }

    /// Begins a dump while memory grows by `speed` bytes a second; whether it was begun. Its failure is told in any case.
    pub(super) fn dump(
        self: &Arc<Self>,
        reason: Reason,
        crossing: Option<Crossing>,
        speed: f64,
    ) -> bool {
        let heap = self.current_heap();
        if let Err(error) = self.check_disk(heap) {
            (self.announce)(Told::Ended(reason, Err(error), None));
            return false;
        }
        // An exiting process forks nothing any more.
        let begun = signal::while_accepting(|| {
            !self.is_stopped() && self.begin(reason, crossing, heap, speed)
        });
        begun.unwrap_or(false)
    }

    fn begin(
        self: &Arc<Self>,
        reason: Reason,
        crossing: Option<Crossing>,
        heap: Option<HeapFigures>,
        speed: f64,
    ) -> bool {
        let (opened, sidecar) = match &self.settings.name {
            None => self.open(reason, crossing, heap),
            Some(name) => self.open_named(name, reason, crossing, heap),
        };
        let hold = Mutex::default();
        let listener = Dump { monitor: Arc::clone(self), reason, sidecar, speed, hold };
        self.busy.store(true, SeqCst);
        let settings = &self.settings;
        let output = match opened {
            Ok(output) => output,
            Err(error) => {
                Entry::refused(Cause::Monitor, self.environment.is_main, &error);
                Box::new(listener).done(Err(error));
                return false;
            }
        };
        let request = Request {
            entry: Entry::waiting(Cause::Monitor, self.environment.is_main, &output),
            environment: Arc::clone(&self.environment),
            output: Arc::new(output),
            options: settings.options.clone(),
            listener: Box::new(listener),
            cancelled: Arc::new(AtomicBool::new(false)),
            asked_at: Instant::now(),
            urgent: false,
            pending: Some(self.environment.begin_request()),
            record: None,
        };
        match QUEUE.submit(request) {
            Ok(()) => true,
            Err(given_back) => {
                let (request, error) = *given_back;
                let reason = format!("no thread can be started: {error}");
                request.end(Err(SnapshotError::ForkUnavailable(reason)));
                false
            }
        }
    }

    /// Under a name that no other process has: its sidecar, where that can be written, is the reservation.
    fn open(
        &self,
        reason: Reason,
        crossing: Option<Crossing>,
        heap: Option<HeapFigures>,
    ) -> (Result<Output, SnapshotError>, Sidecar) {
        let Settings { directory, options, file_mode, .. } = &self.settings;
        let start = directory::wall_clock();
        let mut time = start;
        loop {
            let path = directory.join(directory::snapshot_name(reason, time));
            let sidecar = self.sidecar(&path, reason, crossing, heap);
            match sidecar.reserve() {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && time < start + MOST_NAMES =>
                {
                    time += 1;
                }
                // Where it cannot be written, the snapshot cannot either, and says why.
                _ => {
                    let opened = open_destination(Destination::Named(path), options, *file_mode);
                    return (opened.map(|(output, _)| output), sidecar);
                }
            }
        }
    }

    /// Under the first name of a pattern at which there is neither a snapshot nor a sidecar: others may write the same
    /// names without a sidecar, so both are reserved.
    fn open_named(
        &self,
        name: &NamePattern,
        reason: Reason,
        crossing: Option<Crossing>,
        heap: Option<HeapFigures>,
    ) -> (Result<Output, SnapshotError>, Sidecar) {
        let Settings { directory, options, file_mode, origin, .. } = &self.settings;
        let stem = name.expand(reason.name(), origin.thread);
        let destination = || Destination::Beside(directory.clone(), stem.clone(), sidecar_of);
        loop {
            let opened = open_destination(destination(), options, *file_mode);
            let path = opened.as_ref().ok().and_then(|(output, _)| output.path());
            let path = path.map_or_else(|| without_sidecar(directory, &stem), Path::to_owned);
            let sidecar = self.sidecar(&path, reason, crossing, heap);
            match sidecar.reserve() {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && opened.is_ok() => {}
                _ => return (opened.map(|(output, _)| output), sidecar),
            }
        }
    }

    fn sidecar(
        &self,
        snapshot: &Path,
        reason: Reason,
        crossing: Option<Crossing>,
        heap: Option<HeapFigures>,
    ) -> Sidecar {
        let over = crossing.map(|crossing| (crossing.value, crossing.limit));
        let origin = self.settings.origin.clone();
        Sidecar::new(sidecar_of(snapshot), snapshot, reason.name(), origin, over, heap)
    }

    /// Now, or what the last collection left.
    fn current_heap(&self) -> Option<HeapFigures> {
        heap_now(&self.environment).or_else(|| self.last_heap())
    }

    /// Whether there is room for a snapshot, which is about as large as the heap.
    fn check_disk(&self, heap: Option<HeapFigures>) -> Result<(), SnapshotError> {
        let directory = &self.settings.directory;
        let Some(free) = process::free_space(directory) else { return Ok(()) };
        let used = heap.map_or(0, |heap| heap.used);
        let size = expected_size(used, &self.settings.options);
        if free >= size.saturating_add(self.settings.free) {
            return Ok(());
        }
        Err(SnapshotError::io("statvfs", directory, process::no_space()))
    }

    /// The end of a dump at V8's limit.
    pub(super) fn ended_at_limit(
        &self,
        result: Result<Report, SnapshotError>,
        sidecar: Option<PathBuf>,
    ) {
        self.prune();
        (self.announce)(Told::Ended(Reason::Oom, result, sidecar));
    }

    /// What is in the directory beyond what may stay goes.
    pub(super) fn prune(&self) {
        let Settings { directory, name, keep, .. } = &self.settings;
        directory::prune(directory, name.as_ref(), *keep);
    }
}

/// Where a sidecar can tell of a snapshot that could not be opened, and of no other.
fn without_sidecar(directory: &Path, stem: &str) -> PathBuf {
    let mut paths = numbered(stem).map(|stem| directory.join(stem + EXTENSION));
    let is_free = |path: &PathBuf| fs::symlink_metadata(sidecar_of(path)).is_err();
    paths.find(is_free).unwrap_or_else(|| directory.join(stem))
}

/// Hears of a dump's end; the monitor is busy with it until then.
struct Dump {
    monitor: Arc<Monitor>,
    reason: Reason,
    sidecar: Sidecar,
    /// At which memory grew, in bytes a second.
    speed: f64,
    /// From its turn to its end.
    hold: Mutex<Option<Hold>>,
}

impl Listener for Dump {
    fn begins(&self, request: &Request) {
        *lock(&self.hold) = self.monitor.hold_if_urgent(self.speed, &request.options);
        announce_request(self.reason.name(), request);
    }

    fn done(mut self: Box<Self>, mut result: Result<Report, SnapshotError>) {
        let hold = lock(&self.hold).take();
        if let (Ok(report), Some(hold)) = (&mut result, &hold) {
            report.pause = report.pause.max(hold.time());
        }
        let written = self.sidecar.finish(&result).is_ok();
        let sidecar = written.then(|| self.sidecar.path().to_owned());
        // The schedule has a clock of its own.
        if result.is_err() && self.reason != Reason::Schedule {
            *lock(&self.monitor.failed) = Some(self.reason);
        }
        self.monitor.prune();
        self.monitor.busy.store(false, SeqCst);
        (self.monitor.announce)(Told::Ended(self.reason, result, sidecar));
    }
}
