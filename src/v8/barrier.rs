//! The worker barrier: every V8 worker thread parked in a task of ours while the process forks.
//!
//! A child has only the thread that forked. If a worker of the parent was inside a V8 job or asleep on the platform's
//! condition variable at that moment, the child waits for it for ever: `DefaultJobState::Join` for the job, glibc's
//! `pthread_cond_signal` for the sleeper. A worker that is parked here is in neither place.

use super::Platform;
use super::abi::TaskTable;
use super::platform::OpenPlatform;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long workers stay parked at most: V8 does without them that long, and an exit of the process waits for them.
pub(crate) const HOLD: Duration = Duration::from_secs(1);

/// Workers on their way to be parked, or parked. Dropping it lets them go.
pub(crate) struct Barrier {
    gate: Arc<Gate>,
    workers: usize,
}

impl Barrier {
    /// Posts one parking task for each worker of `platform`; `None` when the process is about to exit.
    pub(crate) fn post(platform: Platform) -> Option<Barrier> {
        platform.with(Barrier::post_to)
    }

    fn post_to(platform: &OpenPlatform) -> Barrier {
        let workers = platform.workers();
        let gate = Arc::new(Gate {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            deadline: Instant::now() + HOLD,
        });
        for _ in 0..workers {
            let task =
                Box::new(ParkingTask { table: &PARKING_TASK, gate: Some(Arc::clone(&gate)) });
            // SAFETY: a ParkingTask starts with its table and frees itself in its deleting destructor.
            unsafe { platform.post(NonNull::from(Box::leak(task)).cast()) };
        }
        Barrier { gate, workers }
    }

    /// Waits until all workers are parked; `false` when they were not within [`HOLD`].
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.gate.lock();
        while state.parked < self.workers && !state.open {
            let Some(left) = self.gate.time_left() else { return false };
            state = self
                .gate
                .changed
                .wait_timeout(state, left)
                .map_or_else(|e| e.into_inner().0, |(state, _)| state);
        }
        !state.open
    }

    /// Keeps the workers parked until [`Barrier::release`], however long a fork takes on a busy machine; `false` when
    /// they are not all parked any more.
    pub(crate) fn begin_fork(&self) -> bool {
        let mut state = self.gate.lock();
        state.forking = state.parked >= self.workers && !state.open;
        state.forking
    }

    /// Lets the workers go on.
    pub(crate) fn release(&self) {
        self.gate.open();
    }
}

impl Drop for Barrier {
    fn drop(&mut self) {
        self.release();
    }
}

struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    deadline: Instant,
}

#[derive(Default)]
struct State {
    parked: usize,
    open: bool,
    /// Nobody goes before the fork is over.
    forking: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn open(&self) {
        self.lock().open = true;
        self.changed.notify_all();
    }

    /// Runs on a V8 worker: stays until the gate opens, and opens it itself when nobody does in time.
    fn park(&self) {
        let mut state = self.lock();
        if state.open {
            return;
        }
        state.parked += 1;
        self.changed.notify_all();
        while !state.open {
            match self.time_left() {
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    state = waited.map_or_else(|e| e.into_inner().0, |(state, _)| state);
                }
                None if state.forking => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    state.open = true;
                    self.changed.notify_all();
                }
            }
        }
    }
}

/// A `v8::Task`.
#[repr(C)]
struct ParkingTask {
    table: *const TaskTable,
    gate: Option<Arc<Gate>>,
}

static PARKING_TASK: TaskTable = TaskTable::new(destroy, delete, run);

unsafe extern "C" fn destroy(task: *mut c_void) {
    // SAFETY: the platform passes the task that `post` handed to it; the gate is dropped once because it is taken.
    unsafe { (*task.cast::<ParkingTask>()).gate = None };
}

unsafe extern "C" fn delete(task: *mut c_void) {
    // SAFETY: the task came from a Box and the platform deletes it once.
    drop(unsafe { Box::from_raw(task.cast::<ParkingTask>()) });
}

unsafe extern "C" fn run(task: *mut c_void) {
    // SAFETY: the platform runs a task that it owns and has not deleted yet.
    if let Some(gate) = unsafe { &(*task.cast::<ParkingTask>()).gate } {
        gate.park();
    }
}
