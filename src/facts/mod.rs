//! What this process says of itself to whoever may look at it: a page that `lib/cli/facts.js` reads, whose types say what is on it.
//! Nothing else is: no option but those named there, no environment, no argument.
//!
//! Invariant: a forked child does not come here. It would write what its parent shows, and may have a copy of a lock that is held.

mod page;
mod snapshots;

pub(crate) use snapshots::{Cause, Entry, while_taken};

use crate::environment::Environment;
use crate::monitor::wall_clock;
use crate::options::{DirectorySource, EnvironmentOptions, Hidden};
use crate::snapshot::{Compression, Kind, Mode};
use crate::v8::{Isolate, heap_figures};
use heapcrypt::Recipients;
use page::{MOST_BYTES, Page};
use serde::Serialize;
use snapshots::{Snapshot, Snapshots};
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

/// `None` until the package is loaded, and where there can be no page.
static STATE: Mutex<Option<State>> = Mutex::new(None);

struct State {
    page: Page,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    directory_from: Option<&'static str>,
    mode: &'static str,
    compression: Option<&'static str>,
    /// `snapshot` or `image`, and `image` where memory is short, of the signal's dumps.
    output: &'static str,
    low_memory: &'static str,
    /// `texts` or `paths`, where all that the process writes is redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    redact: Option<&'static str>,
    /// Who alone may read what the process writes; empty where one of them is no recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypt: Option<Vec<String>>,
    near_heap_limit: bool,
    monitors: u32,
    heap_limit: Option<u64>,
    signals: u64,
    #[serde(skip)]
    snapshots: Snapshots,
    #[serde(skip)]
    environments: Vec<Thread>,
    #[serde(skip)]
    watched: Option<&'static str>,
    #[serde(skip)]
    handed_over: bool,
    /// One signal dumps all threads.
    #[serde(skip)]
    workers: bool,
}

struct Thread {
    id: usize,
    is_main: bool,
    dumped: bool,
}

/// What follows from the facts.
#[derive(Serialize)]
struct Shown<'a> {
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

impl State {
    fn new(options: &EnvironmentOptions) -> Option<State> {
        let page = Page::new()?;
        let heap = Isolate::current().and_then(heap_figures).ok();
        let mut facts = Facts {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            loaded_at: wall_clock(),
            directory: String::new(),
            directory_from: None,
            mode: "",
            compression: None,
            output: "",
            low_memory: "",
            redact: None,
            encrypt: None,
            near_heap_limit: false,
            monitors: 0,
            heap_limit: heap.map(|heap| heap.limit),
            signals: 0,
            snapshots: Snapshots::default(),
            environments: Vec::new(),
            watched: None,
            handed_over: false,
            workers: false,
        };
        facts.set(options);
        Some(State { page, facts })
    }

    /// Shows the facts, without the oldest snapshots where all of them are too long.
    fn publish(&mut self) {
        let facts = &self.facts;
        for left_out in 0..=facts.snapshots.len() {
            match serde_json::to_vec(&facts.shown(left_out)) {
                Ok(text) if text.len() <= MOST_BYTES => return self.page.show(&text),
                _ => {}
            }
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
        self.output = if options.image { Kind::Image } else { Kind::Snapshot }.name();
        self.low_memory = if options.image_if_no_memory { "image" } else { "error" };
        self.redact = options.redact.map(Hidden::name);
        let recipients = |encrypt: &Result<Recipients, _>| {
            encrypt.as_ref().map(Recipients::texts).unwrap_or_default()
        };
        self.encrypt = options.encrypt.as_ref().map(recipients);
        self.workers = options.workers;
    }

    fn shown(&self, left_out: usize) -> Shown<'_> {
        let loaded = self.environments.len();
        let targets = self.environments.iter().filter(|thread| thread.dumped).count();
        let dumped = if self.workers { targets } else { targets.min(1) };
        let main = self.environments.iter().any(|thread| thread.is_main);
        let snapshots = self.snapshots.without_oldest(left_out);
        let answers = !self.handed_over && dumped > 0;
        Shown {
            facts: self,
            signal: self.watched.filter(|_| answers),
            threads: Threads { loaded, dumped, main },
            snapshots,
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
