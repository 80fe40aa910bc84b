//! What grows over many snapshots, and whether a fix helped.

use std::cmp::Reverse;
use std::collections::HashMap;

use heapsnapshot::Snapshot;
use heapsnapshot::leaks::{GroupKey, LeakOptions};
use heapsnapshot::paths::SourcePlace;
use heapsnapshot::trend::{Point, Points, Watch};
use serde::Serialize;

use super::{ObjectRef, PathReport};
use crate::times::TimesFrom;

/// What grew over snapshots of one process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrendReport {
    /// The snapshots, the earliest first.
    pub snapshots: Vec<TrendSnapshot>,
    /// What their times are taken from; null where none are known.
    pub times_from: Option<TimesFrom>,
    /// The hours from the first to the last; null where they have no different times.
    pub hours: Option<f64>,
    /// How many units of work were done between two snapshots, if that was said.
    pub per: Option<f64>,
    /// By how many bytes the whole heap grew.
    pub growth: Rates,
    /// The groups that grew: those that did in every step first, then by growth.
    pub groups: Vec<TrendGroup>,
}

/// One of the snapshots.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrendSnapshot {
    /// Its file.
    pub file: String,
    /// Seconds after the first.
    pub time: Option<f64>,
    /// All bytes that it accounts for.
    pub total_size: u64,
}

/// Bytes that something grew by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// From the first to the last snapshot.
    pub total: i64,
    /// From one to the next, on average.
    pub per_step: f64,
    /// An hour; null where the times do not tell.
    pub per_hour: Option<f64>,
    /// A unit of work; null where `--per` was not given.
    pub per_unit: Option<f64>,
}

/// Objects of one class that are held by one class.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrendGroup {
    /// What they are.
    pub class: String,
    /// What all ways to them lead through.
    pub held_by: Option<String>,
    /// Whether they retained more in each snapshot than in the one before.
    pub every_step: bool,
    /// How many there are in each snapshot.
    pub counts: Vec<u64>,
    /// What they retain in each.
    pub retained_sizes: Vec<u64>,
    /// By how much that grew.
    pub growth: Rates,
    /// What a program calls the one object that grew, if it is one.
    pub container: Option<String>,
    /// Where their constructor is.
    pub location: Option<SourcePlace>,
    /// One of them in the last snapshot.
    pub example: ObjectRef,
    /// The shortest way to it.
    pub path: PathReport,
}

/// What is being measured, one snapshot after the other.
#[derive(Debug)]
pub struct TrendRun {
    watch: Watch,
    groups: Vec<(GroupKey, TrendGroup)>,
    first: (Points, u64),
    between: Vec<(Points, u64)>,
    last: (Points, u64),
}

impl TrendRun {
    /// Begins with the first and the last snapshot.
    #[must_use]
    pub fn new(first: &Snapshot, last: &Snapshot) -> Self {
        let (watch, grown, [before, after]) = Watch::new(first, last, &LeakOptions::default());
        let groups = grown.into_iter().map(|found| {
            let name = last.name_in_code(&found.path);
            let class = found.group.class.name.clone();
            let container = found.is_container.then(|| match name {
                Some(name) => format!("the {class} {name}"),
                None => format!("one {class}"),
            });
            let group = TrendGroup {
                class,
                held_by: found.group.owner.as_ref().map(|owner| owner.name.clone()),
                every_step: false,
                counts: Vec::new(),
                retained_sizes: Vec::new(),
                growth: Rates::default(),
                container,
                location: last.source_place(found.example),
                example: ObjectRef::new(last, found.example),
                path: PathReport::new(last, &found.path),
            };
            (found.group, group)
        });
        TrendRun {
            groups: groups.collect(),
            watch,
            first: (before, first.total_size()),
            between: Vec::new(),
            last: (after, last.total_size()),
        }
    }

    /// Measures the next of the snapshots between.
    pub fn measure(&mut self, snapshot: &Snapshot) {
        self.between.push((self.watch.measure(snapshot), snapshot.total_size()));
    }

    /// Sums up. `times` are in seconds, one a snapshot, `per` the units of work in a step.
    #[must_use]
    pub fn finish(
        self,
        files: &[String],
        times: Option<(Vec<f64>, TimesFrom)>,
        per: Option<f64>,
    ) -> TrendReport {
        let series: Vec<(Points, u64)> =
            std::iter::once(self.first).chain(self.between).chain([self.last]).collect();
        let times_from = times.as_ref().map(|&(_, from)| from);
        let times = times.map(|(times, _)| times);
        let start = times.as_ref().and_then(|times| times.first().copied());
        let hours = times.as_ref().and_then(|times| Some((times.last()? - start?) / 3600.0));
        // Files that were copied are as old as one another.
        let hours = hours.filter(|&hours| hours * 3600.0 >= 1.0);
        let rate = Rate { steps: series.len().saturating_sub(1).max(1), hours, per };
        let totals: Vec<u64> = series.iter().map(|&(_, total)| total).collect();
        let mut groups: Vec<TrendGroup> = self
            .groups
            .into_iter()
            .map(|(key, mut group)| {
                let point =
                    |(points, _): &(Points, u64)| points.get(&key).copied().unwrap_or_default();
                let points: Vec<Point> = series.iter().map(point).collect();
                group.counts = points.iter().map(|point| point.count).collect();
                group.retained_sizes = points.iter().map(|point| point.retained).collect();
                group.every_step = group.retained_sizes.windows(2).all(|pair| pair[0] < pair[1]);
                group.growth = rate.of(&group.retained_sizes);
                group
            })
            .collect();
        groups.sort_by(|a, b| {
            let key = |group: &TrendGroup| (Reverse(group.every_step), Reverse(group.growth.total));
            key(a).cmp(&key(b)).then_with(|| (&a.class, &a.held_by).cmp(&(&b.class, &b.held_by)))
        });
        let snapshots =
            files.iter().zip(&totals).enumerate().map(|(index, (file, &total_size))| {
                let time = times.as_ref().and_then(|times| Some(times.get(index)? - start?));
                TrendSnapshot { file: file.clone(), time, total_size }
            });
        TrendReport {
            snapshots: snapshots.collect(),
            times_from,
            hours,
            per,
            growth: rate.of(&totals),
            groups,
        }
    }
}

struct Rate {
    steps: usize,
    hours: Option<f64>,
    per: Option<f64>,
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    fn of(&self, sizes: &[u64]) -> Rates {
        let first = sizes.first().copied().unwrap_or(0);
        let last = sizes.last().copied().unwrap_or(0);
        let total = i64::try_from(i128::from(last) - i128::from(first)).unwrap_or(i64::MAX);
        let per_step = total as f64 / self.steps as f64;
        Rates {
            total,
            per_step,
            per_hour: self.hours.map(|hours| total as f64 / hours),
            per_unit: self.per.map(|per| per_step / per),
        }
    }
}

/// What became of what grew before a fix.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgainstReport {
    /// Whether all of it is fixed, and nothing else grows.
    pub fixed: bool,
    /// What grew before the fix in every step, and what grows so only now.
    pub verdicts: Vec<Verdict>,
}

/// What became of one group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What they are.
    pub class: String,
    /// What all ways to them lead through.
    pub held_by: Option<String>,
    /// How it is now.
    pub verdict: Outcome,
    /// By how many bytes it grew in a step before; null for what is new.
    pub before: Option<f64>,
    /// By how many it does now.
    pub now: f64,
}

/// How growth is beside what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It does not grow in every step any more, or by less than is told.
    Fixed,
    /// By less than four fifths.
    Better,
    /// By about as much.
    Same,
    /// By more than six fifths.
    Worse,
    /// It did not grow before.
    New,
}

/// Compares what grows, by class and holder, with what did before a fix.
#[must_use]
pub fn against(now: &TrendReport, before: &TrendReport) -> AgainstReport {
    let growing = |report: &TrendReport| -> HashMap<(String, Option<String>), f64> {
        let mut found = HashMap::new();
        for group in report.groups.iter().filter(|group| group.every_step) {
            let key = (group.class.clone(), group.held_by.clone());
            *found.entry(key).or_insert(0.0) += group.growth.per_step;
        }
        found
    };
    let mut grows = growing(now);
    let mut verdicts: Vec<Verdict> = growing(before)
        .into_iter()
        .map(|((class, held_by), before)| {
            let rate = grows.remove(&(class.clone(), held_by.clone()));
            let verdict = match rate {
                None => Outcome::Fixed,
                Some(rate) if rate < 0.8 * before => Outcome::Better,
                Some(rate) if rate > 1.2 * before => Outcome::Worse,
                Some(_) => Outcome::Same,
            };
            Verdict { class, held_by, verdict, before: Some(before), now: rate.unwrap_or(0.0) }
        })
        .collect();
    verdicts.extend(grows.into_iter().map(|((class, held_by), now)| Verdict {
        class,
        held_by,
        verdict: Outcome::New,
        before: None,
        now,
    }));
    let largest = |verdict: &Verdict| verdict.before.unwrap_or(0.0).max(verdict.now);
    verdicts.sort_by(|a, b| {
        let key = |verdict: &Verdict| -> (String, Option<String>) {
            (verdict.class.clone(), verdict.held_by.clone())
        };
        largest(b).total_cmp(&largest(a)).then_with(|| key(a).cmp(&key(b)))
    });
    let fixed = verdicts.iter().all(|verdict| verdict.verdict == Outcome::Fixed);
    AgainstReport { fixed, verdicts }
}
