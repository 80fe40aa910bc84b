//! When a full garbage collection has ended.

use super::symbols::{self, GcCallback};
use super::{HeapFigures, Isolate, MissingSymbol, heap_figures};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// What runs when a full garbage collection has ended.
pub(crate) trait OnFullGc: Send + Sync + 'static {
    /// Called on the isolate's thread inside the garbage collection: it must not enter JavaScript.
    fn on_full_gc(&self, figures: HeapFigures);
}

/// `v8::GCType` (v8-callbacks.h), unchanged from Node 18 to 26.
const MARK_SWEEP_COMPACT: c_int = 1 << 2;

/// A target that V8 tells of full garbage collections.
pub(crate) struct GcWatch<T: OnFullGc> {
    target: Arc<T>,
}

impl<T: OnFullGc> GcWatch<T> {
    /// Must be called on the thread that has entered `isolate`.
    ///
    /// # Errors
    ///
    /// [`MissingSymbol`] where V8 lacks the function.
    pub(crate) fn start(isolate: Isolate, target: &Arc<T>) -> Result<GcWatch<T>, MissingSymbol> {
        let add = symbols::gc_callbacks()?.add_gc_epilogue_callback;
        // One reference for V8, given back by `stop` alone: without it V8 holds it until the isolate is gone.
        let data = Arc::into_raw(Arc::clone(target)).cast_mut().cast::<c_void>();
        // SAFETY: the isolate is alive and entered by this thread; `full_gc::<T>` reads `data` as the `T` that it is,
        // which lives for as long as V8 may call it.
        unsafe { add(isolate.as_ptr(), full_gc::<T>, data, MARK_SWEEP_COMPACT) };
        Ok(GcWatch { target: Arc::clone(target) })
    }

    /// Must be called on the thread that has entered the isolate it was started with.
    pub(crate) fn stop(self, isolate: Isolate) {
        let Ok(table) = symbols::gc_callbacks() else { return };
        let data = Arc::as_ptr(&self.target);
        // SAFETY: as in `start`; V8 forgets `data` here, so the reference that `start` gave it is free to go.
        unsafe {
            (table.remove_gc_epilogue_callback)(
                isolate.as_ptr(),
                full_gc::<T>,
                data.cast_mut().cast(),
            );
            Arc::decrement_strong_count(data);
        }
    }
}

const _: GcCallback = full_gc::<NoTarget>;

struct NoTarget;

impl OnFullGc for NoTarget {
    fn on_full_gc(&self, _figures: HeapFigures) {}
}

unsafe extern "C" fn full_gc<T: OnFullGc>(
    _isolate: *mut c_void,
    _type: c_int,
    _flags: c_int,
    data: *mut c_void,
) {
    // SAFETY: `data` is what `GcWatch::start` gave V8 for this `T`.
    let target = unsafe { &*data.cast_const().cast::<T>() };
    // A panic must not unwind into V8's C++ frames.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        if let Ok(figures) = Isolate::current().and_then(heap_figures) {
            target.on_full_gc(figures);
        }
    }));
}
