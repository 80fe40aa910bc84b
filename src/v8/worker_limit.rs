//! What Node answers when the heap of one of its workers is near its limit: it ends the worker, and the process goes on.
//!
//! V8 asks the callback that was added last, so with ours in front Node's is asked one collection later. The loop that fills
//! the heap runs on until then, and often promotes more than the 16 MB that Node allows it: V8 ends the process. So Node's
//! is asked by us, in the same call of V8's. V8 has no way to ask who else is on its list; the list is looked up.

use super::Isolate;
use super::symbols::{self, NearHeapLimitCallback};
use std::ffi::c_void;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How much of the isolate is searched for the list: enough for V8 of Node 20 to 26, where it was found.
const SEARCHED: usize = 256 << 10;
const PAGE: usize = 4 << 10;
const WORD: usize = size_of::<usize>();

/// Callbacks on V8's list; more is no list.
const MOST_CALLBACKS: usize = 64;

/// A callback and its data, as V8 keeps them.
type Entry = [usize; 2];

/// Node's callback for the worker of this thread.
pub(super) struct WorkerLimit {
    callback: NearHeapLimitCallback,
    worker: *mut c_void,
}

impl WorkerLimit {
    /// Of the worker that has entered `isolate`, on its thread, where `ours` with `data` has just been added. `None` on other
    /// threads, and where V8 keeps its list in another way.
    pub(super) fn find(
        isolate: Isolate,
        ours: NearHeapLimitCallback,
        data: *mut c_void,
    ) -> Option<WorkerLimit> {
        let callback = symbols::worker_near_heap_limit()?;
        let memory = File::open("/proc/self/mem").ok()?;
        let list = find_list(
            &read_while_mapped(&memory, isolate.as_ptr() as usize),
            [ours as usize, data as usize],
            |start, length| read_words(&memory, start, length),
        )?;
        let [_, worker] = list.into_iter().find(|[other, _]| *other == callback as usize)?;
        Some(WorkerLimit { callback, worker: worker as *mut c_void })
    }

    /// Ends the worker as soon as its JavaScript goes on, and gives the limit that Node answers.
    pub(super) fn ask(&self, current: usize, initial: usize) -> usize {
        // SAFETY: the function and the data that V8 would call it with, on the same thread and as V8 does, inside its call
        // of ours. The worker outlives its isolate.
        unsafe { (self.callback)(self.worker, current, initial) }
    }
}

/// The callbacks of `std::vector<std::pair<v8::NearHeapLimitCallback, void*>>` (`Heap::near_heap_limit_callbacks_`): the three
/// adjacent words of an object that delimit a list whose last entry is `last`.
fn find_list(
    object: &[usize],
    last: Entry,
    read: impl Fn(usize, usize) -> Option<Vec<usize>>,
) -> Option<Vec<Entry>> {
    object.windows(3).find_map(|words| {
        let &[start, end, capacity] = words else { return None };
        let size = end.checked_sub(start).filter(|_| end <= capacity)?;
        if size == 0
            || !size.is_multiple_of(size_of::<Entry>())
            || !start.is_multiple_of(WORD)
            || size > MOST_CALLBACKS * size_of::<Entry>()
        {
            return None;
        }
        let entries: Vec<Entry> = read(start, size / WORD)?.as_chunks().0.to_vec();
        (entries.last() == Some(&last)).then_some(entries)
    })
}

fn read_while_mapped(memory: &File, start: usize) -> Vec<usize> {
    (start..start + SEARCHED)
        .step_by(PAGE)
        .map_while(|page| read_words(memory, page, PAGE / WORD))
        .flatten()
        .collect()
}

/// `None` where nothing is mapped. The file and not a pointer: what looks like an address may be none.
fn read_words(memory: &File, start: usize, length: usize) -> Option<Vec<usize>> {
    let mut bytes = vec![0; length * WORD];
    memory.read_exact_at(&mut bytes, start as u64).ok()?;
    Some(bytes.as_chunks().0.iter().map(|word| usize::from_ne_bytes(*word)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_list_that_ends_with_the_entry() {
        let read = |start: usize, length: usize| {
            match start {
                0x1000 => Some(vec![1, 2, 3, 4]),
                0x2000 => Some(vec![5, 6, 7, 8]),
                _ => None,
            }
            .filter(|words| words.len() == length)
        };
        let object = [9, 0x1000, 0x1020, 0x1040, 0x9000, 0x9020, 0x9020, 0x2000, 0x2020, 0x2020];
        assert_eq!(find_list(&object, [7, 8], read), Some(vec![[5, 6], [7, 8]]));
        assert_eq!(find_list(&object, [5, 6], read), None);
        assert_eq!(find_list(&[], [7, 8], read), None);
    }

    #[test]
    fn reads_its_own_memory_as_far_as_it_is_mapped() {
        let memory = File::open("/proc/self/mem").expect("readable");
        let words = [3, 1, 4];
        assert_eq!(read_words(&memory, words.as_ptr() as usize, 3), Some(words.to_vec()));
        assert_eq!(read_words(&memory, 0, 1), None);
        assert!(read_while_mapped(&memory, 0).is_empty());
    }
}
