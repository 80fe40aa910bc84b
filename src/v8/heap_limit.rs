//! V8's heap limit: who is asked when the heap comes near it.

use super::symbols::{self, NearHeapLimitCallback};
use super::{Isolate, MissingSymbol};
use std::ffi::c_void;
use std::sync::Arc;

/// What runs when the heap is near its limit.
pub(crate) trait NearHeapLimit: Send + Sync + 'static {
    /// Called on the isolate's thread inside a garbage collection: it must not enter JavaScript.
    fn on_near_heap_limit(&self, heap: &AtHeapLimit) -> HeapLimitAnswer;
}

/// How things stand at the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtHeapLimit {
    pub(crate) isolate: Isolate,
    /// In bytes, as raised so far.
    pub(crate) current: usize,
    /// Before it was raised.
    pub(crate) initial: usize,
}

/// What V8 is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeapLimitAnswer {
    /// The limit in bytes from now on. Below what the heap takes already, V8 ends the process.
    pub(crate) limit: usize,
    /// Not to be asked again: the next time it is whoever asked V8 before, Node's own callback of a worker for instance.
    pub(crate) leave: bool,
}

/// Lets V8 ask `target` for as long as the isolate lives. V8 asks the one that was added last; it restores the initial
/// limit by itself once the heap is well below it again.
///
/// Must be called on the thread that has entered `isolate`.
///
/// # Errors
///
/// [`MissingSymbol`] where V8 lacks the function.
pub(crate) fn ask_near_heap_limit<T: NearHeapLimit>(
    isolate: Isolate,
    target: Arc<T>,
) -> Result<(), MissingSymbol> {
    let table = symbols::profiler()?;
    let add = table
        .add_near_heap_limit_callback
        .ok_or(MissingSymbol("v8::Isolate::AddNearHeapLimitCallback"))?;
    // Kept for ever: V8 holds it until the isolate is gone.
    let data = Arc::into_raw(target).cast_mut().cast::<c_void>();
    // SAFETY: the isolate is alive and entered by this thread (documented above); `near_heap_limit::<T>` reads `data` as
    // the `T` that it is, which is never freed.
    unsafe { add(isolate.as_ptr(), near_heap_limit::<T>, data) };
    if let Some(restore) = table.automatically_restore_initial_heap_limit {
        // Of the initial limit, as Node's own --heapsnapshot-near-heap-limit has it (env.cc).
        const THRESHOLD: f64 = 0.95;
        // SAFETY: as above.
        unsafe { restore(isolate.as_ptr(), THRESHOLD) };
    }
    Ok(())
}

/// In a forked child: V8's heap may grow beyond its limit. A heap that is nearly full is the one that most wants a
/// snapshot, and taking it allocates a little on it; what bounds the child is its own memory limit.
pub(crate) fn lift_heap_limit(isolate: Isolate) {
    if let Some(add) = symbols::profiler().ok().and_then(|table| table.add_near_heap_limit_callback)
    {
        // SAFETY: the isolate is alive and entered by this thread; V8 calls the callback added last, so no other one
        // runs in the child.
        unsafe { add(isolate.as_ptr(), lift, std::ptr::null_mut()) };
    }
}

const _: NearHeapLimitCallback = lift;

/// One array may have taken the heap far beyond its limit already, and V8 asks once in a garbage collection: so twice the
/// limit is not enough.
unsafe extern "C" fn lift(_data: *mut c_void, current: usize, _initial: usize) -> usize {
    current.max(usize::MAX >> 24)
}

unsafe extern "C" fn near_heap_limit<T: NearHeapLimit>(
    data: *mut c_void,
    current: usize,
    initial: usize,
) -> usize {
    // SAFETY: `data` is what `ask_near_heap_limit` leaked for this `T`.
    let target = unsafe { &*data.cast::<T>() };
    // A panic must not unwind into V8's C++ frames.
    let asked = std::panic::AssertUnwindSafe(|| {
        let isolate = Isolate::current().ok()?;
        let answer = target.on_near_heap_limit(&AtHeapLimit { isolate, current, initial });
        if answer.leave {
            stop_asking::<T>(isolate);
        }
        Some(answer.limit)
    });
    std::panic::catch_unwind(asked).ok().flatten().unwrap_or(current)
}

/// V8 asks the `T` no more; whoever asked before is asked again. Called while V8 asks it.
fn stop_asking<T: NearHeapLimit>(isolate: Isolate) {
    if let Some(remove) =
        symbols::profiler().ok().and_then(|table| table.remove_near_heap_limit_callback)
    {
        // SAFETY: the isolate is alive and entered by this thread; `near_heap_limit::<T>` is on its list, because
        // V8 asks it, and may go inside its own call, as Node's does (env.cc). 0 leaves the limit alone.
        unsafe { remove(isolate.as_ptr(), near_heap_limit::<T>, 0) };
    }
}
