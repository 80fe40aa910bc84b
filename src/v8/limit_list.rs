//! V8's list of whom it asks when a heap is near its limit.
//!
//! V8 asks the callback that was added last, and nobody else in the same collection. So whoever ours was in front of would be
//! asked a collection later, when a loop that fills the heap has often outgrown what they allow: Node's own callback, which ends
//! a worker that is out of memory, allows 16 MB. They are asked by us, in the same call of V8's. V8 has no way to ask who is on
//! its list; the list is looked up in the isolate.

use super::Isolate;
use super::symbols::NearHeapLimitCallback;
use std::ffi::c_void;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How much of the isolate is searched for the list: enough for V8 of Node 20 to 26, where it was found.
const SEARCHED: usize = 256 << 10;
const PAGE: usize = 4 << 10;
const WORD: usize = size_of::<usize>();

/// Callbacks on V8's list; more is no list.
const MOST_CALLBACKS: usize = 100;

/// A callback and its data, as V8 keeps them.
pub(super) type Entry = [usize; 2];

/// As `Heap::near_heap_limit_callbacks_` has it.
pub(super) fn entry(callback: NearHeapLimitCallback, data: *mut c_void) -> Entry {
    [callback as usize, data as usize]
}

/// The list of one isolate, where it lies in memory.
pub(super) struct LimitList {
    memory: File,
    /// Of the three words of a `std::vector`.
    place: usize,
}

impl LimitList {
    /// Of `isolate`, on its thread, with `last` as the callback that was added last. `None` where memory cannot be read, and
    /// where V8 keeps its list in another way.
    pub(super) fn find(isolate: Isolate, last: Entry) -> Option<LimitList> {
        let memory = File::open("/proc/self/mem").ok()?;
        let object = isolate.as_ptr() as usize;
        let read = |start, length| read_words(&memory, start, length);
        let word = find_list(&read_while_mapped(&memory, object), last, read)?;
        Some(LimitList { memory, place: object + word * WORD })
    }

    /// Those that are on it now; the last one is whom V8 asks.
    pub(super) fn entries(&self) -> Option<Vec<Entry>> {
        let words = read_words(&self.memory, self.place, 3)?;
        entries_of(&words, |start, length| read_words(&self.memory, start, length))
    }
}

/// Where an `object` has its `std::vector<std::pair<v8::NearHeapLimitCallback, void*>>` whose last entry is `last`: the first of
/// its three words, counted from the object's.
fn find_list(
    object: &[usize],
    last: Entry,
    read: impl Fn(usize, usize) -> Option<Vec<usize>>,
) -> Option<usize> {
    object
        .windows(3)
        .position(|words| entries_of(words, &read).is_some_and(|all| all.last() == Some(&last)))
}

/// What the three words of a vector delimit; `None` where they are none.
fn entries_of(
    words: &[usize],
    read: impl Fn(usize, usize) -> Option<Vec<usize>>,
) -> Option<Vec<Entry>> {
    let &[start, end, capacity] = words else { return None };
    let size = end.checked_sub(start).filter(|_| end <= capacity)?;
    if size == 0 {
        return (start != 0).then(Vec::new);
    }
    if !size.is_multiple_of(size_of::<Entry>())
        || !start.is_multiple_of(WORD)
        || size > MOST_CALLBACKS * size_of::<Entry>()
    {
        return None;
    }
    Some(read(start, size / WORD)?.as_chunks().0.to_vec())
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
        assert_eq!(find_list(&object, [7, 8], read), Some(7));
        assert_eq!(entries_of(&object[7..], read), Some(vec![[5, 6], [7, 8]]));
        assert_eq!(entries_of(&[0x2000, 0x2000, 0x2020], read), Some(vec![]));
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
