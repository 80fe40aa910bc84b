//! A snapshot because V8's heap is near its limit: the last moment at which there is one to take.
//!
//! V8 asks on the JavaScript thread, inside a garbage collection, and perhaps once only. The snapshot is an ordinary request of
//! the queue; this thread only lends itself to it until the child is forked (or has ended, as chosen), and then answers V8.
//!
//! V8 may ask while it holds its safepoint (`Heap::CollectAllAvailableGarbage`). A worker thread that has to pass it, at the
//! end of a compilation for instance, then waits for the collection and is never parked, so the barrier is never full. The
//! collection is allowed to end for that, with a raised limit, and the thread lends itself again in V8's next interrupt.

use super::announce::announce_begin;
use super::{
    Destination, Kind, Listener, Origin, Output, QUEUE, Record, Report, Request, RequestOptions,
    check_image, fork_unavailable, open_destination,
};
use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts::{self, Cause, Entry};
use crate::process;
use crate::v8::{
    AtHeapLimit, HeapLimitAnswer, Isolate, NearHeapLimit, YOUNG_GENERATION, ask_near_heap_limit,
    ask_others, heap_figures,
};
use std::cell::Cell;
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
    /// Stands still until the file is complete, then ends with status 1. A worker ends as one does that is out of
    /// memory, and the process goes on.
    Exit,
}

impl AtLimit {
    fn name(self) -> &'static str {
        match self {
            AtLimit::Continue => "continue",
            AtLimit::Wait => "wait",
            AtLimit::Exit => "exit",
        }
    }
}

/// What is to happen at the limit.
pub(crate) struct NearLimitSettings {
    /// The first snapshot's file; the second is `name-2.heapsnapshot`.
    pub(crate) first: PathBuf,
    /// Never in the place of a file that is there: then it is numbered too.
    pub(crate) never_over_another: bool,
    pub(crate) options: RequestOptions,
    pub(crate) file_mode: u32,
    pub(crate) at_limit: AtLimit,
    /// Snapshots at most.
    pub(crate) most: u32,
    /// A line on standard error says what is about to be done.
    pub(crate) announce: bool,
    /// Of the record.
    pub(crate) origin: Origin,
    /// The record's file, for a snapshot's.
    pub(crate) record_path: fn(&Path) -> PathBuf,
    /// The record stays beside a complete snapshot.
    pub(crate) keep_record: bool,
}

/// Tells JavaScript of a snapshot, if it comes to run again, and of its record, if that stands.
pub(crate) type Announce =
    Arc<dyn Fn(Result<Report, SnapshotError>, Option<PathBuf>) + Send + Sync>;

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
    if settings.options.content.kind() == Kind::Image {
        check_image(&settings.options)?;
    }
    #[cfg(target_os = "linux")]
    super::child::look_up(environment);
    if let Some(directory) = settings.first.parent() {
        super::leftovers::clear_in_background(directory);
    }
    let near_limit = NearLimit {
        environment: Arc::clone(environment),
        settings,
        announce,
        taken: AtomicU32::new(0),
        raised: AtomicU32::new(0),
        at_work: Arc::default(),
    };
    Isolate::current()
        .and_then(|isolate| ask_near_heap_limit(isolate, Arc::new(near_limit)))
        .map_err(|missing| SnapshotError::ForkUnavailable(missing.to_string()))?;
    facts::armed_near_limit();
    Ok(())
}

/// Answers V8 for one environment.
struct NearLimit {
    environment: Arc<Environment>,
    settings: NearLimitSettings,
    announce: Announce,
    taken: AtomicU32,
    raised: AtomicU32,
    at_work: Arc<AtWork>,
}

/// How far the snapshot is that was asked for last.
#[derive(Default)]
struct AtWork {
    /// From its beginning until it has been told how it ended.
    running: AtomicBool,
    /// Its child does the rest.
    forked: AtomicBool,
}

impl AtWork {
    fn is_running(&self) -> bool {
        self.running.load(SeqCst)
    }

    /// No child has been forked for it yet.
    fn needs_this_thread(&self) -> bool {
        self.is_running() && !self.forked.load(SeqCst)
    }

    /// Whether the process may go on, or end.
    fn lets_go(&self, at_limit: AtLimit) -> bool {
        !self.is_running() || (at_limit == AtLimit::Continue && !self.needs_this_thread())
    }
}

/// V8's workers are parked within milliseconds, and the fork then holds this thread as long as it takes; longer, and one of
/// them waits for the safepoint, or the machine is busy.
const PARKING_PATIENCE: Duration = Duration::from_millis(50);

/// The same when V8 has asked again before the fork: it will not ask much more often.
const LAST_PARKING_PATIENCE: Duration = Duration::from_millis(700);

/// How long a process that waits for its file stands still at most.
const FILE_PATIENCE: Duration = Duration::from_secs(600);

/// How often the limit is raised for one snapshot.
const RAISES: u32 = 3;

/// Beyond what the heap has, when the process is to end.
const LAST_STEP: usize = 1 << 20;

impl NearLimit {
    /// Takes the next snapshot; whether V8 is to ask again.
    fn take_next(&self, heap: &AtHeapLimit) -> bool {
        let number = self.taken.fetch_add(1, SeqCst) + 1;
        self.raised.store(1, SeqCst);
        let gave_up = self.start(heap, number) && self.lend(heap, PARKING_PATIENCE);
        self.is_asked_again(heap, gave_up)
    }

    /// Whether V8 is to ask again after the thread has lent itself.
    fn is_asked_again(&self, heap: &AtHeapLimit, gave_up: bool) -> bool {
        match self.settings.at_limit {
            AtLimit::Continue | AtLimit::Wait => true,
            AtLimit::Exit if gave_up => true,
            AtLimit::Exit if self.environment.is_main => {
                exit_after_others(heap.current, heap.initial)
            }
            AtLimit::Exit => false,
        }
    }

    /// Starts the snapshot; whether it depends on this thread now.
    fn start(&self, heap: &AtHeapLimit, number: u32) -> bool {
        let reserved = self.settings.never_over_another.then(|| self.reserve());
        let path = match &reserved {
            Some(Ok((_, path))) => path.clone(),
            _ => numbered(&self.settings.first, number),
        };
        let snapshot = named_for(&path, &self.settings.options);
        if self.settings.announce {
            // As node-oom-heapdump says it.
            process::say(&format!("Generating Heapdump to '{}' now...", snapshot.display()));
        }
        if !self.settings.announce {
            let figures = heap_figures(heap.isolate).ok();
            announce_begin("oom", &snapshot, &self.settings.options, figures);
        }
        let record = Arc::new(Record::at_limit(
            heap,
            &snapshot,
            (self.settings.record_path)(&snapshot),
            self.settings.origin.clone(),
            self.settings.at_limit.name(),
            self.settings.keep_record,
        ));
        let listener = NearLimitListener {
            environment: Arc::clone(&self.environment),
            announce: Arc::clone(&self.announce),
            record: Arc::clone(&record),
            at_work: Arc::clone(&self.at_work),
        };
        let opened = reserved.unwrap_or_else(|| {
            let destination = Destination::Named(path.clone());
            open_destination(destination, &self.settings.options, self.settings.file_mode)
                .map(|(output, _)| (output, path))
        });
        let output = match opened {
            Ok((output, _)) => output,
            Err(error) => {
                Entry::refused(Cause::Oom, self.environment.is_main, &error);
                Box::new(listener).done(Err(error));
                return false;
            }
        };
        self.at_work.forked.store(false, SeqCst);
        self.at_work.running.store(true, SeqCst);
        let request = Request {
            entry: Entry::waiting(Cause::Oom, self.environment.is_main, &output),
            environment: Arc::clone(&self.environment),
            output: Arc::new(output),
            options: self.settings.options.clone(),
            listener: Box::new(listener),
            record: Some(record),
            cancelled: Arc::new(AtomicBool::new(false)),
            asked_at: Instant::now(),
            urgent: true,
            pending: Some(self.environment.begin_request()),
        };
        if let Err(given_back) = QUEUE.submit(request) {
            let (request, error) = *given_back;
            request.end(Err(SnapshotError::ForkUnavailable(format!(
                "no thread can be started: {error}"
            ))));
            return false;
        }
        true
    }

    /// The first file that is free, and its name without the extensions of compression and encryption.
    fn reserve(&self) -> Result<(Output, PathBuf), SnapshotError> {
        let NearLimitSettings { first, options, file_mode, record_path, .. } = &self.settings;
        let stem = first.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let directory = first.parent().unwrap_or(Path::new(".")).to_owned();
        let beside = Destination::Beside(directory, stem, *record_path);
        let (output, _) = open_destination(beside, options, *file_mode)?;
        let mut path = output.path().unwrap_or(first).to_owned();
        if options.is_encrypted() {
            path.set_extension("");
        }
        if options.compression_of(options.content.kind()).is_some() {
            path.set_extension("");
        }
        Ok((output, path))
    }

    /// Lends this thread to the snapshot. Gives up where a worker thread may wait for the collection to end: then it is lent
    /// again after it.
    fn lend(&self, heap: &AtHeapLimit, parking_patience: Duration) -> bool {
        let (environment, at_work) = (Arc::clone(&self.environment), Arc::clone(&self.at_work));
        let at_limit = self.settings.at_limit;
        let given_up_at = Instant::now() + parking_patience;
        // The fork may be over by now, and not yet be told of: what is found here is not asked for again.
        let gave_up = Cell::new(false);
        environment.run_jobs_in_collection_until(FILE_PATIENCE, || {
            gave_up.set(at_work.needs_this_thread() && Instant::now() > given_up_at);
            gave_up.get() || at_work.lets_go(at_limit)
        });
        if at_limit == AtLimit::Continue || !gave_up.get() {
            // The fork interrupts by itself.
            return gave_up.get();
        }
        let standing = Arc::clone(&environment);
        let (current, initial) = (heap.current, heap.initial);
        // What is closed cannot be forked either.
        let _ = environment.interrupt(move || {
            if standing.is_inside_collection() {
                // V8 has asked again before it could be interrupted, and this thread lends itself there.
                return;
            }
            standing.run_interrupting_jobs_until(FILE_PATIENCE, || at_work.lets_go(at_limit));
            if at_limit == AtLimit::Exit && standing.is_main {
                exit_after_others(current, initial);
            }
        });
        true
    }
}

impl NearHeapLimit for NearLimit {
    fn on_near_heap_limit(&self, heap: &AtHeapLimit) -> HeapLimitAnswer {
        let least = heap.least();
        let raised = |step| least.saturating_add(step);
        let tenth = heap.initial / 10;
        let (step, last_step) = if self.environment.is_main {
            (tenth, LAST_STEP)
        } else {
            (tenth.max(YOUNG_GENERATION), YOUNG_GENERATION)
        };
        let go_on = HeapLimitAnswer { limit: raised(step), leave: false };
        // Node's own callback ends a worker that is out of memory. Where there is nobody else V8 ends the process.
        let leave = HeapLimitAnswer { limit: raised(last_step), leave: true };
        if self.at_work.is_running() {
            if self.raised.fetch_add(1, SeqCst) >= RAISES {
                return leave;
            }
            let stands = !self.at_work.lets_go(self.settings.at_limit);
            let gave_up = stands && self.lend(heap, LAST_PARKING_PATIENCE);
            return if self.is_asked_again(heap, gave_up) { go_on } else { leave };
        }
        if self.taken.load(SeqCst) >= self.settings.most {
            return leave;
        }
        if self.take_next(heap) { go_on } else { leave }
    }
}

/// Ends the process; who else waits for V8 to ask leaves what it knows first.
fn exit_after_others(current: usize, initial: usize) -> ! {
    if let Ok(isolate) = Isolate::current() {
        ask_others(isolate, current, initial);
    }
    process::exit_now(1)
}

struct NearLimitListener {
    environment: Arc<Environment>,
    announce: Announce,
    record: Arc<Record>,
    at_work: Arc<AtWork>,
}

impl Listener for NearLimitListener {
    fn forked(&self) {
        self.at_work.forked.store(true, SeqCst);
        self.environment.look_again();
    }

    fn done(self: Box<Self>, result: Result<Report, SnapshotError>) {
        let record = self.record.finish(&result).then(|| self.record.path().to_owned());
        if let Err(error) = &result {
            // JavaScript may never run again to be told.
            let known = record.as_ref().map_or_else(String::new, |record| {
                format!("; what is known is in {}", record.display())
            });
            process::say(&format!("no heap snapshot at the heap limit: {error}{known}"));
        }
        (self.announce)(result, record);
        self.at_work.running.store(false, SeqCst);
        self.environment.look_again();
    }
}

/// The file that `path` becomes: absolute, with the extension of what it holds.
fn named_for(path: &Path, options: &RequestOptions) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    options.named(&path, options.content.kind())
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
