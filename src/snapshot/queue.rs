//! Single flight: one snapshot at a time in a process, the others wait their turn.

use super::Request;
use crate::error::SnapshotError;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Children that may run at once for an environment that is about to end.
const EXPEDITED: usize = 4;

/// The requests of this process.
pub(crate) static QUEUE: Queue =
    Queue { state: Mutex::new(State { drivers: 0, running: 0, waiting: VecDeque::new() }) };

/// See [`QUEUE`].
pub(crate) struct Queue {
    state: Mutex<State>,
}

struct State {
    /// Threads that take requests.
    drivers: usize,
    /// Requests that they have taken and not ended.
    running: usize,
    waiting: VecDeque<Request>,
}

/// What to do when a snapshot is already being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    Queue,
    Reject,
}

impl Queue {
    /// Whether a snapshot runs or waits.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.lock();
        state.running > 0 || !state.waiting.is_empty()
    }

    /// How many snapshots run, and how many wait.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.len())
    }

    /// Takes `request` over; its listener hears the end in any case. Gives it back when no thread can be started and
    /// none runs.
    pub(crate) fn submit(
        &'static self,
        request: Request,
    ) -> Result<(), Box<(Request, std::io::Error)>> {
        let mut state = self.lock();
        let wanted = state.drivers == 0 || (request.urgent && state.drivers < EXPEDITED);
        state.waiting.push_back(request);
        if wanted
            && let Err(error) = self.start_driver(&mut state)
            && state.drivers == 0
            && let Some(request) = state.waiting.pop_back()
        {
            return Err(Box::new((request, error)));
        }
        Ok(())
    }

    /// `environment` is about to end: what it has waiting does not wait for others, a few run at once.
    pub(crate) fn expedite(&'static self, environment: usize) {
        let mut state = self.lock();
        let mut own = 0;
        for request in &mut state.waiting {
            if request.environment.id == environment {
                request.urgent = true;
                own += 1;
            }
        }
        for _ in 0..EXPEDITED.saturating_sub(state.drivers).min(own) {
            if self.start_driver(&mut state).is_err() {
                break;
            }
        }
    }

    /// `environment` has ended: what it still has waiting fails.
    pub(crate) fn forget(&self, environment: usize) {
        let gone = {
            let mut state = self.lock();
            let waiting = std::mem::take(&mut state.waiting);
            let (gone, stay): (VecDeque<_>, VecDeque<_>) =
                waiting.into_iter().partition(|request| request.environment.id == environment);
            state.waiting = stay;
            gone
        };
        for request in gone {
            request.end(Err(SnapshotError::Closed));
        }
    }

    /// Ends waiting requests that were cancelled or whose time is over.
    pub(crate) fn end_early(&self) {
        let mut over = Vec::new();
        {
            let mut state = self.lock();
            let mut index = 0;
            while let Some(request) = state.waiting.get(index) {
                match request.ended_early() {
                    None => index += 1,
                    Some(error) => {
                        over.extend(state.waiting.remove(index).map(|request| (request, error)))
                    }
                }
            }
        }
        for (request, error) in over {
            request.end(Err(error));
        }
    }

    fn start_driver(&'static self, state: &mut State) -> std::io::Result<()> {
        crate::process::spawn_quiet("heapdump", || self.drive())?;
        state.drivers += 1;
        Ok(())
    }

    /// Runs requests until none is left for this thread.
    fn drive(&self) {
        while let Some(request) = self.next() {
            // Whoever is told of the end may look at the queue.
            let run = std::panic::AssertUnwindSafe(|| request.run(|| self.lock().running -= 1));
            // A listener that panics must not take the queue's only thread with it.
            let _ = std::panic::catch_unwind(run);
        }
    }

    fn next(&self) -> Option<Request> {
        let mut state = self.lock();
        let state = &mut *state;
        let urgent = state.waiting.iter().position(|request| request.urgent);
        let index = urgent.or(if state.drivers == 1 { Some(0) } else { None });
        let next = index.and_then(|index| state.waiting.remove(index));
        match next {
            Some(_) => state.running += 1,
            None => state.drivers -= 1,
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
