//! What is said on standard error of a dump that nobody awaits: of a signal, a monitor, V8's limit. Natively, because JavaScript
//! may be stuck, and because warnings may be off.

use super::{Kind, Report, Request, RequestOptions};
use crate::environment::{Environment, When};
use crate::error::SnapshotError;
use crate::process::{resident, say};
use crate::v8::{HeapFigures, Isolate, heap_figures};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// For somebody who has never seen one.
const IMAGE_ADVICE: &str =
    " (an image: npx heapdump-rs node-snapshot --image makes a snapshot of it)";

static ANNOUNCED: AtomicBool = AtomicBool::new(false);

/// From here on: the beginnings and ends of this process' dumps.
pub(crate) fn announce_dumps() {
    ANNOUNCED.store(true, Relaxed);
}

/// Whether [`announce_dumps`] was called.
pub(crate) fn dumps_are_announced() -> bool {
    ANNOUNCED.load(Relaxed)
}

/// `why`: what asked for it, `SIGUSR2` for instance. On a thread that waits for the environment's.
pub(crate) fn announce_request(why: &str, request: &Request) {
    if let (true, Some(path)) = (dumps_are_announced(), request.output.path()) {
        let heap = heap_now(&request.environment);
        announce_begin(why, path, &request.options, heap);
    }
}

/// The same where the heap is known.
pub(super) fn announce_begin(
    why: &str,
    path: &Path,
    options: &RequestOptions,
    heap: Option<HeapFigures>,
) {
    if dumps_are_announced() {
        let size = heap.map_or_else(String::new, |heap| {
            format!(", about {} MB", expected_size(heap.used, options).div_ceil(1_000_000))
        });
        say(&format!("heapdump-rs: {why}: writing {}{size}", path.display()));
    }
}

/// Of a dump that was announced.
pub(crate) fn announce_end(why: &str, result: &Result<Report, SnapshotError>) {
    if dumps_are_announced() {
        say_end(why, result);
    }
}

/// In any case.
pub(crate) fn say_end(why: &str, result: &Result<Report, SnapshotError>) {
    match result {
        Ok(Report { path: Some(path), pause, kind, .. }) => say(&format!(
            "heapdump-rs: {why}: {} is complete{}; the event loop stood still for {} ms",
            path.display(),
            if *kind == Kind::Image { IMAGE_ADVICE } else { "" },
            pause.as_millis()
        )),
        Ok(_) => {}
        Err(error) => say(&format!("heapdump-rs: {why}: no heap snapshot: {error}")),
    }
}

/// What a snapshot of so much used heap takes on the disk, about; an image takes all that is resident.
pub(crate) fn expected_size(used: u64, options: &RequestOptions) -> u64 {
    let kind = options.content.kind();
    let bytes = match kind {
        Kind::Snapshot => used,
        Kind::Image => resident().unwrap_or(used),
    };
    if options.compression_of(kind).is_some() { bytes / 8 } else { bytes }
}

/// What the heap of `environment` holds; `None` when its thread does not come round soon. No JavaScript runs for it.
pub(crate) fn heap_now(environment: &Arc<Environment>) -> Option<HeapFigures> {
    const PATIENCE: Duration = Duration::from_millis(200);
    let read = || Isolate::current().and_then(heap_figures).ok();
    environment.call(When::Anytime, PATIENCE, read).ok().flatten()
}
