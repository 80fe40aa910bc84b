//! One fork: V8's workers are parked, the JavaScript thread forks, the workers go on. Never a fork without the barrier.

use super::child::{Plan, fork_now};
use super::{NoSnapshot, QUEUE, Request, THREAD_PATIENCE};
use crate::environment::{Environment, NotRun, When};
use crate::error::SnapshotError;
use crate::process::{Child, Regions};
use crate::v8::{Barrier, CollectionLock, HOLD, Isolate, Platform};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How often workers are asked to park, for a second each time, before forking counts as impossible.
const BARRIER_TRIES: u32 = 10;

/// While the JavaScript thread is away, the caller's reasons to stop are looked at so often.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A child, and what its fork cost.
pub(super) struct Forked {
    pub(super) child: Child,
    pub(super) pause: Duration,
    pub(super) barrier_wait: Duration,
}

/// Only one thread of the process is between looking at its mappings and its fork: two half-full barriers would wait for
/// each other, and who looks during another's fork finds nothing marked.
static FORK_PHASE: Mutex<()> = Mutex::new(());

/// What one try to fork came to.
enum Try {
    Forked(Forked),
    /// V8's workers did not park in time.
    WorkersBusy,
    /// The JavaScript thread did not come round while they were parked.
    ThreadAway,
}

/// Forks the child of `plan`.
pub(super) fn fork_once(
    request: &Request,
    platform: Platform,
    plan: &Arc<Plan>,
) -> Result<Forked, NoSnapshot> {
    for _ in 0..BARRIER_TRIES {
        if let Some(error) = request.ended_early() {
            return Err(error.into());
        }
        let mut tried = fork_while_javascript_runs(request, platform, plan)?;
        if matches!(tried, Try::ThreadAway) {
            // It is inside a native call, and may be in the next one by the time that the workers are parked again: so
            // they are parked when it comes round, while it waits.
            tried = fork_when_javascript_comes_round(request, platform, plan)?;
        }
        if let Try::Forked(forked) = tried {
            return Ok(forked);
        }
    }
    Err(NoSnapshot::CannotFork(format!("V8's worker threads were busy {BARRIER_TRIES} times")))
}

/// Parks the workers while JavaScript runs on, then interrupts it for the fork alone.
fn fork_while_javascript_runs(
    request: &Request,
    platform: Platform,
    plan: &Arc<Plan>,
) -> Result<Try, NoSnapshot> {
    let _phase = FORK_PHASE.lock().unwrap_or_else(PoisonError::into_inner);
    // Not before the lock: while another thread forks, nothing is marked.
    let scanned = if request.environment.is_inside_collection() {
        // The heap is at its limit, and its thread would stand still for the scan: it looks by itself.
        None
    } else {
        Some(Regions::scan().map_err(no_regions)?)
    };
    let start = Instant::now();
    let barrier = Arc::new(post_barrier(request, platform)?);
    if !barrier.wait() {
        return Ok(Try::WorkersBusy);
    }
    let barrier_wait = start.elapsed();
    let (job_plan, job_barrier) = (Arc::clone(plan), Arc::clone(&barrier));
    let environment = Arc::clone(&request.environment);
    let job = move || {
        let regions = scanned.map_or_else(Regions::probe, Ok).map_err(no_regions)?;
        fork_at_barrier(&environment, &job_plan, &regions, &job_barrier)
    };
    match request.environment.call(When::Anytime, HOLD, job) {
        Ok(forked) => Ok(match forked? {
            Some((child, pause)) => Try::Forked(Forked { child, pause, barrier_wait }),
            None => Try::ThreadAway,
        }),
        Err(NotRun::TimedOut) => Ok(Try::ThreadAway),
        Err(reason @ NotRun::Closed) => Err(reason.into()),
    }
}

fn no_regions(error: std::io::Error) -> NoSnapshot {
    NoSnapshot::CannotFork(format!("/proc/self/smaps: {error}"))
}

/// The JavaScript thread parks the workers itself, and stands still meanwhile.
fn fork_when_javascript_comes_round(
    request: &Request,
    platform: Platform,
    plan: &Arc<Plan>,
) -> Result<Try, NoSnapshot> {
    let deadline = Instant::now() + THREAD_PATIENCE;
    loop {
        // Of other threads, which wait behind this one for up to a minute.
        QUEUE.end_early();
        if let Some(error) = request.ended_early() {
            return Err(error.into());
        }
        let (environment, job_plan) = (Arc::clone(&request.environment), Arc::clone(plan));
        let job = move || -> Result<Option<(Child, Duration)>, NoSnapshot> {
            let start = Instant::now();
            // Another thread of the process may be at it: it has its barrier for a second at most.
            let Some(_phase) = lock_within(&FORK_PHASE, HOLD) else { return Ok(None) };
            let Some(barrier) = Barrier::post(platform) else {
                return Err(SnapshotError::Closed.into());
            };
            let regions = Regions::probe().map_err(no_regions)?;
            if !barrier.wait() {
                return Ok(None);
            }
            Ok(fork_at_barrier(&environment, &job_plan, &regions, &barrier)?
                .map(|(child, _)| (child, start.elapsed())))
        };
        match request.environment.call(When::Anytime, LOOK_AGAIN, job) {
            Ok(forked) => {
                return Ok(match forked? {
                    Some((child, pause)) => {
                        Try::Forked(Forked { child, pause, barrier_wait: Duration::ZERO })
                    }
                    None => Try::WorkersBusy,
                });
            }
            Err(NotRun::TimedOut) if Instant::now() < deadline => {}
            Err(reason) => return Err(reason.into()),
        }
    }
}

/// Not once the environment has ended or the process is about to: V8's platform may be gone.
fn post_barrier(request: &Request, platform: Platform) -> Result<Barrier, SnapshotError> {
    let posted = request.environment.while_open(|| Barrier::post(platform));
    posted.flatten().ok_or(SnapshotError::Closed)
}

fn lock_within<T>(mutex: &Mutex<T>, limit: Duration) -> Option<MutexGuard<'_, T>> {
    let deadline = Instant::now() + limit;
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// On the JavaScript thread. `None` when the barrier is no longer held.
fn fork_at_barrier(
    environment: &Environment,
    plan: &Plan,
    regions: &Regions,
    barrier: &Barrier,
) -> Result<Option<(Child, Duration)>, NoSnapshot> {
    let start = Instant::now();
    // Before the barrier is made to last: the collection that holds it may need the workers.
    let lock = if environment.is_inside_collection() { None } else { CollectionLock::acquire() };
    let Some(_uninterrupted) = lock_within(environment.interrupts(), HOLD) else { return Ok(None) };
    if !barrier.begin_fork() {
        return Ok(None);
    }
    let isolate =
        Isolate::current().map_err(|missing| NoSnapshot::CannotFork(missing.to_string()))?;
    let forked = fork_now(isolate, plan, regions, lock);
    barrier.release();
    match forked {
        Ok(child) => Ok(Some((child, start.elapsed()))),
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
            Err(SnapshotError::NoMemory(format!("fork: {error}")).into())
        }
        Err(error) => Err(NoSnapshot::CannotFork(format!("fork: {error}"))),
    }
}
