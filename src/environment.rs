//! What is kept for one Node environment: the main thread, or one worker.

use crate::v8::{Interrupter, Isolate, MissingSymbol, OnInterrupt, Platform};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A JavaScript thread gets so long to come round by itself before it is interrupted.
const PATIENCE: Duration = Duration::from_millis(20);

/// A Node environment, and the way to run something on its JavaScript thread.
pub(crate) struct Environment {
    /// Unique in the process.
    pub(crate) id: usize,
    pub(crate) is_main: bool,
    /// Node's number of the thread, for names.
    pub(crate) thread: u32,
    interrupter: Interrupter,
    platform: OnceLock<Result<Platform, MissingSymbol>>,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    wake: Mutex<Option<Box<dyn Fn() + Send>>>,
    pending: AtomicUsize,
    inside_collection: AtomicBool,
}

struct Inbox {
    jobs: VecDeque<Job>,
    next_job: u64,
    closed: bool,
}

struct Job {
    number: u64,
    when: When,
    run: Box<dyn FnOnce() + Send>,
}

/// Where a job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Also in the middle of JavaScript, in V8's interrupt.
    Anytime,
    /// Only between two turns of the event loop.
    BetweenTurns,
}

/// Why a job did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotRun {
    /// The environment has ended.
    Closed,
    /// The thread did not come round in time.
    TimedOut,
}

/// Counts a request of an environment as long as its snapshot depends on the JavaScript thread.
pub(crate) struct Pending(Arc<Environment>);

impl Environment {
    /// For the environment of the calling thread.
    pub(crate) fn new(is_main: bool, thread: u32) -> Environment {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        Environment {
            id: NEXT.fetch_add(1, SeqCst),
            is_main,
            thread,
            interrupter: Interrupter::of_current_isolate(),
            platform: OnceLock::new(),
            inbox: Mutex::new(Inbox { jobs: VecDeque::new(), next_job: 0, closed: false }),
            arrived: Condvar::new(),
            wake: Mutex::new(None),
            pending: AtomicUsize::new(0),
            inside_collection: AtomicBool::new(false),
        }
    }

    /// `wake` makes the event loop call [`Environment::run_jobs`] soon; it may be called from any thread.
    pub(crate) fn set_wake(&self, wake: Box<dyn Fn() + Send>) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    /// Node's platform, looked up on the JavaScript thread when it is first asked for there.
    pub(crate) fn platform(&self) -> Result<Platform, MissingSymbol> {
        *self.platform.get_or_init(|| Isolate::current().and_then(Platform::of))
    }

    /// Runs `job` on the JavaScript thread and waits for its result; for other threads. Not started within `limit`, it
    /// is taken back.
    pub(crate) fn call<T: Send + 'static>(
        self: &Arc<Self>,
        when: When,
        limit: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotRun> {
        let (sender, receiver) = sync_channel(1);
        let run = Box::new(move || {
            // The receiver waits, or has been told that the environment ended.
            let _ = sender.send(job());
        });
        let number = self.post(when, run)?;
        self.wait_for(&receiver, number, when, limit)
    }

    fn post(&self, when: When, run: Box<dyn FnOnce() + Send>) -> Result<u64, NotRun> {
        let mut inbox = self.lock_inbox();
        if inbox.closed {
            return Err(NotRun::Closed);
        }
        let number = inbox.next_job;
        inbox.next_job += 1;
        inbox.jobs.push_back(Job { number, when, run });
        drop(inbox);
        self.arrived.notify_all();
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
        Ok(number)
    }

    fn wait_for<T>(
        self: &Arc<Self>,
        receiver: &Receiver<T>,
        number: u64,
        when: When,
        limit: Duration,
    ) -> Result<T, NotRun> {
        let deadline = Instant::now() + limit;
        let mut result = receiver.recv_timeout(PATIENCE.min(limit));
        if matches!(result, Err(RecvTimeoutError::Timeout)) {
            if when == When::Anytime {
                self.interrupter.request(Arc::clone(self));
            }
            result = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        match result {
            Ok(value) => Ok(value),
            Err(RecvTimeoutError::Disconnected) => Err(NotRun::Closed),
            Err(RecvTimeoutError::Timeout) if self.take_back(number) => Err(NotRun::TimedOut),
            // It has been started: it ends soon.
            Err(RecvTimeoutError::Timeout) => receiver.recv().map_err(|_| NotRun::Closed),
        }
    }

    fn take_back(&self, number: u64) -> bool {
        let mut inbox = self.lock_inbox();
        let before = inbox.jobs.len();
        inbox.jobs.retain(|job| job.number != number);
        inbox.jobs.len() < before
    }

    /// Runs what waits; on the JavaScript thread, between two turns of its event loop.
    pub(crate) fn run_jobs(&self) {
        self.run_jobs_that(|_| true);
    }

    fn run_jobs_that(&self, may_run: impl Fn(&Job) -> bool) {
        loop {
            let mut inbox = self.lock_inbox();
            let Some(index) = inbox.jobs.iter().position(&may_run) else { return };
            let job = inbox.jobs.remove(index);
            drop(inbox);
            if let Some(job) = job {
                (job.run)();
            }
        }
    }

    /// Counts a request until its [`Pending`] is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, SeqCst);
        Pending(Arc::clone(self))
    }

    /// On the JavaScript thread, when there may be no further turn of the event loop: runs jobs until `done`, for
    /// `limit` at most.
    pub(crate) fn run_jobs_until(&self, limit: Duration, done: impl Fn() -> bool) {
        self.serve(limit, |_| true, done);
    }

    /// On the JavaScript thread, in V8's interrupt: runs what may run there until `done`, for `limit` at most.
    pub(crate) fn run_interrupting_jobs_until(&self, limit: Duration, done: impl Fn() -> bool) {
        self.serve(limit, |job| job.when == When::Anytime, done);
    }

    /// The same inside a garbage collection.
    pub(crate) fn run_jobs_in_collection_until(&self, limit: Duration, done: impl Fn() -> bool) {
        self.inside_collection.store(true, SeqCst);
        self.run_interrupting_jobs_until(limit, done);
        self.inside_collection.store(false, SeqCst);
    }

    /// Whether this thread's jobs run inside a garbage collection.
    pub(crate) fn is_inside_collection(&self) -> bool {
        self.inside_collection.load(SeqCst)
    }

    /// Runs `job` on the JavaScript thread as soon as it may be interrupted, or when its event loop turns.
    pub(crate) fn interrupt(
        self: &Arc<Self>,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), NotRun> {
        self.post(When::Anytime, Box::new(job))?;
        self.interrupter.request(Arc::clone(self));
        Ok(())
    }

    /// While it is held, nobody interrupts the JavaScript thread. For a fork on it: V8 holds a lock of the isolate while it is
    /// asked to (`Isolate::RequestInterrupt`), and a child would find that taken for ever.
    pub(crate) fn interrupts(&self) -> &Mutex<impl Sized> {
        self.interrupter.requests()
    }

    fn serve(&self, limit: Duration, may_run: impl Fn(&Job) -> bool, done: impl Fn() -> bool) {
        let deadline = Instant::now() + limit;
        while !done() && Instant::now() < deadline {
            self.run_jobs_that(&may_run);
            let inbox = self.lock_inbox();
            if !inbox.jobs.iter().any(&may_run) && !done() {
                // Not all that makes it done is signalled here, so look again soon.
                drop(self.arrived.wait_timeout(inbox, Duration::from_millis(5)));
            }
        }
    }

    /// Makes the JavaScript thread look whether it is done, where it runs jobs until then.
    pub(crate) fn look_again(&self) {
        // It looks while it holds the lock, and would else miss what is signalled before it waits.
        drop(self.lock_inbox());
        self.arrived.notify_all();
    }

    /// Whether a snapshot depends on this thread.
    pub(crate) fn has_pending_requests(&self) -> bool {
        self.pending.load(SeqCst) > 0
    }

    /// Before the environment's isolate is disposed, on its thread: nothing runs on it from here on.
    pub(crate) fn close(&self) {
        self.interrupter.close();
        let jobs = {
            let mut inbox = self.lock_inbox();
            inbox.closed = true;
            std::mem::take(&mut inbox.jobs)
        };
        // Dropping a job tells its caller.
        drop(jobs);
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Runs `act` while the environment cannot end; `None` when it has.
    pub(crate) fn while_open<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        // `close` waits for this lock.
        let inbox = self.lock_inbox();
        (!inbox.closed).then(act)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock_inbox().closed
    }

    fn lock_inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OnInterrupt for Environment {
    fn on_interrupt(&self) {
        self.run_jobs_that(|job| job.when == When::Anytime);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, SeqCst);
    }
}
