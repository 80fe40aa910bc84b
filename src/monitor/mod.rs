//! Snapshots without anybody asking: a thread that judges the process's memory, also while JavaScript never yields.
//!
//! V8 tells of each full garbage collection (`v8/gc_watch.rs`); resident memory and the control group are looked at by the
//! clock. What [`rules`] find over its limit becomes an ordinary request of the queue, unless the [`directory`] shows that the
//! last one is too recent. The JavaScript thread is needed for the fork alone.

mod directory;
mod dump;
mod rules;

pub(crate) use directory::{Keep, snapshot_name, wall_clock};
pub(crate) use rules::{Crossing, Limit, Reason};

use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts;
use crate::filename::{EXTENSION, NamePattern};
use crate::process;
use crate::snapshot::{
    AtLimit, NearLimitSettings, Origin, Report, RequestOptions, float, sidecar_of,
};
use crate::v8::{GcWatch, HeapFigures, Isolate, OnFullGc, heap_figures};
use rules::{Growth, Threshold};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

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
    /// How often resident memory and the control group are looked at.
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
    arrived: Condvar,
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
        let monitor = Arc::new(Monitor {
            environment: Arc::clone(environment),
            settings,
            announce,
            inbox: Mutex::default(),
            arrived: Condvar::new(),
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
        let mut watcher = Watcher::new(&monitor.settings, figures.unwrap_or_default());
        let watched = Arc::clone(&monitor);
        process::spawn_quiet("heapdump-watch", move || watcher.run(&watched))?;
        let mut monitors = lock(&MONITORS);
        monitors.retain(|monitor| monitor.strong_count() > 0);
        monitors.push(Arc::downgrade(&monitor));
        facts::monitor_started();
        Ok((monitor, missing))
    }

    /// No dump is begun from here on; for the environment's own thread.
    pub(crate) fn stop(&self) {
        if !std::mem::replace(&mut self.lock_inbox().stopped, true) {
            facts::monitor_stopped();
        }
        self.arrived.notify_all();
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
        let Settings { directory, name, .. } = &self.settings;
        let newest = directory::newest_for_a_threshold(directory, name.as_ref());
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
        self.arrived.notify_all();
    }
}

/// What the monitor's thread keeps.
struct Watcher {
    thresholds: Vec<Threshold>,
    growth: Option<Growth>,
    next_look: Option<Instant>,
    next_scheduled: Option<Instant>,
    /// When the last dump for a threshold was begun, and when the next one may be.
    not_before: Option<Instant>,
}

/// A failed dump is not tried again sooner, whatever the cooldown.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Why the thread woke up.
enum Turn {
    Stopped,
    Collected(HeapFigures),
    Time,
}

impl Watcher {
    fn new(settings: &Settings, figures: HeapFigures) -> Watcher {
        let now = Instant::now();
        let by_the_clock =
            |&(reason, _): &(Reason, _)| matches!(reason, Reason::Rss | Reason::Cgroup);
        Watcher {
            thresholds: settings
                .limits
                .iter()
                .map(|&(reason, limit)| Threshold::new(reason, limit, settings.hysteresis))
                .collect(),
            growth: settings
                .growth
                .map(|(percent, at_least)| Growth::new(percent, at_least, float(figures.used))),
            next_look: settings.limits.iter().any(by_the_clock).then_some(now),
            next_scheduled: settings.every.map(|every| {
                let newest =
                    directory::newest_scheduled(&settings.directory, settings.name.as_ref());
                now + newest.map_or(every, |at| every.saturating_sub(age(at)))
            }),
            not_before: None,
        }
    }

    fn run(&mut self, monitor: &Arc<Monitor>) {
        monitor.prune();
        loop {
            match self.wait(monitor) {
                Turn::Stopped => return,
                Turn::Collected(figures) => self.judge_heap(monitor, figures),
                Turn::Time => self.judge_by_the_clock(monitor),
            }
        }
    }

    fn wait(&self, monitor: &Monitor) -> Turn {
        let deadline = [self.next_look, self.next_scheduled].into_iter().flatten().min();
        let mut inbox = monitor.lock_inbox();
        loop {
            if inbox.stopped {
                return Turn::Stopped;
            }
            if let Some(figures) = inbox.collected.take() {
                return Turn::Collected(figures);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            inbox = match left {
                Some(Duration::ZERO) => return Turn::Time,
                Some(left) => {
                    let waited = monitor.arrived.wait_timeout(inbox, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => monitor.arrived.wait(inbox).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn judge_heap(&mut self, monitor: &Arc<Monitor>, figures: HeapFigures) {
        let whole = float(figures.limit);
        self.judge(monitor, |reason| match reason {
            Reason::Used => Some((float(figures.used), whole)),
            Reason::External => Some((float(figures.external), 0.0)),
            _ => None,
        });
        if let Some(crossing) = self.growth.as_mut().and_then(|it| it.judge(float(figures.used))) {
            self.answer(monitor, crossing);
        }
    }

    fn judge_by_the_clock(&mut self, monitor: &Arc<Monitor>) {
        let now = Instant::now();
        if self.next_look.is_some_and(|at| at <= now) {
            self.next_look = Some(now + monitor.settings.interval);
            self.judge(monitor, |reason| match reason {
                Reason::Rss => Some((float(process::resident()?), 0.0)),
                Reason::Cgroup => {
                    process::group_use().map(|group| (float(group.used), float(group.limit)))
                }
                _ => None,
            });
        }
        if let (Some(at), Some(every)) = (self.next_scheduled, monitor.settings.every)
            && at <= now
        {
            self.next_scheduled = Some(now + every);
            if monitor.busy.load(SeqCst) {
                monitor.skip(
                    Reason::Schedule,
                    Why::Busy,
                    "the last snapshot is not done".to_owned(),
                );
            } else {
                monitor.dump(Reason::Schedule, None);
            }
        }
    }

    /// `figure`: the value of a reason, and what its limit in percent is of.
    fn judge(&mut self, monitor: &Arc<Monitor>, figure: impl Fn(Reason) -> Option<(f64, f64)>) {
        if let Some(failed) = lock(&monitor.failed).take() {
            self.try_again(failed, monitor.settings.cooldown);
        }
        for index in 0..self.thresholds.len() {
            let Some(threshold) = self.thresholds.get_mut(index) else { return };
            let Some((value, whole)) = figure(threshold.reason) else { continue };
            let Some(crossing) = threshold.judge(value, whole) else { continue };
            if self.answer(monitor, crossing)
                && let Some(threshold) = self.thresholds.get_mut(index)
            {
                threshold.answered();
            }
        }
    }

    fn try_again(&mut self, failed: Reason, cooldown: Duration) {
        for threshold in self.thresholds.iter_mut().filter(|it| it.reason == failed) {
            threshold.unanswered();
        }
        self.not_before = Some(Instant::now() + AFTER_FAILURE.max(cooldown));
    }

    /// Whether a snapshot was begun.
    fn answer(&mut self, monitor: &Arc<Monitor>, crossing: Crossing) -> bool {
        if crossing.is_new {
            crate::snapshot::remember_threshold(json!({
                "time": format!("{:?}", chrono::Utc::now()),
                "reason": crossing.reason.name(),
                "value": crossing.value,
                "limit": crossing.limit,
            }));
            (monitor.announce)(Told::Threshold(crossing));
        }
        let Settings { directory, name, cooldown, .. } = &monitor.settings;
        let skip = |why, message: String| {
            if crossing.is_new {
                monitor.skip(crossing.reason, why, message);
            }
            false
        };
        if monitor.busy.load(SeqCst) {
            return skip(Why::Busy, "the last snapshot is not done".to_owned());
        }
        let own = self.not_before.map(|at| at.saturating_duration_since(Instant::now()));
        if let Some(left) = own.filter(|left| !left.is_zero()) {
            return skip(Why::Cooldown, message_of(left));
        }
        // What an earlier process left behind, or another one of the same directory.
        let newest = directory::newest_for_a_threshold(directory, name.as_ref());
        let left = newest.map_or(Duration::ZERO, |at| cooldown.saturating_sub(age(at)));
        if !left.is_zero() {
            // Not looked at again before: a directory may be large.
            self.not_before = Some(Instant::now() + left);
            return skip(Why::Cooldown, message_of(left));
        }
        let begun = monitor.dump(crossing.reason, Some(crossing));
        let wait = if begun { *cooldown } else { AFTER_FAILURE.max(*cooldown) };
        self.not_before = Some(Instant::now() + wait);
        begun
    }
}

fn message_of(left: Duration) -> String {
    format!("the cooldown ends in {:.0} s", left.as_secs_f64().ceil())
}

/// A time in the future, of another clock, is as far away as one in the past.
fn age(at: u64) -> Duration {
    Duration::from_millis(wall_clock().abs_diff(at))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
