//! How full V8's heap is, in all and space by space.

use super::{Isolate, MissingSymbol, symbols};
use std::ffi::{CStr, c_char, c_void};

/// Sizes in bytes, of one isolate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HeapFigures {
    /// What V8 has of the system for it.
    pub(crate) total: u64,
    pub(crate) used: u64,
    pub(crate) limit: u64,
    /// Memory outside the heap that objects on it hold, such as Buffers.
    pub(crate) external: u64,
    pub(crate) malloced: u64,
}

/// The same and what each space has of it.
#[derive(Debug, Clone)]
pub(crate) struct HeapStatistics {
    pub(crate) figures: HeapFigures,
    pub(crate) spaces: Vec<HeapSpace>,
}

impl HeapStatistics {
    /// What V8 holds against its limit: all but the young generation (`Heap::OldGenerationCapacity`).
    pub(crate) fn old_generation(&self) -> usize {
        self.spaces.iter().filter(|space| !space.name.starts_with("new_")).map(|s| s.size).sum()
    }
}

/// One of V8's spaces. Sizes in bytes.
#[derive(Debug, Clone)]
pub(crate) struct HeapSpace {
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) used: usize,
    pub(crate) available: usize,
    pub(crate) physical: usize,
}

/// Reads V8's counters: no garbage is collected for it, and nothing allocated on the heap.
///
/// Must be called on the thread that has entered `isolate`.
///
/// # Errors
///
/// [`MissingSymbol`] where V8 lacks the function.
pub(crate) fn heap_figures(isolate: Isolate) -> Result<HeapFigures, MissingSymbol> {
    let read = symbols::profiler()?
        .heap_statistics
        .ok_or(MissingSymbol("v8::Isolate::GetHeapStatistics"))?;
    let mut raw = RawHeapStatistics::default();
    // SAFETY: the isolate is alive and entered by this thread (documented above); V8 only writes to `raw`, which is
    // larger than its HeapStatistics in every version.
    unsafe { read(isolate.as_ptr(), (&raw mut raw).cast::<c_void>()) };
    let RawHeapStatistics { total, used, limit, malloced, external, .. } = raw;
    let [total, used, limit, external, malloced] =
        [total, used, limit, external, malloced].map(|size| size as u64);
    Ok(HeapFigures { total, used, limit, external, malloced })
}

/// The same with every space.
///
/// Must be called on the thread that has entered `isolate`.
///
/// # Errors
///
/// [`MissingSymbol`] where V8 lacks one of the functions.
pub(crate) fn heap_statistics(isolate: Isolate) -> Result<HeapStatistics, MissingSymbol> {
    let figures = heap_figures(isolate)?;
    let table = symbols::profiler()?;
    let spaces =
        table.number_of_heap_spaces.ok_or(MissingSymbol("v8::Isolate::NumberOfHeapSpaces"))?;
    let space =
        table.heap_space_statistics.ok_or(MissingSymbol("v8::Isolate::GetHeapSpaceStatistics"))?;
    // SAFETY: the isolate is alive and entered by this thread (documented above).
    let count = unsafe { spaces(isolate.as_ptr()) };
    let read = |index| {
        let mut raw = RawSpaceStatistics::default();
        // SAFETY: as above; the index is below the number of spaces.
        let found = unsafe { space(isolate.as_ptr(), (&raw mut raw).cast::<c_void>(), index) };
        found.then(|| raw.into_space())
    };
    Ok(HeapStatistics { figures, spaces: (0..count).filter_map(read).collect() })
}

/// `v8::HeapStatistics` (`v8-statistics.h`), unchanged from Node 18 to 26 but for fields added at the end.
#[derive(Default)]
#[repr(C)]
struct RawHeapStatistics {
    total: usize,
    _executable: usize,
    _physical: usize,
    _available: usize,
    used: usize,
    limit: usize,
    malloced: usize,
    external: usize,
    _rest: [usize; 24],
}

/// `v8::HeapSpaceStatistics`.
#[repr(C)]
struct RawSpaceStatistics {
    name: *const c_char,
    size: usize,
    used: usize,
    available: usize,
    physical: usize,
    _reserved: [usize; 8],
}

impl Default for RawSpaceStatistics {
    fn default() -> RawSpaceStatistics {
        RawSpaceStatistics {
            name: std::ptr::null(),
            size: 0,
            used: 0,
            available: 0,
            physical: 0,
            _reserved: [0; 8],
        }
    }
}

impl RawSpaceStatistics {
    fn into_space(self) -> HeapSpace {
        let name = if self.name.is_null() {
            String::new()
        } else {
            // SAFETY: V8's names of spaces are string literals.
            unsafe { CStr::from_ptr(self.name) }.to_string_lossy().into_owned()
        };
        HeapSpace {
            name,
            size: self.size,
            used: self.used,
            available: self.available,
            physical: self.physical,
        }
    }
}
