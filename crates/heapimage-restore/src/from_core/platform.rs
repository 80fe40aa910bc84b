//! Node's platform, made one without worker threads: as src/v8/workerless.rs of the addon does it in a forked child. V8 posts
//! tasks in a collection whether there are workers or not; some are gone, and their queue's lock may be held by one of them.

use crate::arch::address;
use core::ffi::c_void;
use core::sync::atomic::{AtomicUsize, Ordering};
use heapimage::Header;

/// More than any version's table has. What follows it is copied too, and used by nobody.
const WORDS: usize = 64;
/// Words of a C++ table before the first function (Itanium ABI).
const TABLE_HEADER: usize = 2;

/// A copy of the table that lays tasks for workers aside.
static TABLE: [AtomicUsize; WORDS] = [const { AtomicUsize::new(0) }; WORDS];

type PostPlain = unsafe extern "C" fn(*mut c_void, *mut *mut c_void);
type PostWithPriority = unsafe extern "C" fn(*mut c_void, u8, *mut *mut c_void, *const c_void);

/// From here on tasks for worker threads are kept and never run. A platform of an embedder's own class stays as it is.
pub(super) fn take_workers_from(header: &Header) {
    let v8 = &header.v8;
    if v8.platform == 0 {
        return;
    }
    let shelve = if v8.post_task_is_plain == 1 {
        shelve_task as PostPlain as usize
    } else {
        shelve_task_with_priority as PostWithPriority as usize
    };
    let table = address(v8.platform_table) as *const usize;
    let mut found = false;
    for (at, copy) in TABLE.iter().enumerate() {
        // SAFETY: a table of the image's program; behind it lie others, and its data.
        let word = unsafe { table.add(at).read() };
        let replaced = !found && word == address(v8.post_task);
        found |= replaced;
        copy.store(if replaced { shelve } else { word }, Ordering::Relaxed);
    }
    let object = address(v8.platform) as *mut usize;
    // SAFETY: an object that begins with the address of its table's first function; no other thread goes on yet.
    unsafe {
        if found && object.read() == table.add(TABLE_HEADER) as usize {
            object.write(TABLE[TABLE_HEADER].as_ptr() as usize);
        }
    }
}

/// Takes the task out of the slot. It must not be deleted: V8 takes a task that is gone for one that has run
/// (`CancelableTaskManager::TryAbort`), and one that is there and has not begun for work that it has to do itself.
unsafe extern "C" fn shelve_task_with_priority(
    _platform: *mut c_void,
    _priority: u8,
    task: *mut *mut c_void,
    _location: *const c_void,
) {
    // SAFETY: the caller's `std::unique_ptr<Task>`, which holds nothing when it is null.
    unsafe { *task = core::ptr::null_mut() };
}

unsafe extern "C" fn shelve_task(_platform: *mut c_void, task: *mut *mut c_void) {
    // SAFETY: as above.
    unsafe { *task = core::ptr::null_mut() };
}
