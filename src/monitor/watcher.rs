//! The monitor's thread: waits, reads, judges.

use super::clock::{Pace, next_look};
use super::rules::{Crossing, Growth, Reason, Threshold};
use super::{Monitor, Settings, Told, Why, age, directory, lock};
use crate::process::{Bell, Gauges, GroupUse, Woken};
use crate::snapshot::float;
use crate::v8::HeapFigures;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// What the monitor's thread keeps.
pub(super) struct Watcher {
    thresholds: Vec<Threshold>,
    growth: Option<Growth>,
    /// The monitor has it too, until it is stopped.
    bell: Arc<Bell>,
    gauges: Gauges,
    resident: Pace,
    group: Pace,
    next_look: Option<Instant>,
    /// When the group's figure is taken without file cache, whatever it is.
    next_interval: Instant,
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
    pub(super) fn new(settings: &Settings, bell: Arc<Bell>, figures: HeapFigures) -> Watcher {
        let now = Instant::now();
        Watcher {
            thresholds: settings
                .limits
                .iter()
                .map(|&(reason, limit)| Threshold::new(reason, limit, settings.hysteresis))
                .collect(),
            growth: settings
                .growth
                .map(|(percent, at_least)| Growth::new(percent, at_least, float(figures.used))),
            bell,
            gauges: Gauges::open(),
            resident: Pace::default(),
            group: Pace::default(),
            next_look: settings.watches_by_the_clock().then_some(now),
            next_interval: now,
            next_scheduled: settings.every.map(|every| {
                let Settings { directory, name, origin, .. } = settings;
                let program = origin.program.as_deref();
                let newest = directory::newest_scheduled(directory, name.as_ref(), program);
                now + newest.map_or(every, |at| every.saturating_sub(age(at)))
            }),
            not_before: None,
        }
    }

    pub(super) fn run(&mut self, monitor: &Arc<Monitor>) {
        monitor.prune();
        loop {
            match self.wait(monitor) {
                Turn::Stopped => return,
                Turn::Collected(figures) => self.judge_heap(monitor, figures),
                Turn::Time => self.judge_by_the_clock(monitor),
            }
        }
    }

    fn wait(&mut self, monitor: &Monitor) -> Turn {
        loop {
            let mut inbox = monitor.lock_inbox();
            if inbox.stopped {
                return Turn::Stopped;
            }
            if let Some(figures) = inbox.collected.take() {
                return Turn::Collected(figures);
            }
            drop(inbox);
            let deadline = [self.next_look, self.next_scheduled].into_iter().flatten().min();
            match self.bell.wait(deadline) {
                Woken::Rung => {}
                Woken::Time => return Turn::Time,
                #[cfg(target_os = "linux")]
                Woken::Filling => {
                    self.next_look = self.next_look.map(|_| Instant::now());
                    return Turn::Time;
                }
            }
        }
    }

    fn judge_heap(&mut self, monitor: &Arc<Monitor>, figures: HeapFigures) {
        if let Some(resident) = self.gauges.resident() {
            self.resident.saw(Instant::now(), float(resident));
        }
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
            self.look(monitor, now);
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
                monitor.dump(Reason::Schedule, None, 0.0);
            }
        }
    }

    /// Judges what is read by the clock.
    fn look(&mut self, monitor: &Arc<Monitor>, now: Instant) {
        let interval = monitor.settings.interval;
        let is_due = self.next_interval <= now;
        if is_due {
            self.next_interval = now + interval;
        }
        let resident = self.gauges.resident().map(|bytes| (float(bytes), 0.0));
        if let Some((bytes, _)) = resident {
            self.resident.saw(now, bytes);
        }
        let mut group = self.gauges.group_use_with_cache().map(of_group);
        if let Some((bytes, _)) = group {
            self.group.saw(now, bytes);
        }
        let is_judged = is_due || self.room(Reason::Cgroup, group).is_some_and(|room| room <= 0.0);
        if is_judged && self.watches(Reason::Cgroup) {
            group = self.gauges.group_use().map(of_group);
        }
        self.judge(monitor, |reason| match reason {
            Reason::Rss => resident,
            // Without its file cache alone.
            Reason::Cgroup => group.filter(|_| is_judged),
            _ => None,
        });
        let soonest = |reason, figure, pace: &Pace| {
            let room = self.room(reason, figure)?;
            Some(next_look(interval, room.max(0.0), pace.speed()))
        };
        let next = [
            soonest(Reason::Rss, resident, &self.resident),
            soonest(Reason::Cgroup, group, &self.group),
        ];
        self.next_look = Some(now + next.into_iter().flatten().min().unwrap_or(interval));
    }

    fn watches(&self, reason: Reason) -> bool {
        self.thresholds.iter().any(|threshold| threshold.reason == reason)
    }

    /// What is left below the nearest limit of a reason that has not been crossed.
    fn room(&self, reason: Reason, figure: Option<(f64, f64)>) -> Option<f64> {
        let (value, whole) = figure?;
        let of_reason = self.thresholds.iter().filter(|threshold| threshold.reason == reason);
        of_reason.filter_map(|threshold| threshold.room(value, whole)).min_by(f64::total_cmp)
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
        let Settings { directory, name, cooldown, origin, .. } = &monitor.settings;
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
        // What an earlier process of this program left behind, or another one of the same directory.
        let program = origin.program.as_deref();
        let newest = directory::newest_for_a_threshold(directory, name.as_ref(), program);
        let left = newest.map_or(Duration::ZERO, |at| cooldown.saturating_sub(age(at)));
        if !left.is_zero() {
            // Not looked at again before: a directory may be large.
            self.not_before = Some(Instant::now() + left);
            return skip(Why::Cooldown, message_of(left));
        }
        // Not the group's: its file cache grows too, and what other processes fill goes on while this one stands still.
        let begun = monitor.dump(crossing.reason, Some(crossing), self.resident.speed());
        let wait = if begun { *cooldown } else { AFTER_FAILURE.max(*cooldown) };
        self.not_before = Some(Instant::now() + wait);
        begun
    }
}

fn of_group(group: GroupUse) -> (f64, f64) {
    (float(group.used), float(group.limit))
}

fn message_of(left: Duration) -> String {
    format!("the cooldown ends in {:.0} s", left.as_secs_f64().ceil())
}
