//! Looking after a child until its end, and what that end means.

use super::budget::{is_near_end, least_beside, must_end_child};
use super::child::Plan;
use super::inline::error_of;
use super::{Kind, Output, ProgressReport, QUEUE, Request};
use crate::error::SnapshotError;
use crate::process::{
    ChildEnd, Ending, Failure, MemorySources, NextLook, SharedPage, Stage, Vitals,
};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

/// Looks after a child on behalf of its request.
pub(super) struct Supervisor<'a> {
    request: &'a Request,
    memory: &'a MemorySources,
    kind: Kind,
    /// Below that the child is ended.
    least_left: u64,
    pub(super) stopped_for: Option<SnapshotError>,
}

impl<'a> Supervisor<'a> {
    /// `kind`: what the child writes.
    pub(super) fn new(
        request: &'a Request,
        memory: &'a MemorySources,
        kind: Kind,
    ) -> Supervisor<'a> {
        let headroom = memory.headroom();
        let oom_group = headroom.is_some_and(|headroom| headroom.oom_group);
        let least_left = least_beside(kind, oom_group, request.output.is_in_memory());
        Supervisor { request, memory, kind, least_left, stopped_for: None }
    }

    pub(super) fn look(&mut self, vitals: &Vitals<'_>) -> ControlFlow<(), NextLook> {
        QUEUE.end_early();
        if self.request.listener.wants_progress() {
            self.request.listener.progress(progress_report(vitals.progress));
        }
        let headroom = self.memory.headroom();
        self.stopped_for = self.request.ended_early().or_else(|| {
            let headroom =
                headroom.filter(|left| must_end_child(left, self.kind, self.least_left))?;
            Some(no_memory(
                self.kind,
                format!(
                    "only {} MB were left below {} while the child was at work, so it was ended",
                    headroom.available >> 20,
                    headroom.bound.describe()
                ),
            ))
        });
        if self.stopped_for.is_some() {
            return ControlFlow::Break(());
        }
        let is_near = headroom.is_some_and(|left| is_near_end(&left, self.kind, self.least_left));
        ControlFlow::Continue(if is_near { NextLook::Near } else { NextLook::Usual })
    }
}

fn progress_report(progress: &SharedPage) -> ProgressReport {
    let stage = match progress.stage() {
        Stage::Started => "collecting",
        Stage::Recording => "recording",
        Stage::Writing => "writing",
        Stage::Complete => "complete",
    };
    ProgressReport {
        stage,
        done: progress.done.load(Relaxed),
        total: progress.total.load(Relaxed),
        bytes: progress.bytes.load(Relaxed),
    }
}

/// What an image needs can hardly be had by another.
fn no_memory(kind: Kind, why: String) -> SnapshotError {
    match kind {
        Kind::Snapshot => SnapshotError::NoMemory(why),
        Kind::Image => SnapshotError::NoMemoryForImage(why),
    }
}

/// What a child's end means.
pub(super) fn judge(
    plan: &Plan,
    end: &ChildEnd,
    stopped_for: Option<SnapshotError>,
    attempts: u32,
    killed_for_memory: impl FnOnce() -> bool,
) -> Result<(), SnapshotError> {
    // Complete is complete, however the process ended after that.
    if plan.progress.stage() == Stage::Complete || plan.output.is_published() {
        return Ok(());
    }
    if let Some((failure, errno)) = plan.progress.failure() {
        return Err(match failure {
            Failure::NoMemory => no_memory(
                plan.kind(),
                format!(
                    "the child needed more than the {} MB that it was given so that the application survives",
                    plan.budget >> 20
                ),
            ),
            _ => error_of(failure, errno, plan.output.path()),
        });
    }
    Err(match end.ending {
        Ending::Ended => stopped_for.unwrap_or(SnapshotError::Aborted),
        Ending::Hung => SnapshotError::ChildHung { attempts },
        Ending::Blocked => SnapshotError::OutputStalled,
        Ending::Signalled(libc::SIGKILL) if killed_for_memory() => {
            no_memory(plan.kind(), "the kernel's memory killer ended the child".to_owned())
        }
        Ending::Signalled(
            signal @ (libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGHUP),
        ) => SnapshotError::ChildKilled { signal },
        Ending::Signalled(signal) => SnapshotError::ChildCrashed { signal, attempts },
        Ending::Exited(status) => {
            SnapshotError::Internal(format!("the child ended with status {status}"))
        }
        Ending::Lost => SnapshotError::Internal(
            "the child was reaped by somebody else before it was done".to_owned(),
        ),
    })
}

/// Another child may do better, unless a reader has already had a part of this one's output.
pub(super) fn may_try_again(error: &SnapshotError, request: &Request, plan: &Plan) -> bool {
    let chance =
        matches!(error, SnapshotError::ChildHung { .. } | SnapshotError::ChildCrashed { .. });
    chance && is_as_before(request, plan)
}

/// Whether the output can be written from its beginning.
pub(super) fn is_as_before(request: &Request, plan: &Plan) -> bool {
    let unread =
        !matches!(*request.output, Output::Pipe(_)) || plan.progress.bytes.load(Relaxed) == 0;
    unread && request.output.rewind().is_ok() && !request.environment.is_closed()
}
