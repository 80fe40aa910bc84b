//! A forked child's platform: one without worker threads.
//!
//! A garbage collection hands tasks to workers whether there are any or not, and every such call takes the lock of their
//! queue. Workers are parked when a process forks, but the threads of other isolates (`worker_threads`) are not: one that was
//! just posting a task leaves the child a lock that nobody will ever open.

use super::platform::Platform;
use super::symbols::{self, PostTask};
use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

/// The table of `node::NodePlatform`.
const TABLE: &CStr = c"_ZTVN4node12NodePlatformE";

/// Words of a C++ table (Itanium ABI) before the first function: the offset to the whole object, and its type.
const HEADER: usize = 2;

/// More than any version's table has. Copied with whatever follows it: musl cannot tell a symbol's size.
const MOST_WORDS: usize = 64;

/// What makes a child's platform one without workers. Made by the parent: a child must not ask the loader, whose locks another
/// thread may hold at the fork.
pub(crate) struct Workerless {
    platform: Platform,
    /// What the platform starts with: the address of its table's first function.
    original: usize,
    /// A copy of the table that lays tasks for workers aside.
    table: &'static [usize],
}

impl Workerless {
    /// Of the process' platform. `None` where it cannot be had, so that children are as they were: Node does not export
    /// its platform's table.
    pub(crate) fn of(platform: Platform) -> Option<&'static Workerless> {
        static FOUND: OnceLock<Option<Workerless>> = OnceLock::new();
        FOUND.get_or_init(|| Workerless::make(platform)).as_ref()
    }

    fn make(platform: Platform) -> Option<Workerless> {
        let (_, symbols) = platform.parts();
        let (post, shelve_task) = match symbols.post_task {
            PostTask::WithPriority(post) => {
                (post as *const () as usize, shelve_task_with_priority as *const () as usize)
            }
            PostTask::Plain(post) => {
                (post as *const () as usize, shelve_task as *const () as usize)
            }
        };
        let start = symbols::lookup(TABLE) as usize;
        let words = words_from(start)?;
        // SAFETY: so many words are in the segment that the table is in; the loader has filled it and made it read-only.
        let table = unsafe { std::slice::from_raw_parts(start as *const usize, words) };
        let mut table = table.to_vec();
        *table.iter_mut().find(|function| **function == post)? = shelve_task;
        let original = start + HEADER * size_of::<usize>();
        Some(Workerless { platform, original, table: table.leak() })
    }

    /// From here on tasks for worker threads are kept and never run, as in a queue that no thread reads. For a forked child on
    /// its only thread, as its first use of V8. A platform of an embedder's own class is left as it is.
    pub(crate) fn install(&self) {
        let (object, _) = self.platform.parts();
        // SAFETY: an object of a class with virtual functions starts with the address of its table's first function. It
        // lives as long as the process, which nobody but this thread is in.
        let first_function = unsafe { &mut *object.as_ptr().cast::<usize>() };
        if *first_function == self.original {
            *first_function = self.table[HEADER..].as_ptr() as usize;
        }
    }
}

/// How many words of a table at `address` may be read; `None` when it is in no object of the process.
fn words_from(address: usize) -> Option<usize> {
    struct Search {
        address: usize,
        end: Option<usize>,
    }
    unsafe extern "C" fn look(
        object: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: valid during the call, says dl_iterate_phdr(3); `search` is what was handed to it below.
        let (object, search) = unsafe { (&*object, &mut *search.cast::<Search>()) };
        // SAFETY: the object's program headers, as many as it says.
        let headers =
            unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
            let start = object.dlpi_addr + header.p_vaddr;
            let end = start + header.p_memsz;
            if (start..end).contains(&(search.address as u64)) {
                search.end = usize::try_from(end).ok();
                return 1;
            }
        }
        0
    }
    let mut search = Search { address, end: None };
    // SAFETY: `look` has the right signature and `search` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    Some(MOST_WORDS.min((search.end? - address) / size_of::<usize>()))
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
    unsafe { *task = std::ptr::null_mut() };
}

unsafe extern "C" fn shelve_task(_platform: *mut c_void, task: *mut *mut c_void) {
    // SAFETY: as above.
    unsafe { *task = std::ptr::null_mut() };
}
