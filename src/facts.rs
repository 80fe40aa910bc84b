//! What this process says of itself to whoever may look at it: a page that `lib/cli/facts.js` reads, whose types say what is on it.
//! Nothing else is: no option but those named there, no environment, no argument.
//!
//! The page is a header and two slots that are written in turn. The header: `HEAPDUMP`, the format (`u32`), and at 16 how often a
//! slot was written (`u64`); slot 0 is the last one when that is even. A slot: the length of its JSON (`u32`), and the JSON. So a
//! reader finds one whole slot whenever it looks, also when this process was stopped while it wrote the other.
//!
//! Invariant: a forked child does not come here. It would write what its parent shows, and may have a copy of a lock that is held.

use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::monitor::wall_clock;
use crate::options::{DirectorySource, EnvironmentOptions};
use crate::process::{self, PublicPage};
use crate::snapshot::{Compression, Mode, Output, Report};
use crate::v8::{Isolate, heap_figures};
use serde::Serialize;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::fence;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `environment`, the calling thread's, has loaded the package. The first one's `options` hold for the process.
pub(crate) fn loaded(environment: &Environment, options: &EnvironmentOptions) {
    let mut state = lock();
    if state.is_none() {
        *state = State::new(options);
    }
    drop(state);
    update(|facts| {
        facts.environments.push(Thread {
            id: environment.id,
            is_main: environment.is_main,
            dumped: false,
        });
    });
}

/// `environment` has ended.
pub(crate) fn unloaded(environment: &Environment) {
    update(|facts| facts.environments.retain(|thread| thread.id != environment.id));
}

/// The signal's watcher runs, by these options.
pub(crate) fn watched(options: &EnvironmentOptions) {
    update(|facts| {
        facts.watched = options.signal.name();
        facts.set(options);
    });
}

/// `environment` is dumped for the signal. `directory`: where to, if that is known better than by the options.
pub(crate) fn dumped(environment: &Environment, directory: Option<&str>) {
    update(|facts| {
        for thread in &mut facts.environments {
            thread.dumped |= thread.id == environment.id;
        }
        if let Some(directory) = directory {
            facts.directory = directory.to_owned();
        }
    });
}

/// The signal is answered by another (`true`), or by this package again.
pub(crate) fn handed_over(to_another: bool) {
    update(|facts| facts.handed_over = to_another);
}

/// A snapshot will be taken at V8's limit.
pub(crate) fn armed_near_limit() {
    update(|facts| facts.near_heap_limit = true);
}

/// A monitor watches memory.
pub(crate) fn monitor_started() {
    update(|facts| facts.monitors += 1);
}

/// It does no longer.
pub(crate) fn monitor_stopped() {
    update(|facts| facts.monitors = facts.monitors.saturating_sub(1));
}

/// A signal has been received; it counts as answered when this is dropped.
#[must_use]
pub(crate) struct Answer;

impl Drop for Answer {
    fn drop(&mut self) {
        update(|facts| facts.signals += 1);
    }
}

/// Who asked for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    Call,
    Signal,
    Oom,
    Monitor,
}

/// A snapshot on the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(u64);

impl Entry {
    /// Accepted, and waiting for others.
    pub(crate) fn waiting(cause: Cause, is_main: bool, output: &Output) -> Entry {
        let path = output.path().map(|path| path.to_string_lossy().into_owned());
        Entry::add(cause, is_main, path, output.identity())
    }

    /// Not accepted.
    pub(crate) fn refused(cause: Cause, is_main: bool, error: &SnapshotError) {
        Entry::add(cause, is_main, None, None).failed(error);
    }

    pub(crate) fn running(self) {
        self.change(|snapshot| snapshot.state = Stage::Running);
    }

    pub(crate) fn ended(self, result: &Result<Report, SnapshotError>) {
        match result {
            Err(error) => self.failed(error),
            Ok(report) => self.change(|snapshot| {
                snapshot.state = Stage::Complete;
                snapshot.ended_at = Some(wall_clock());
                snapshot.bytes = Some(report.bytes);
                // Its name may have become another's meanwhile.
                if let Some(path) = &report.path {
                    snapshot.path = Some(path.to_string_lossy().into_owned());
                }
            }),
        }
    }

    fn failed(self, error: &SnapshotError) {
        self.change(|snapshot| {
            snapshot.state = Stage::Failed;
            snapshot.ended_at = Some(wall_clock());
            snapshot.code = error.code();
            if let SnapshotError::Io { source, .. } = error {
                snapshot.errno = source.raw_os_error();
            }
            snapshot.message = Some(error.to_string().chars().take(MOST_CHARACTERS).collect());
        });
    }

    fn add(cause: Cause, main: bool, path: Option<String>, file: Option<(u64, u64)>) -> Entry {
        let mut number = 0;
        update(|facts| {
            facts.last_number += 1;
            number = facts.last_number;
            facts.snapshots.push(Snapshot {
                number,
                cause,
                state: Stage::Waiting,
                main,
                path,
                file: file.map(|(device, inode)| format!("{device}:{inode}")),
                asked_at: wall_clock(),
                ended_at: None,
                bytes: None,
                code: None,
                errno: None,
                message: None,
            });
            facts.forget_old_ones();
        });
        Entry(number)
    }

    fn change(self, change: impl FnOnce(&mut Snapshot)) {
        update(|facts| {
            facts.snapshots.iter_mut().find(|snapshot| snapshot.number == self.0).map(change);
        });
    }
}

/// Takes a snapshot on the calling thread, a JavaScript thread that stands still for it.
pub(crate) fn while_taken(
    output: &Output,
    take: impl FnOnce() -> Result<Report, SnapshotError>,
) -> Result<Report, SnapshotError> {
    let entry = Entry::waiting(Cause::Call, process::is_main_thread(), output);
    entry.running();
    let result = take();
    entry.ended(&result);
    result
}

/// As `lib/cli/facts.js` has them.
const NAME: &std::ffi::CStr = c"heapdump-rs";
const MAGIC: &[u8; 8] = b"HEAPDUMP";
/// Raised when a reader of the old one would misread the new one; members may be added without.
const FORMAT: u32 = 1;
const COUNT_AT: usize = 16;
const HEADER_SIZE: usize = 64;
const SLOT_SIZE: usize = 16 * 1024;

/// Snapshots that are remembered.
const MOST_SNAPSHOTS: usize = 24;
/// Of an error's message.
const MOST_CHARACTERS: usize = 400;

/// `None` until the package is loaded, and where there can be no page.
static STATE: Mutex<Option<State>> = Mutex::new(None);

struct State {
    page: PublicPage,
    facts: Facts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    version: &'static str,
    /// In the process's own namespace.
    pid: u32,
    loaded_at: u64,
    /// Relative to the directory that the process is in, unless it is absolute.
    directory: String,
    /// Who said so; absent for the directory that the process is in.
    directory_from: Option<&'static str>,
    mode: &'static str,
    compression: Option<&'static str>,
    near_heap_limit: bool,
    monitors: u32,
    heap_limit: Option<u64>,
    signals: u64,
    #[serde(skip)]
    snapshots: Vec<Snapshot>,
    #[serde(skip)]
    environments: Vec<Thread>,
    #[serde(skip)]
    watched: Option<&'static str>,
    #[serde(skip)]
    handed_over: bool,
    /// One signal dumps all threads.
    #[serde(skip)]
    workers: bool,
    #[serde(skip)]
    last_number: u64,
}

struct Thread {
    id: usize,
    is_main: bool,
    dumped: bool,
}

/// What follows from the facts.
#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    signal: Option<&'static str>,
    threads: Threads,
    snapshots: &'a [Snapshot],
}

#[derive(Serialize)]
struct Threads {
    loaded: usize,
    dumped: usize,
    main: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    number: u64,
    cause: Cause,
    state: Stage,
    main: bool,
    path: Option<String>,
    file: Option<String>,
    asked_at: u64,
    ended_at: Option<u64>,
    bytes: Option<u64>,
    code: Option<&'static str>,
    errno: Option<i32>,
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Waiting,
    Running,
    Complete,
    Failed,
}

impl State {
    fn new(options: &EnvironmentOptions) -> Option<State> {
        let mut page = PublicPage::new(NAME, HEADER_SIZE + 2 * SLOT_SIZE).ok()?;
        page.write(0, MAGIC);
        page.write(MAGIC.len(), &FORMAT.to_ne_bytes());
        let heap = Isolate::current().and_then(heap_figures).ok();
        let mut facts = Facts {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            loaded_at: wall_clock(),
            directory: String::new(),
            directory_from: None,
            mode: "",
            compression: None,
            near_heap_limit: false,
            monitors: 0,
            heap_limit: heap.map(|heap| heap.limit),
            signals: 0,
            snapshots: Vec::new(),
            environments: Vec::new(),
            watched: None,
            handed_over: false,
            workers: false,
            last_number: 0,
        };
        facts.set(options);
        Some(State { page, facts })
    }

    /// Shows the facts, without the oldest snapshots where all of them are too long.
    fn publish(&mut self) {
        let mut left_out = 0;
        let text = loop {
            match serde_json::to_vec(&self.facts.page(left_out)) {
                Ok(text) if text.len() <= SLOT_SIZE - 4 => break text,
                _ if left_out < self.facts.snapshots.len() => left_out += 1,
                _ => return,
            }
        };
        let Ok(length) = u32::try_from(text.len()) else { return };
        let Some(count) = self.page.number(COUNT_AT).map(|count| count.load(Relaxed) + 1) else {
            return;
        };
        // Who has seen the last count reads the other slot; it is not written before that count is seen.
        fence(Release);
        let slot = HEADER_SIZE + if count % 2 == 0 { 0 } else { SLOT_SIZE };
        self.page.write(slot, &length.to_ne_bytes());
        self.page.write(slot + 4, &text);
        if let Some(place) = self.page.number(COUNT_AT) {
            place.store(count, Release);
        }
    }
}

impl Facts {
    /// What the options say of the signal's dumps.
    fn set(&mut self, options: &EnvironmentOptions) {
        self.directory = options.directory.clone().unwrap_or_else(|| ".".to_owned());
        self.directory_from = options.directory_from.map(DirectorySource::name);
        self.mode = if options.in_process { Mode::Inline } else { Mode::Fork }.name();
        self.compression = options.compression.map(Compression::name);
        self.workers = options.workers;
    }

    fn page(&self, left_out: usize) -> Page<'_> {
        let loaded = self.environments.len();
        let targets = self.environments.iter().filter(|thread| thread.dumped).count();
        let dumped = if self.workers { targets } else { targets.min(1) };
        let main = self.environments.iter().any(|thread| thread.is_main);
        let snapshots = self.snapshots.get(left_out..).unwrap_or_default();
        let answers = !self.handed_over && dumped > 0;
        Page {
            facts: self,
            signal: self.watched.filter(|_| answers),
            threads: Threads { loaded, dumped, main },
            snapshots,
        }
    }

    /// Those that have ended go first, and what somebody else waits for last.
    fn forget_old_ones(&mut self) {
        while self.snapshots.len() > MOST_SNAPSHOTS {
            let oldest = |goes: fn(&Snapshot) -> bool| self.snapshots.iter().position(goes);
            let goes = oldest(|snapshot| snapshot.ended_at.is_some())
                .or_else(|| oldest(|snapshot| snapshot.cause == Cause::Call))
                .unwrap_or(0);
            self.snapshots.remove(goes);
        }
    }
}

/// Changes what is shown, where something is.
fn update(change: impl FnOnce(&mut Facts)) {
    let mut state = lock();
    if let Some(state) = &mut *state {
        change(&mut state.facts);
        state.publish();
    }
}

fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
