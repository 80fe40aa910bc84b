//! A snapshot because V8's heap is near its limit: the last moment at which there is one to take.
//!
//! V8 asks on the JavaScript thread, inside a garbage collection. The snapshot is an ordinary request of the queue; this
//! thread only lends itself to it until the child is forked (or has ended, as chosen), and then answers V8.

use super::{
    Destination, Listener, QUEUE, Report, Request, RequestOptions, fork_unavailable,
    open_destination,
};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::process;
use crate::v8::{Isolate, NearHeapLimit, ask_near_heap_limit};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, Instant};

/// What the process does while and after the snapshot is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtLimit {
    /// Goes on with a raised limit as soon as the child is forked, until it recovers or V8 ends it.
    Continue,
    /// Stands still until the file is complete, then goes on with a raised limit.
    Wait,
    /// Stands still until the file is complete, then ends with status 1.
    Exit,
}

/// What is to happen at the limit.
pub(crate) struct NearLimitSettings {
    /// The first snapshot's file; the second is `name-2.heapsnapshot`.
    pub(crate) first: PathBuf,
    pub(crate) options: RequestOptions,
    pub(crate) file_mode: u32,
    pub(crate) at_limit: AtLimit,
    /// Snapshots at most.
    pub(crate) most: u32,
    /// A line on standard error says what is about to be done.
    pub(crate) announce: bool,
}

/// Tells JavaScript of a snapshot, if it comes to run again.
pub(crate) type Announce = Arc<dyn Fn(Result<Report, SnapshotError>) + Send + Sync>;

/// Arranges for a snapshot of `environment`, the calling thread's, when V8's heap comes near its limit.
///
/// # Errors
///
/// [`SnapshotError::ForkUnavailable`] where no child can be forked: in process it would take memory that is not there.
pub(crate) fn arm(
    environment: &Arc<Environment>,
    settings: NearLimitSettings,
    announce: Announce,
) -> Result<(), SnapshotError> {
    if let Some(reason) = fork_unavailable(environment) {
        return Err(SnapshotError::ForkUnavailable(reason));
    }
    let near_limit = NearLimit {
        environment: Arc::clone(environment),
        settings,
        announce,
        taken: AtomicU32::new(0),
        raised: AtomicU32::new(0),
        running: Arc::new(AtomicBool::new(false)),
    };
    Isolate::current()
        .and_then(|isolate| ask_near_heap_limit(isolate, Arc::new(near_limit)))
        .map_err(|missing| SnapshotError::ForkUnavailable(missing.to_string()))
}

/// Answers V8 for one environment.
struct NearLimit {
    environment: Arc<Environment>,
    settings: NearLimitSettings,
    announce: Announce,
    taken: AtomicU32,
    raised: AtomicU32,
    running: Arc<AtomicBool>,
}

/// A child is forked within milliseconds; where it cannot be, the process must get on with dying.
const FORK_PATIENCE: Duration = Duration::from_secs(15);

/// How long a process that waits for its file stands still at most.
const FILE_PATIENCE: Duration = Duration::from_secs(600);

/// How often the limit is raised for one snapshot, each time by a tenth of the initial limit.
const RAISES: u32 = 3;

impl NearLimit {
    /// Starts the snapshot and lends this thread to it; `false` when it could not even be started.
    fn take(&self, number: u32) -> bool {
        let path = numbered(&self.settings.first, number);
        if self.settings.announce {
            // As node-oom-heapdump says it.
            let _ = writeln!(io::stderr(), "Generating Heapdump to '{}' now...", path.display());
        }
        let listener = NearLimitListener {
            announce: Arc::clone(&self.announce),
            running: Arc::clone(&self.running),
        };
        let opened = open_destination(
            Destination::Named(path),
            &self.settings.options,
            self.settings.file_mode,
        );
        let output = match opened {
            Ok((output, _)) => output,
            Err(error) => {
                Box::new(listener).done(Err(error));
                return false;
            }
        };
        self.running.store(true, SeqCst);
        let request = Request {
            environment: Arc::clone(&self.environment),
            output: Arc::new(output),
            options: self.settings.options.clone(),
            listener: Box::new(listener),
            cancelled: Arc::new(AtomicBool::new(false)),
            asked_at: Instant::now(),
            urgent: true,
            pending: Some(self.environment.begin_request()),
        };
        if let Err((request, error)) = QUEUE.submit(request) {
            request.end(Err(SnapshotError::ForkUnavailable(format!(
                "no thread can be started: {error}"
            ))));
            return false;
        }
        let environment = &self.environment;
        match self.settings.at_limit {
            AtLimit::Continue => {
                environment.run_interrupting_jobs_until(FORK_PATIENCE, || {
                    !environment.has_pending_requests()
                });
            }
            AtLimit::Wait | AtLimit::Exit => {
                environment
                    .run_interrupting_jobs_until(FILE_PATIENCE, || !self.running.load(SeqCst));
            }
        }
        true
    }
}

impl NearHeapLimit for NearLimit {
    fn on_near_heap_limit(&self, current: usize, initial: usize) -> usize {
        let step = initial / 10;
        if self.running.load(SeqCst) {
            // Nested, or the child is still at work.
            let may_raise = self.raised.fetch_add(1, SeqCst) < RAISES;
            return if may_raise { current + step } else { current };
        }
        let number = self.taken.fetch_add(1, SeqCst) + 1;
        if number > self.settings.most {
            return current;
        }
        self.raised.store(1, SeqCst);
        let started = self.take(number);
        if self.settings.at_limit == AtLimit::Exit {
            process::exit_now(1);
        }
        if started { current + step } else { current }
    }
}

struct NearLimitListener {
    announce: Announce,
    running: Arc<AtomicBool>,
}

impl Listener for NearLimitListener {
    fn done(self: Box<Self>, result: Result<Report, SnapshotError>) {
        (self.announce)(result);
        self.running.store(false, SeqCst);
    }
}

/// `first`, then `name-2.heapsnapshot` beside it.
fn numbered(first: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return first.to_owned();
    }
    let stem = first.file_stem().unwrap_or_default().to_string_lossy();
    first.with_file_name(format!("{stem}-{number}.heapsnapshot"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_are_numbered() {
        assert_eq!(numbered(Path::new("/d/a.heapsnapshot"), 1), Path::new("/d/a.heapsnapshot"));
        assert_eq!(numbered(Path::new("/d/a.heapsnapshot"), 2), Path::new("/d/a-2.heapsnapshot"));
    }
}
