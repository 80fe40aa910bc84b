//! Node's V8 platform: the worker threads that compile and collect garbage.

use super::symbols::{self, PlatformSymbols, PostTask};
use super::{Isolate, MissingSymbol};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock};

/// `node::NodePlatform`: one a process. It is disposed when the main thread exits, so it is reached through [`GATE`] only.
#[derive(Clone, Copy)]
pub(crate) struct Platform {
    address: NonNull<c_void>,
    table: &'static PlatformSymbols,
}

// SAFETY: tasks may be posted from any thread (v8-platform.h), and nothing is done to the platform while the gate is shut.
unsafe impl Send for Platform {}
// SAFETY: as above.
unsafe impl Sync for Platform {}

impl Platform {
    /// The platform of the environment that this thread runs.
    ///
    /// # Errors
    ///
    /// [`MissingSymbol`] when Node does not export what is needed, or the thread runs no environment.
    pub(crate) fn of(isolate: Isolate) -> Result<Platform, MissingSymbol> {
        let table = symbols::platform()?;
        // SAFETY: the isolate is entered by this thread and a context is entered too (we are called by JavaScript).
        // A Local is one pointer to a handle slot, so it is passed and returned as one; each result is checked before
        // it is passed on.
        let address = unsafe {
            let context = (table.get_current_context)(isolate.as_ptr());
            if context.is_null() {
                return Err(MissingSymbol("a current context"));
            }
            let environment = (table.get_current_environment)(context);
            if environment.is_null() {
                return Err(MissingSymbol("a current node::Environment"));
            }
            (table.get_platform)(environment)
        };
        let address = NonNull::new(address).ok_or(MissingSymbol("node's platform"))?;
        Ok(Platform { address, table })
    }

    #[cfg(target_os = "linux")]
    pub(super) fn parts(self) -> (NonNull<c_void>, &'static PlatformSymbols) {
        (self.address, self.table)
    }

    /// Runs `use_it` while the platform is there for sure; `None` when the process is about to exit.
    pub(super) fn with<T>(self, use_it: impl FnOnce(&OpenPlatform) -> T) -> Option<T> {
        let gate = GATE.read().unwrap_or_else(PoisonError::into_inner);
        (*gate == Gate::Open).then(|| use_it(&OpenPlatform(self)))
    }
}

/// Whether the platform may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Shut,
}

/// Shut by the main thread as its last act in JavaScript: `process.exit` then disposes the platform without a word to
/// addons, and posting to what is left of it aborts the process.
static GATE: RwLock<Gate> = RwLock::new(Gate::Open);

/// Nothing reaches the platform from here on; waits for what is under way.
pub(crate) fn shut_platform_gate() {
    *GATE.write().unwrap_or_else(PoisonError::into_inner) = Gate::Shut;
}

/// The platform may be used again: JavaScript still runs on the main thread.
pub(crate) fn open_platform_gate() {
    *GATE.write().unwrap_or_else(PoisonError::into_inner) = Gate::Open;
}

/// A platform that is not being disposed, because the gate is held open.
pub(super) struct OpenPlatform(Platform);

impl OpenPlatform {
    /// Threads that run V8's tasks. Node's own count includes the thread that schedules delayed tasks.
    pub(super) fn workers(&self) -> usize {
        let Platform { address, table } = self.0;
        // SAFETY: the platform is alive while the gate is held open; the call reads a vector's length.
        let threads = unsafe { (table.number_of_worker_threads)(address.as_ptr()) };
        usize::try_from(threads).unwrap_or(0).saturating_sub(1)
    }

    /// Hands `task`, a C++ `v8::Task`, to a worker thread, which runs and deletes it.
    ///
    /// # Safety
    ///
    /// `task` must point to an object that starts with a pointer to a `TaskTable` and owns itself.
    pub(super) unsafe fn post(&self, task: NonNull<c_void>) {
        let Platform { address, table } = self.0;
        // std::unique_ptr<Task>: NodePlatform moves the pointer out of this slot.
        let mut slot = task.as_ptr();
        match table.post_task {
            PostTask::WithPriority(post) => {
                // v8::TaskPriority::kUserBlocking: ahead of compilation and sweeping.
                const USER_BLOCKING: u8 = 2;
                // v8::SourceLocation, all zero: unspecified.
                static NOWHERE: [u64; 8] = [0; 8];
                // SAFETY: the callee reads the location during the call only and takes the task out of the slot.
                unsafe {
                    post(address.as_ptr(), USER_BLOCKING, &raw mut slot, NOWHERE.as_ptr().cast())
                };
            }
            // SAFETY: the callee takes the task out of the slot.
            PostTask::Plain(post) => unsafe { post(address.as_ptr(), &raw mut slot) },
        }
    }
}
