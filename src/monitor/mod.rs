//! Snapshots without anybody asking: a thread that judges the process's memory, also while JavaScript never yields.
//!
//! V8 tells of each full garbage collection (`v8/gc_watch.rs`); resident memory and the control group are looked at by the
//! clock. What [`rules`] find over its limit becomes an ordinary request of the queue, unless the [`directory`] shows that the
//! last one is too recent. The JavaScript thread is needed for the fork alone.

mod clock;
mod directory;
mod dump;
mod hold;
mod rules;
mod watcher;

pub(crate) use directory::{Keep, snapshot_name, wall_clock};
pub(crate) use rules::{Crossing, Limit, Reason};

use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts;
use crate::filename::{EXTENSION, NamePattern};
use crate::process::{self, Bell};
use crate::snapshot::{AtLimit, NearLimitSettings, Origin, Report, RequestOptions, sidecar_of};
use crate::v8::{GcWatch, HeapFigures, Isolate, OnFullGc, heap_figures};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use watcher::Watcher;

/// What is watched, and what may be done.
pub(crate) struct Settings {
    /// Absolute.
    pub(crate) directory: PathBuf,
    /// What snapshots are called; `None` for [`snapshot_name`].
    pub(crate) name: Option<NamePattern>,
    pub(crate) limits: Vec<(Reason, Limit)>,
    /// In percent, and bytes at least.
    pub(crate) growth: Option<(f64, f64)>,
    pub(crate) every: Option<Duration>,
    /// How often resident memory and the control group are looked at, at least.
    pub(crate) interval: Duration,
    /// The part of a limit.
    pub(crate) hysteresis: f64,
    /// Between two snapshots for a threshold.
    pub(crate) cooldown: Duration,
    pub(crate) keep: Keep,
    /// Bytes of the disk that stay free.
    pub(crate) free: u64,
    pub(crate) options: RequestOptions,
    pub(crate) file_mode: u32,
    pub(crate) origin: Origin,
}

impl Settings {
    fn watches_by_the_clock(&self) -> bool {
        self.limits.iter().any(|&(reason, _)| matches!(reason, Reason::Rss | Reason::Cgroup))
    }
}

/// What JavaScript hears of.
pub(crate) enum Told {
    Threshold(Crossing),
    /// A dump that was due was not begun.
    Skipped(Reason, Why, String),
    /// The end of a dump, and its sidecar if one could be written.
    Ended(Reason, Result<Report, SnapshotError>, Option<PathBuf>),
}

/// Why a dump was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The last one is too recent.
    Cooldown,
    /// The last one is not done.
    Busy,
}

impl Why {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Why::Cooldown => "cooldown",
            Why::Busy => "busy",
        }
    }
}

/// Tells JavaScript, on any thread.
pub(crate) type Announce = Arc<dyn Fn(Told) + Send + Sync>;

/// A monitor of one environment.
pub(crate) struct Monitor {
    environment: Arc<Environment>,
    settings: Settings,
    announce: Announce,
    inbox: Mutex<Inbox>,
    /// Until it is stopped: a monitor that V8 may ask at its limit is never freed, its descriptors are.
    bell: Mutex<Option<Arc<Bell>>>,
    /// A dump of this monitor is not done.
    busy: AtomicBool,
    /// The limit that a dump was for that was begun and failed.
    failed: Mutex<Option<Reason>>,
    gc_watch: Mutex<Option<GcWatch<Monitor>>>,
    process: u32,
}

#[derive(Default)]
struct Inbox {
    stopped: bool,
    /// After a full garbage collection that has not been judged.
    collected: Option<HeapFigures>,
    /// After the last one.
    last: Option<HeapFigures>,
}

/// Of environments that live.
static MONITORS: Mutex<Vec<Weak<Monitor>>> = Mutex::new(Vec::new());

impl Monitor {
    /// Starts watching for `environment`, the calling thread's. Also gives what cannot be watched here, and why.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub(crate) fn start(
        environment: &Arc<Environment>,
        settings: Settings,
        announce: Announce,
    ) -> std::io::Result<(Arc<Monitor>, Vec<String>)> {
        // So that a thread that never returns to its event loop can be dumped: this needs JavaScript's context.
        let _ = environment.platform();
        let mut bell = Bell::new()?;
        if settings.watches_by_the_clock() {
            bell.listen_to_groups();
        }
        let bell = Arc::new(bell);
        let monitor = Arc::new(Monitor {
            environment: Arc::clone(environment),
            settings,
            announce,
            inbox: Mutex::default(),
            bell: Mutex::new(Some(Arc::clone(&bell))),
            busy: AtomicBool::new(false),
            failed: Mutex::default(),
            gc_watch: Mutex::default(),
            process: std::process::id(),
        });
        let missing = monitor.missing();
        let figures = Isolate::current().and_then(heap_figures).ok();
        monitor.lock_inbox().last = figures;
        if monitor.judges_the_heap() {
            let watch = Isolate::current().and_then(|isolate| GcWatch::start(isolate, &monitor));
            *lock(&monitor.gc_watch) = watch.ok();
        }
        let mut watcher = Watcher::new(&monitor.settings, bell, figures.unwrap_or_default());
        let watched = Arc::clone(&monitor);
        facts::monitor_started();
        process::spawn_quiet("heapdump-watch", move || watcher.run(&watched))
            .inspect_err(|_| monitor.stop())?;
        let mut monitors = lock(&MONITORS);
        monitors.retain(|monitor| monitor.strong_count() > 0);
        monitors.push(Arc::downgrade(&monitor));
        Ok((monitor, missing))
    }

    /// No dump is begun from here on; for the environment's own thread.
    pub(crate) fn stop(&self) {
        if !std::mem::replace(&mut self.lock_inbox().stopped, true) {
            facts::monitor_stopped();
        }
        self.ring();
        lock(&self.bell).take();
        if let (Some(watch), Ok(isolate)) = (lock(&self.gc_watch).take(), Isolate::current()) {
            watch.stop(isolate);
        }
    }

    /// Takes a snapshot too when V8's heap comes near its limit.
    ///
    /// # Errors
    ///
    /// What [`crate::snapshot::arm`] says.
    pub(crate) fn arm_at_limit(self: &Arc<Self>, at_limit: AtLimit) -> Result<(), SnapshotError> {
        let Settings { directory, name, options, file_mode, .. } = &self.settings;
        let thread = self.settings.origin.thread;
        let first = match name {
            None => snapshot_name(Reason::Oom, wall_clock()),
            Some(name) => name.expand(Reason::Oom.name(), thread) + EXTENSION,
        };
        let settings = NearLimitSettings {
            first: directory.join(first),
            never_over_another: name.is_some(),
            options: options.clone(),
            file_mode: *file_mode,
            at_limit,
            most: 1,
            announce: false,
            origin: self.settings.origin.clone(),
            record_path: sidecar_of,
            keep_record: true,
        };
        let monitor = Arc::clone(self);
        // On the thread that drove the request; the process waits for it where it was told to.
        let announce = Arc::new(move |result, sidecar| monitor.ended_at_limit(result, sidecar));
        crate::snapshot::arm(&self.environment, settings, announce)
    }

    /// How long a dump at V8's limit is too early: what ended the process a moment ago ends it again.
    pub(crate) fn cooldown_left(&self) -> Duration {
        let Settings { directory, name, origin, .. } = &self.settings;
        let program = origin.program.as_deref();
        let newest = directory::newest_for_a_threshold(directory, name.as_ref(), program);
        newest.map_or(Duration::ZERO, |at| self.settings.cooldown.saturating_sub(age(at)))
    }

    /// The heap after the last full garbage collection, or at the start.
    pub(crate) fn last_heap(&self) -> Option<HeapFigures> {
        self.lock_inbox().last
    }

    fn judges_the_heap(&self) -> bool {
        let of_heap =
            |&(reason, _): &(Reason, _)| matches!(reason, Reason::Used | Reason::External);
        self.settings.growth.is_some() || self.settings.limits.iter().any(of_heap)
    }

    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.judges_the_heap()
            && let Err(symbol) = Isolate::current().and_then(heap_figures)
        {
            missing.push(symbol.to_string());
        }
        let watches = |wanted| self.settings.limits.iter().any(|&(reason, _)| reason == wanted);
        if watches(Reason::Rss) && process::resident().is_none() {
            missing.push("resident memory cannot be read here".to_owned());
        }
        if watches(Reason::Cgroup) && process::group_use().is_none() {
            missing.push("the process is in no memory control group with a limit".to_owned());
        }
        missing
    }

    /// Wakes its thread.
    fn ring(&self) {
        if let Some(bell) = &*lock(&self.bell) {
            bell.ring();
        }
    }

    fn is_stopped(&self) -> bool {
        self.lock_inbox().stopped
    }

    fn lock_inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }
}

/// `environment` has ended.
pub(crate) fn detach(environment: &Environment) {
    let monitors = lock(&MONITORS).clone();
    for monitor in monitors.iter().filter_map(Weak::upgrade) {
        if monitor.environment.id == environment.id {
            monitor.stop();
        }
    }
}

impl OnFullGc for Monitor {
    fn on_full_gc(&self, figures: HeapFigures) {
        // A snapshot begins with one. In a forked child nobody gives back a lock that was held when it was forked.
        if std::process::id() != self.process {
            return;
        }
        let mut inbox = self.lock_inbox();
        inbox.collected = Some(figures);
        inbox.last = Some(figures);
        drop(inbox);
        self.ring();
    }
}

/// A time in the future, of another clock, is as far away as one in the past.
fn age(at: u64) -> Duration {
    Duration::from_millis(wall_clock().abs_diff(at))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
