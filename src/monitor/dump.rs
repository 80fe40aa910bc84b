//! From a crossing to a request, and from its end to the sidecar.

use super::{Crossing, Monitor, Reason, Told, Why, directory, lock};
use crate::environment::When;
use crate::error::SnapshotError;
use crate::facts::{Cause, Entry};
use crate::process;
use crate::signal;
use crate::snapshot::{
    Destination, Listener, QUEUE, Report, Request, Sidecar, open_destination, sidecar_of,
};
use crate::v8::{HeapFigures, Isolate, heap_figures};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// The JavaScript thread gets so long to say what its heap holds; otherwise it is what the last collection left.
const PATIENCE: Duration = Duration::from_millis(200);

impl Monitor {
    pub(super) fn skip(&self, reason: Reason, why: Why, message: String) {
        (self.announce)(Told::Skipped(reason, why, message));
    }

    /// Begins a dump; whether it was begun. Its failure is told in any case.
    pub(super) fn dump(self: &Arc<Self>, reason: Reason, crossing: Option<Crossing>) -> bool {
        let heap = self.current_heap();
        if let Err(error) = self.check_disk(heap) {
            (self.announce)(Told::Ended(reason, Err(error), None));
            return false;
        }
        // An exiting process forks nothing any more.
        let begun =
            signal::while_accepting(|| !self.is_stopped() && self.begin(reason, crossing, heap));
        begun.unwrap_or(false)
    }

    fn begin(
        self: &Arc<Self>,
        reason: Reason,
        crossing: Option<Crossing>,
        heap: Option<HeapFigures>,
    ) -> bool {
        let (snapshot, sidecar) = self.reserve(reason, crossing, heap);
        let listener = Dump { monitor: Arc::clone(self), reason, sidecar };
        self.busy.store(true, SeqCst);
        let settings = &self.settings;
        let opened =
            open_destination(Destination::Named(snapshot), &settings.options, settings.file_mode);
        let output = match opened {
            Ok((output, _)) => output,
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
            Err((request, error)) => {
                let reason = format!("no thread can be started: {error}");
                request.end(Err(SnapshotError::ForkUnavailable(reason)));
                false
            }
        }
    }

    /// A name that no other process has, and the sidecar of that name where it can be written.
    fn reserve(
        &self,
        reason: Reason,
        crossing: Option<Crossing>,
        heap: Option<HeapFigures>,
    ) -> (PathBuf, Sidecar) {
        let over = crossing.map(|crossing| (crossing.value, crossing.limit));
        let mut time = directory::wall_clock();
        loop {
            let path = self.settings.directory.join(directory::snapshot_name(reason, time));
            let origin = self.settings.origin.clone();
            let sidecar = Sidecar::new(sidecar_of(&path), &path, reason.name(), origin, over, heap);
            match sidecar.reserve() {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => time += 1,
                // Where it cannot be written, the snapshot cannot either, and says why.
                _ => return (path, sidecar),
            }
        }
    }

    fn current_heap(&self) -> Option<HeapFigures> {
        let read = || Isolate::current().and_then(heap_figures).ok();
        let now = self.environment.call(When::Anytime, PATIENCE, read).ok().flatten();
        now.or_else(|| self.last_heap())
    }

    /// Whether there is room for a snapshot, which is about as large as the heap.
    fn check_disk(&self, heap: Option<HeapFigures>) -> Result<(), SnapshotError> {
        let directory = &self.settings.directory;
        let Some(free) = process::free_space(directory) else { return Ok(()) };
        let used = heap.map_or(0, |heap| heap.used);
        let size = if self.settings.options.compression.is_some() { used / 8 } else { used };
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

    fn prune(&self) {
        directory::prune(&self.settings.directory, self.settings.keep);
    }
}

/// Hears of a dump's end; the monitor is busy with it until then.
struct Dump {
    monitor: Arc<Monitor>,
    reason: Reason,
    sidecar: Sidecar,
}

impl Listener for Dump {
    fn done(mut self: Box<Self>, result: Result<Report, SnapshotError>) {
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
