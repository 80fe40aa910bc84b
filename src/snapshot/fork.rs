//! Fork mode: a child takes the snapshot while the application goes on.
//!
//! Per attempt: what the child needs ([`super::child`]) → a fork with V8's workers parked ([`super::attempt`]) → its end,
//! watched and judged ([`super::supervise`]).

use super::attempt::{Forked, fork_once};
use super::child::Plan;
use super::supervise::{Supervisor, is_as_before, judge, may_try_again};
use super::{
    Content, Kind, Mode, NoSnapshot, Output, Report, Request, THREAD_PATIENCE, keep_children_plain,
};
use crate::environment::{NotRun, When};
use crate::error::SnapshotError;
use crate::process::{ChildEnd, MemorySources, Stage, watch};
use crate::v8::{Isolate, Platform, track_object_ids};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Children that are tried when one hangs or crashes.
const ATTEMPTS: u32 = 3;

impl From<SnapshotError> for NoSnapshot {
    fn from(error: SnapshotError) -> NoSnapshot {
        NoSnapshot::Failed(error)
    }
}

impl From<NotRun> for NoSnapshot {
    fn from(reason: NotRun) -> NoSnapshot {
        NoSnapshot::Failed(match reason {
            NotRun::Closed => SnapshotError::Closed,
            NotRun::TimedOut => SnapshotError::NotResponding(THREAD_PATIENCE),
        })
    }
}

/// Takes `request`'s snapshot in a forked child, trying again when a child hangs or crashes.
pub(super) fn take_in_child(request: &mut Request) -> Result<Report, NoSnapshot> {
    let platform = request
        .environment
        .platform()
        .map_err(|missing| NoSnapshot::CannotFork(missing.to_string()))?;
    let memory = MemorySources::find(Path::new("/"));
    let taken = take_with(request, platform, &memory);
    if taken.is_err() && request.pending.is_some() && request.record.is_some() {
        leave_record(request, platform, &memory);
    }
    taken
}

/// No child was forked for the snapshot: a small one writes the record, because only a child may ask V8 for the profile. If
/// it cannot, the record goes without.
fn leave_record(request: &Request, platform: Platform, memory: &MemorySources) {
    let Some(plan) = Plan::make_for_record(request, memory).map(Arc::new) else { return };
    if let Ok(forked) = fork_once(request, platform, &plan) {
        let mut supervisor = Supervisor::new(request, memory, plan.kind());
        watch(&forked.child, &plan.progress, |vitals| supervisor.look(vitals));
    }
}

fn take_with(
    request: &mut Request,
    platform: Platform,
    memory: &MemorySources,
) -> Result<Report, NoSnapshot> {
    let mut lacked = None;
    let taken = take_or_image(request, platform, memory, &mut lacked);
    taken.map_err(|error| match (error, lacked) {
        (NoSnapshot::Failed(error), Some(lacked)) => error.instead_of(&lacked).into(),
        (error, _) => error,
    })
}

/// `lacked`: what a snapshot lacked, once an image is written in its place.
fn take_or_image(
    request: &mut Request,
    platform: Platform,
    memory: &MemorySources,
    lacked: &mut Option<String>,
) -> Result<Report, NoSnapshot> {
    let mut cost = Cost::default();
    let mut attempts_allowed = ATTEMPTS;
    for attempt in 1.. {
        let plan = match Plan::make(request, memory) {
            Err(NoSnapshot::Failed(SnapshotError::NoMemory(why))) if request.becomes_image() => {
                *lacked = Some(why);
                Plan::make(request, memory)?
            }
            made => made?,
        };
        let plan = Arc::new(plan);
        if request.options.stable_ids {
            cost.pause += give_stable_ids(request)?;
        }
        let kills_before = memory.oom_kills();
        let forked = fork_once(request, platform, &plan)?;
        cost.add(&forked);
        // From here on the snapshot no longer depends on this process.
        request.pending = None;
        request.listener.forked();
        // While V8 is at work and before anything is written: what is left there may take the room.
        request.output.clear_directory();
        let mut supervisor = Supervisor::new(request, memory, plan.kind());
        let end = watch(&forked.child, &plan.progress, |vitals| supervisor.look(vitals));
        let stopped_for = supervisor.stopped_for;
        if stopped_for.is_some()
            && plan.progress.stage() != Stage::Complete
            && !plan.output.is_published()
        {
            // Where it is in memory, the application may need that now.
            let _ = plan.output.rewind();
        }
        match judge(&plan, &end, stopped_for, attempt, || memory.oom_kills() > kills_before) {
            Ok(()) => {
                if plan.kind() == Kind::Image && plan.progress.published().is_none() {
                    publish_for_child(&request.output)?;
                }
                request.output.keep_published(plan.progress.published());
                return Ok(cost.report(request, &plan, &end, attempt));
            }
            Err(error) => {
                let error = with_hint(error, request);
                if let SnapshotError::NoMemory(why) = &error
                    && is_as_before(request, &plan)
                    && request.becomes_image()
                {
                    attempts_allowed += 1;
                    *lacked = Some(why.clone());
                    cost.retry_reasons.push(error.to_string());
                    continue;
                }
                let names_cut = plan.progress.names_cut.load(Relaxed);
                if matches!(error, SnapshotError::ChildCrashed { .. }) && names_cut {
                    // It may be our fault: children are plain from here on, and this attempt does not count.
                    keep_children_plain();
                    attempts_allowed += 1;
                }
                if attempt >= attempts_allowed || !may_try_again(&error, request, &plan) {
                    return Err(error.into());
                }
                cost.retry_reasons.push(error.to_string());
            }
        }
    }
    Err(SnapshotError::Internal("no attempt was made".to_owned()).into())
}

/// An image is an advice where none was asked for.
pub(super) fn with_hint(error: SnapshotError, request: &Request) -> SnapshotError {
    match request.options.content {
        Content::Snapshot => error.with_image_hint(),
        Content::Image(_) | Content::ImageIfNoMemory(_) => error,
    }
}

/// The child has written everything, and could not give the file its name: a security module may want a copy, which is made
/// in memory that the child did not have.
fn publish_for_child(output: &Output) -> Result<(), SnapshotError> {
    let Some(path) = output.path().filter(|_| !output.is_published()) else { return Ok(()) };
    let path = path.to_owned();
    output
        .publish()
        .map_err(|error| SnapshotError::io(error.step.syscall(), &path, error.source))?;
    output.sync_directory();
    Ok(())
}

/// What all attempts cost together.
#[derive(Default)]
struct Cost {
    pause: Duration,
    barrier_wait: Duration,
    fork_time: Duration,
    retry_reasons: Vec<String>,
}

impl Cost {
    fn add(&mut self, forked: &Forked) {
        self.pause += forked.pause;
        self.barrier_wait += forked.barrier_wait;
        self.fork_time += forked.child.fork_time;
    }

    fn report(&self, request: &Request, plan: &Plan, end: &ChildEnd, attempts: u32) -> Report {
        let progress = &plan.progress;
        Report {
            kind: plan.kind(),
            path: request.output.path().map(Path::to_owned),
            bytes: progress.bytes.load(Relaxed),
            sha256: progress.digest(),
            nodes: progress.nodes.load(Relaxed),
            edges: progress.edges.load(Relaxed),
            mode: Mode::Fork,
            fallback_reason: None,
            attempts,
            retry_reasons: self.retry_reasons.clone(),
            pause: self.pause,
            barrier_wait: self.barrier_wait,
            fork_time: self.fork_time,
            duration: request.asked_at.elapsed(),
            child_peak_memory: end.peak_resident,
            child_private_memory: progress.private_bytes.load(Relaxed),
        }
    }
}

/// Makes the parent's V8 number its objects, so that children agree on their ids. The event loop is stopped for it.
fn give_stable_ids(request: &Request) -> Result<Duration, NoSnapshot> {
    let job = || {
        let start = Instant::now();
        Isolate::current().and_then(track_object_ids).map(|()| start.elapsed())
    };
    let answer = request.environment.call(When::BetweenTurns, THREAD_PATIENCE, job)?;
    answer.map_err(|missing| SnapshotError::Internal(missing.to_string()).into())
}
