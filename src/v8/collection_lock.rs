//! The one lock that the collections of all isolates share.
//!
//! A collection holds it from the visit of references between threads to the end of its pause (cppgc's process-heap.cc;
//! `MarkerBase::VisitCrossThreadPersistentsIfNeeded`). A child that is forked while another thread's isolate is there
//! would wait in its own collection for a thread that it does not have.

use super::symbols;

/// The lock, held by the calling thread.
pub(crate) struct CollectionLock(&'static symbols::CollectionLockSymbols);

impl CollectionLock {
    /// Waits for it, as each of V8's own collections does. `None` where V8 does not export it.
    ///
    /// Not to be called inside a collection of this thread's isolate, which may hold it.
    pub(crate) fn acquire() -> Option<CollectionLock> {
        let table = symbols::collection_lock()?;
        // SAFETY: the constructor of `cppgc::internal::PersistentRegionLock`, a class without fields: it locks a mutex of
        // the process and does not look at `this`, which is a valid byte all the same.
        unsafe { (table.lock)((&raw mut PLACE).cast()) };
        Some(CollectionLock(table))
    }
}

/// Where the C++ object would be.
static mut PLACE: u8 = 0;

impl Drop for CollectionLock {
    /// On the thread that acquired it, or in a child on the copy of that thread.
    fn drop(&mut self) {
        // SAFETY: the destructor: it unlocks the mutex that `acquire` has locked.
        unsafe { (self.0.unlock)((&raw mut PLACE).cast()) };
    }
}
