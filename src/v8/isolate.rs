//! Handles to V8 isolates.

use super::MissingSymbol;
use super::symbols;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// The isolate that this thread has entered. It does not leave the thread, so it cannot outlive the isolate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isolate(NonNull<c_void>);

impl Isolate {
    /// # Errors
    ///
    /// [`MissingSymbol`] where V8's profiler cannot be reached, or when no isolate is entered.
    pub(crate) fn current() -> Result<Isolate, MissingSymbol> {
        // SAFETY: TryGetCurrent reads a thread-local and has no preconditions.
        let address = unsafe { (symbols::profiler()?.try_get_current)() };
        NonNull::new(address).map(Isolate).ok_or(MissingSymbol("a current isolate"))
    }

    pub(super) fn as_ptr(self) -> *mut c_void {
        self.0.as_ptr()
    }
}

/// A way for other threads to interrupt an isolate while it lives.
pub(crate) struct Interrupter {
    isolate: Mutex<Target>,
}

/// The isolate's address; `None` once it is about to go. Locked while V8 is asked for an interrupt.
pub(crate) struct Target(Option<usize>);

/// What runs inside V8's interrupt: it must not enter JavaScript.
pub(crate) trait OnInterrupt: Send + Sync + 'static {
    /// Called on the isolate's thread.
    fn on_interrupt(&self);
}

impl Interrupter {
    /// For the isolate that this thread has entered; one that never interrupts where V8 cannot be reached.
    pub(crate) fn of_current_isolate() -> Interrupter {
        Interrupter {
            isolate: Mutex::new(Target(
                Isolate::current().ok().map(|isolate| isolate.as_ptr() as usize),
            )),
        }
    }

    /// Asks V8 to call `target.on_interrupt()` at the isolate's next stack check, even inside an endless loop.
    pub(crate) fn request<T: OnInterrupt>(&self, target: Arc<T>) {
        let isolate = self.isolate.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(address), Some(request)) =
            (isolate.0, symbols::profiler().ok().and_then(|table| table.request_interrupt))
        else {
            return;
        };
        let data = Arc::into_raw(target).cast_mut().cast::<c_void>();
        // SAFETY: RequestInterrupt may be called from any thread while the isolate lives, and it lives: `close` takes
        // the lock that is held here before the isolate is disposed. `interrupted::<T>` takes over the reference that
        // `into_raw` gave up; an isolate that ends before the interrupt leaks it.
        unsafe { request(address as *mut c_void, interrupted::<T>, data) };
    }

    /// While it is held, V8 is asked for no interrupt.
    pub(crate) fn requests(&self) -> &Mutex<Target> {
        &self.isolate
    }

    /// To be called before the isolate is disposed.
    pub(crate) fn close(&self) {
        self.isolate.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }
}

unsafe extern "C" fn interrupted<T: OnInterrupt>(_isolate: *mut c_void, data: *mut c_void) {
    // SAFETY: `data` is what `request` made of an Arc<T>; V8 calls a requested interrupt once.
    let target = unsafe { Arc::from_raw(data.cast_const().cast::<T>()) };
    // A panic must not unwind into V8's C++ frames.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target.on_interrupt()));
}
