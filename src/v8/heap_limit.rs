//! V8's heap limit: who is asked when the heap comes near it.

use super::symbols::{self, NearHeapLimitCallback};
#[cfg(target_os = "linux")]
use super::worker_limit::WorkerLimit;
use super::{Isolate, MissingSymbol};
#[cfg(target_os = "linux")]
use std::cell::OnceCell;
use std::cell::RefCell;
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
    /// Not to be asked again: from now on it is whom V8 asked before. Node's own callback of a worker is asked at once.
    pub(crate) leave: bool,
}

/// Lets V8 ask `target` for as long as the isolate lives. The one that was added last is asked; when it leaves, the one
/// before it is asked at once. V8 restores the initial limit by itself once the heap is well below it again.
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
    // Kept for ever: it may leave inside a call of V8's, which is no place to drop what JavaScript holds too.
    let target: &'static Arc<T> = Box::leak(Box::new(target));
    let asked = Asked::of(isolate);
    let is_first = asked.targets.borrow().is_empty();
    asked.targets.borrow_mut().push(&**target);
    if is_first {
        let data = std::ptr::from_ref(asked).cast_mut().cast::<c_void>();
        // SAFETY: the isolate is alive and entered by this thread (documented above), and does not have this callback;
        // it reads `data` as the `Asked` that it is, on this thread, and that is never freed.
        unsafe { add(isolate.as_ptr(), near_heap_limit, data) };
        #[cfg(target_os = "linux")]
        asked.worker.get_or_init(|| WorkerLimit::find(isolate, near_heap_limit, data));
    }
    restore_limit_below(isolate, RESTORED_BELOW);
    Ok(())
}

/// V8 restores the initial limit when the heap's live objects are below this part of it. Not 0.95, as Node has it for its own
/// --heapsnapshot-near-heap-limit (env.cc): with a heap in pieces V8 asks below that, and would take back what it was answered.
const RESTORED_BELOW: f64 = 0.75;

/// The same for any `part`; with 0 V8 never does.
///
/// Must be called on the thread that has entered `isolate`.
fn restore_limit_below(isolate: Isolate, part: f64) {
    let table = symbols::profiler().ok();
    if let Some(restore) = table.and_then(|table| table.automatically_restore_initial_heap_limit) {
        // SAFETY: the isolate is alive and entered by this thread (documented above).
        unsafe { restore(isolate.as_ptr(), part) };
    }
}

/// Whom to ask for one isolate. V8 knows one callback for all of them: it ends the process when a function that it has
/// is added again, and takes functions off by their address alone.
struct Asked {
    isolate: Isolate,
    targets: RefCell<Vec<&'static dyn NearHeapLimit>>,
    /// Whom V8 would ask without us.
    #[cfg(target_os = "linux")]
    worker: OnceCell<Option<WorkerLimit>>,
}

thread_local! {
    /// An isolate does not leave its thread.
    static ASKED: RefCell<Vec<&'static Asked>> = const { RefCell::new(Vec::new()) };
}

impl Asked {
    fn of(isolate: Isolate) -> &'static Asked {
        ASKED.with_borrow_mut(|all| {
            if let Some(asked) = all.iter().find(|asked| asked.isolate == isolate) {
                return *asked;
            }
            // V8 holds it until the isolate is gone.
            let asked: &'static Asked = Box::leak(Box::new(Asked {
                isolate,
                targets: RefCell::default(),
                #[cfg(target_os = "linux")]
                worker: OnceCell::new(),
            }));
            all.push(asked);
            asked
        })
    }

    /// The limit that V8 gets.
    fn ask(&self, current: usize, initial: usize) -> usize {
        let heap = AtHeapLimit { isolate: self.isolate, current, initial };
        let mut limit = current;
        // Not borrowed while a target answers: V8 may ask inside of that.
        while let Some(target) = self.last() {
            let answer = target.on_near_heap_limit(&heap);
            limit = answer.limit;
            if !answer.leave {
                return limit;
            }
            self.targets.borrow_mut().retain(|&other| !std::ptr::addr_eq(other, target));
        }
        stop_asking(self.isolate);
        #[cfg(target_os = "linux")]
        if let Some(Some(worker)) = self.worker.get() {
            // This collection may have to be followed by others before JavaScript goes on, to its end.
            restore_limit_below(self.isolate, 0.0);
            return worker.ask(limit, initial).max(limit);
        }
        limit
    }

    fn last(&self) -> Option<&'static dyn NearHeapLimit> {
        self.targets.borrow().last().copied()
    }
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

const _: NearHeapLimitCallback = near_heap_limit;

unsafe extern "C" fn near_heap_limit(data: *mut c_void, current: usize, initial: usize) -> usize {
    // SAFETY: `data` is what `ask_near_heap_limit` gave V8.
    let asked = unsafe { &*data.cast::<Asked>() };
    // A panic must not unwind into V8's C++ frames.
    let answer = std::panic::AssertUnwindSafe(|| asked.ask(current, initial));
    std::panic::catch_unwind(answer).unwrap_or(current)
}

/// V8 asks here no more; whoever asked before is asked again. Called while V8 asks.
fn stop_asking(isolate: Isolate) {
    if let Some(remove) =
        symbols::profiler().ok().and_then(|table| table.remove_near_heap_limit_callback)
    {
        // SAFETY: the isolate is alive and entered by this thread; `near_heap_limit` is on its list, because V8 asks it,
        // and may go inside its own call, as Node's does (env.cc). 0 leaves the limit alone.
        unsafe { remove(isolate.as_ptr(), near_heap_limit, 0) };
    }
}
