//! The number by which the C library knows a thread.
//!
//! A recursive mutex holds the number of the thread that locked it, and a child of fork(2) is a thread with another one. V8
//! asks at its heap limit while it may hold such a mutex (`IsolateSafepoint::EnterLocalSafepointScope`), so a child that is
//! forked there would wait in its own collection for itself. It keeps the old number for that.

use std::ffi::c_int;

/// How far into the C library's thread structure (glibc's and musl's `struct pthread`) the number is looked for, in words: both
/// are longer, and have it at 720 (x86-64) or 208 (arm64) and at 48 bytes.
const WORDS: usize = if cfg!(target_env = "gnu") { 200 } else { 16 };

/// Of the thread that forks.
pub(super) struct ThreadNumber {
    place: *mut c_int,
    number: c_int,
}

impl ThreadNumber {
    /// Of the calling thread; `None` where it is not found for certain.
    pub(super) fn of_this_thread() -> Option<ThreadNumber> {
        // SAFETY: neither call has preconditions; pthread_self is the address of the thread's own structure, which is at
        // least so long and lives as long as the thread.
        let (number, words) = unsafe {
            let start = libc::pthread_self() as *mut c_int;
            (libc::gettid(), (0..WORDS).map(move |index| start.add(index)))
        };
        // SAFETY: as above.
        let mut found = words.filter(|&place| unsafe { place.read_volatile() } == number);
        let place = found.next()?;
        found.next().is_none().then_some(ThreadNumber { place, number })
    }

    /// In a child that this thread has forked: it goes by the old number. System calls do not look at it, and what the C
    /// library sends to the thread itself it sends by gettid(2).
    pub(super) fn keep_in_child(&self) {
        // SAFETY: the copy of the structure above, of the only thread there is; fork(2) has put the new number there.
        unsafe {
            if self.place.read_volatile() == libc::gettid() {
                self.place.write_volatile(self.number);
            }
        }
    }
}
