//! V8's heap limit: who is asked when the heap comes near it.

#[cfg(target_os = "linux")]
use super::limit_list::{Entry, LimitList, entry};
use super::symbols::{self, GcCallback, NearHeapLimitCallback};
use super::{Isolate, MissingSymbol, heap_statistics};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

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

impl AtHeapLimit {
    /// The least limit with which V8 goes on. One array may have taken the heap far beyond the present one, and V8 ends the
    /// process at once if what it has does not fit what it is answered (`Heap::CollectGarbage`).
    pub(crate) fn least(&self) -> usize {
        let taken =
            heap_statistics(self.isolate).map_or(0, |statistics| statistics.old_generation());
        self.current.max(taken)
    }
}

/// Room for what one collection promotes at most: two semi-spaces at their largest (`Heap::DefaultMaxSemiSpaceSize`). What does
/// not fit ends the process, and for a worker only the worker should end.
pub(crate) const YOUNG_GENERATION: usize = 64 << 20;

/// What V8 is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeapLimitAnswer {
    /// The limit in bytes from now on. Below what the heap takes already, V8 ends the process.
    pub(crate) limit: usize,
    /// Not to be asked again: from now on it is whom V8 would ask without us. They are asked at once.
    pub(crate) leave: bool,
}

/// Lets V8 ask `target` for as long as the isolate lives, before all others that V8 asks, whenever those come. Of several
/// targets the one that was added last is asked; when it leaves, the one before it is asked at once. V8 restores the initial
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
    if table.add_near_heap_limit_callback.is_none() {
        return Err(MissingSymbol("v8::Isolate::AddNearHeapLimitCallback"));
    }
    // Kept for ever: it may leave inside a call of V8's, which is no place to drop what JavaScript holds too.
    let target: &'static Arc<T> = Box::leak(Box::new(target));
    let asked = Asked::of(isolate);
    asked.targets.borrow_mut().push(&**target);
    asked.add();
    restore_limit_below(isolate, RESTORED_BELOW);
    Ok(())
}

/// Asks at once whom V8 would ask without us: the one that was added last, and where it leaves, the next. The highest limit
/// that they answer, or `limit`. V8 asks here no more.
///
/// Must be called on the thread that has entered `isolate`.
pub(crate) fn ask_others(isolate: Isolate, limit: usize, initial: usize) -> usize {
    Asked::of(isolate).leave(limit, initial)
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
    /// Our callback is on V8's list.
    is_listed: Cell<bool>,
    /// The targets have left, and those that V8 would ask without us are being asked.
    asks_others: Cell<bool>,
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
                is_listed: Cell::new(false),
                asks_others: Cell::new(false),
            }));
            asked.stay_first();
            all.push(asked);
            asked
        })
    }

    /// What V8 hands back to our callbacks.
    fn data(&'static self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// V8 asks the callback that was added last; so ours is added again before each garbage collection, which is where V8 asks.
    fn stay_first(&'static self) {
        let table = symbols::profiler().ok();
        if let Some(add) = table.and_then(|table| table.add_gc_prologue_callback) {
            // SAFETY: the isolate is alive and entered by this thread; `before_collection` reads `data` as the `Asked` that
            // it is, on this thread, and that is never freed.
            unsafe { add(self.isolate.as_ptr(), before_collection, self.data(), ALL_COLLECTIONS) };
        }
    }

    /// V8 asks here from now on.
    fn add(&'static self) {
        let table = symbols::profiler().ok();
        if let Some(add) = table.and_then(|table| table.add_near_heap_limit_callback)
            && !self.is_listed.replace(true)
        {
            // SAFETY: the isolate is alive and entered by this thread, and does not have this callback; it reads `data` as the
            // `Asked` that it is, on this thread, and that is never freed.
            unsafe { add(self.isolate.as_ptr(), near_heap_limit, self.data()) };
        }
    }

    /// V8 asks whoever was added last.
    fn come_first(&'static self) {
        self.remove();
        self.add();
    }

    /// V8 asks here no more; whom it asked before is asked again.
    fn remove(&self) {
        let table = symbols::profiler().ok();
        if let Some(remove) = table.and_then(|table| table.remove_near_heap_limit_callback)
            && self.is_listed.replace(false)
        {
            // SAFETY: the isolate is alive and entered by this thread; `near_heap_limit` is on its list, and may go inside
            // its own call, as Node's does (env.cc). 0 leaves the limit alone.
            unsafe { remove(self.isolate.as_ptr(), near_heap_limit, 0) };
        }
    }

    /// The limit that V8 gets.
    fn ask(&'static self, current: usize, initial: usize) -> usize {
        let heap = AtHeapLimit { isolate: self.isolate, current, initial };
        if self.asks_others.get() {
            // One of them has made V8 collect garbage, so V8 asks inside of its call. The limit is still the one that the heap
            // has outgrown: what has been answered holds from the end of the outer call on.
            return self.ask_others(heap.least().saturating_add(YOUNG_GENERATION), initial);
        }
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
        self.leave(limit, initial)
    }

    /// Ours stays on V8's list until the others have answered: they may collect garbage (@datadog/pprof's does on purpose), and
    /// nobody else then answers with what the heap has taken.
    fn leave(&'static self, limit: usize, initial: usize) -> usize {
        if !self.is_listed.get() {
            return limit;
        }
        self.come_first();
        self.asks_others.set(true);
        let limit = self.ask_others(limit, initial);
        self.asks_others.set(false);
        self.remove();
        limit
    }

    #[cfg(target_os = "linux")]
    fn ask_others(&'static self, limit: usize, initial: usize) -> usize {
        let Some((list, mut others)) = self.others() else {
            return limit;
        };
        let mut limit = limit;
        // Each is asked once, and V8 asks those that stay.
        while let Some(next) = others.pop() {
            limit = limit.max(ask_other(self.isolate, next, limit, initial));
            match list.entries() {
                Some(now) if !now.contains(&next) => others.retain(|other| now.contains(other)),
                _ => break,
            }
        }
        limit
    }

    /// Others are asked by V8 alone.
    #[cfg(not(target_os = "linux"))]
    fn ask_others(&self, limit: usize, _initial: usize) -> usize {
        limit
    }

    /// V8's list, with ours as its last one, and who else is on it.
    #[cfg(target_os = "linux")]
    fn others(&'static self) -> Option<(LimitList, Vec<Entry>)> {
        let ours = entry(near_heap_limit, self.data());
        let list = LimitList::find(self.isolate, ours)?;
        let mut others = list.entries()?;
        others.retain(|other| *other != ours);
        // It is V8's list if V8 takes ours off it.
        self.remove();
        let is_of_v8 = list.entries().as_ref() == Some(&others);
        self.add();
        is_of_v8.then_some((list, others))
    }

    fn last(&self) -> Option<&'static dyn NearHeapLimit> {
        self.targets.borrow().last().copied()
    }
}

/// In a forked child: V8's heap may grow beyond its limit. A heap that is nearly full is the one that most wants a
/// snapshot, and taking it allocates a little on it; what bounds the child is its own memory limit.
pub(crate) fn lift_heap_limit(isolate: Isolate) {
    if IS_LIFTED.swap(true, Relaxed) {
        // V8 ends the process when a callback is added again: a restored image may have it.
        return;
    }
    if let Some(add) = symbols::profiler().ok().and_then(|table| table.add_near_heap_limit_callback)
    {
        // SAFETY: the isolate is alive and entered by this thread; V8 calls the callback added last, so no other one
        // runs in the child.
        unsafe { add(isolate.as_ptr(), lift, std::ptr::null_mut()) };
    }
}

/// In a forked child ours does not come back to the front.
static IS_LIFTED: AtomicBool = AtomicBool::new(false);

const _: NearHeapLimitCallback = lift;

/// One array may have taken the heap far beyond its limit already, and V8 asks once in a garbage collection: so twice the
/// limit is not enough.
unsafe extern "C" fn lift(_data: *mut c_void, current: usize, _initial: usize) -> usize {
    current.max(usize::MAX >> 24)
}

const _: NearHeapLimitCallback = near_heap_limit;

unsafe extern "C" fn near_heap_limit(data: *mut c_void, current: usize, initial: usize) -> usize {
    // SAFETY: `data` is what `ask_near_heap_limit` gave V8.
    let asked: &'static Asked = unsafe { &*data.cast::<Asked>() };
    // A panic must not unwind into V8's C++ frames.
    let answer = std::panic::AssertUnwindSafe(|| asked.ask(current, initial));
    std::panic::catch_unwind(answer).unwrap_or(current)
}

/// `v8::GCType` (v8-callbacks.h), all of them: after scavenges alone V8 may ask too (`Heap::CollectAllAvailableGarbage`).
const ALL_COLLECTIONS: c_int = 0b1_1111;

const _: GcCallback = before_collection;

unsafe extern "C" fn before_collection(
    _isolate: *mut c_void,
    _type: c_int,
    _flags: c_int,
    data: *mut c_void,
) {
    // SAFETY: `data` is what `Asked::stay_first` gave V8, an `Asked` that is never freed.
    let asked: &'static Asked = unsafe { &*data.cast::<Asked>() };
    if asked.is_listed.get() && !IS_LIFTED.load(Relaxed) {
        asked.come_first();
    }
}

/// What a callback of somebody else answers.
#[cfg(target_os = "linux")]
fn ask_other(
    isolate: Isolate,
    [callback, data]: [usize; 2],
    limit: usize,
    initial: usize,
) -> usize {
    let of_worker = symbols::worker_near_heap_limit();
    if of_worker.is_some_and(|of_worker| of_worker as usize == callback) {
        // This collection may have to be followed by others before JavaScript goes on, to its end.
        restore_limit_below(isolate, 0.0);
    }
    // SAFETY: V8 has it on its list, where such functions are, with the data that V8 would call it with; on the isolate's
    // thread and inside V8's call of ours, as V8 does.
    unsafe {
        let callback = std::mem::transmute::<usize, NearHeapLimitCallback>(callback);
        callback(data as *mut c_void, limit, initial)
    }
}
