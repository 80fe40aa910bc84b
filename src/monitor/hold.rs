//! Standing still for a snapshot that memory would not wait for.
//!
//! A process that fills its control group in a second is killed before its child has written anything, or the child is, to make
//! room. So the JavaScript thread, which fills it, lends itself to the snapshot until that is done.

use super::Monitor;
use crate::environment::Environment;
use crate::process;
use crate::snapshot::{Kind, RequestOptions, float};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// How long it stands still at most.
const LONGEST: Duration = Duration::from_secs(10);

/// What a child needs for the smallest heap, on a busy machine.
const LEAST: f64 = 3.0;

/// Bytes of the heap that a child writes in a second, at least.
const WRITTEN: f64 = 16.0 * 1024.0 * 1024.0;

/// The same where it writes its memory as it is: a slow disk's.
const WRITTEN_AS_IMAGE: f64 = 64.0 * 1024.0 * 1024.0;

/// The JavaScript thread stands still until this is dropped.
pub(super) struct Hold {
    environment: Arc<Environment>,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    is_over: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Monitor {
    /// Holds the JavaScript thread if memory that grows by `speed` bytes a second would be used up before a snapshot is written.
    /// Not where that may be written by this very thread.
    pub(super) fn hold_if_urgent(&self, speed: f64, options: &RequestOptions) -> Option<Hold> {
        if options.in_process || options.fallback_inline {
            return None;
        }
        let heap = self.last_heap().map_or(0, |heap| heap.used);
        let left = process::memory_left()?.available;
        let written = match options.content.kind() {
            Kind::Snapshot => WRITTEN,
            Kind::Image => WRITTEN_AS_IMAGE,
        };
        let is_urgent = speed > 0.0 && float(left) / speed < LEAST + float(heap) / written;
        is_urgent.then(|| Hold::start(&self.environment))
    }
}

impl Hold {
    fn start(environment: &Arc<Environment>) -> Hold {
        let held = Arc::new(Held::default());
        let (standing, until) = (Arc::clone(environment), Arc::clone(&held));
        // An environment that has ended fills nothing.
        let _ = environment.interrupt(move || {
            let is_over = || until.is_over.load(SeqCst);
            // There the thread lends itself to another snapshot.
            if standing.is_inside_collection() || is_over() {
                return;
            }
            *super::lock(&until.since) = Some(Instant::now());
            standing.run_interrupting_jobs_until(LONGEST, is_over);
        });
        Hold { environment: Arc::clone(environment), held }
    }

    /// How long the thread has stood still.
    pub(super) fn time(&self) -> Duration {
        super::lock(&self.held.since).map_or(Duration::ZERO, |since| since.elapsed().min(LONGEST))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.is_over.store(true, SeqCst);
        self.environment.look_again();
    }
}
