//! Where a restored process begins.

use super::Start;
use std::ffi::c_void;
use std::os::fd::RawFd;

/// What runs in the process that a restorer makes of an image: alone, in a sandbox (memory, clock, write, exit), somewhere
/// else. It must not look at paths, processes or time zones.
pub(crate) trait Restored {
    /// Gives the status that the process ends with.
    fn run(&self) -> i32;
}

/// A panic: as where V8 gives no snapshot.
const STATUS_PANIC: i32 = 5;

impl Start {
    /// `restored` is in memory until the image is written.
    pub(crate) fn new<T: Restored>(
        restored: &T,
        output: RawFd,
        thread: u32,
        heap_used: u64,
    ) -> Start {
        let argument = std::ptr::from_ref(restored).cast_mut().cast();
        Start { function: enter::<T>, argument, output, thread, heap_used }
    }
}

/// Writes all of `bytes`.
///
/// # Errors
///
/// The errno.
pub(crate) fn write_restored(output: RawFd, bytes: &[u8]) -> Result<(), i32> {
    super::system::write_all(output, bytes, drop)
}

/// # Safety
///
/// `argument` is the `T` of [`Start::new`].
unsafe extern "C" fn enter<T: Restored>(argument: *mut c_void) -> ! {
    // SAFETY: the caller's promise; the image has the value.
    let restored = unsafe { &*argument.cast::<T>() };
    let run = std::panic::AssertUnwindSafe(|| restored.run());
    let status = std::panic::catch_unwind(run).unwrap_or(STATUS_PANIC);
    // SAFETY: _exit runs no destructor and no atexit handler.
    unsafe { libc::_exit(status) }
}
