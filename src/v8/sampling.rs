//! V8's sampling heap profile (`HeapProfiler.startSampling` of the inspector): who allocated what is alive.

use super::{Isolate, symbols};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null};

/// What one function has allocated and is still alive, as sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sampled {
    /// Empty for an anonymous one.
    pub(crate) function: String,
    pub(crate) script: String,
    /// Counted from 1; 0 where V8 does not know it.
    pub(crate) line: u32,
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
}

/// The `most` functions that hold most; `None` when nobody samples, or where V8 lacks the functions.
///
/// Collects garbage and allocates on the heap, and frees nothing: for a forked child that has lifted the heap limit. Must
/// be called on the thread that has entered the isolate, inside a call of V8 into us that holds a handle scope, such as
/// the near-heap-limit callback (`Heap::InvokeNearHeapLimitCallback` opens one).
pub(crate) fn sampled_allocations(isolate: Isolate, most: usize) -> Option<Vec<Sampled>> {
    let table = symbols::profiler().ok()?;
    let (profile, utf8) = (table.allocation_profile?, table.utf8_value?);
    // SAFETY: the isolate is alive, entered by this thread and has a handle scope (documented above).
    let profile = NonNull::new(unsafe { profile((table.get_heap_profiler)(isolate.as_ptr())) })?;
    // SAFETY: an AllocationProfile starts with its table, whose first function is GetRootNode (`v8-profiler.h`).
    let root = unsafe {
        let profile_table = *profile.as_ptr().cast::<*const ProfileTable>();
        ((*profile_table).root)(profile.as_ptr())
    };
    let text = |value: *mut c_void| -> String {
        if value.is_null() {
            return String::new();
        }
        const REPLACE_INVALID_UTF8: c_int = 8;
        let mut place = Utf8Value { text: null(), _rest: [0; 7] };
        // SAFETY: `place` is larger than a Utf8Value; the constructor writes its fields and nothing destroys it. `value`
        // is a Local<String> of the profile, valid in this handle scope.
        unsafe {
            utf8((&raw mut place).cast(), isolate.as_ptr(), value, REPLACE_INVALID_UTF8);
            if place.text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(place.text).to_string_lossy().into_owned()
            }
        }
    };
    let mut sampled: HashMap<(c_int, c_int), Sampled> = HashMap::new();
    let mut waiting = vec![root.cast_const()];
    while let Some(node) = waiting.pop() {
        // SAFETY: the profile owns its nodes and lives for ever here; a node is laid out as `Node` in Node 18 to 26.
        let Some(node) = (unsafe { node.as_ref() }) else { continue };
        // SAFETY: V8's vectors of these elements, not changed any more.
        let (children, allocations) = unsafe { (node.children.slice(), node.allocations.slice()) };
        waiting.extend_from_slice(children);
        let bytes = allocations.iter().map(|a| a.size as u64 * u64::from(a.count)).sum::<u64>();
        if bytes == 0 {
            continue;
        }
        let sum = sampled.entry((node.script_id, node.start_position)).or_insert_with(|| Sampled {
            function: text(node.name),
            script: text(node.script_name),
            line: u32::try_from(node.line).unwrap_or(0),
            bytes: 0,
            objects: 0,
        });
        sum.bytes += bytes;
        sum.objects += allocations.iter().map(|a| u64::from(a.count)).sum::<u64>();
    }
    let mut top: Vec<Sampled> = sampled.into_values().collect();
    top.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.function.cmp(&b.function)));
    top.truncate(most);
    Some(top)
}

/// Functions of `v8::AllocationProfile`, the first of them.
#[repr(C)]
struct ProfileTable {
    root: unsafe extern "C" fn(*mut c_void) -> *mut Node,
}

/// `v8::AllocationProfile::Node`. A `Local` is the address of a slot.
#[repr(C)]
struct Node {
    name: *mut c_void,
    script_name: *mut c_void,
    script_id: c_int,
    start_position: c_int,
    line: c_int,
    _column: c_int,
    _id: u32,
    children: Vector<*const Node>,
    allocations: Vector<Allocation>,
}

/// `v8::AllocationProfile::Allocation`: so many objects of one size.
#[repr(C)]
struct Allocation {
    size: usize,
    count: u32,
}

/// `std::vector` of libstdc++ and libc++: begin, end, end of its memory.
#[repr(C)]
struct Vector<T> {
    begin: *const T,
    end: *const T,
    _capacity: *const T,
}

impl<T> Vector<T> {
    /// # Safety
    ///
    /// A vector of `T` that C++ made and nobody changes.
    unsafe fn slice(&self) -> &[T] {
        if self.begin.is_null() {
            return &[];
        }
        // SAFETY: begin and end are of one allocation that holds elements of `T` (the caller's promise).
        unsafe {
            let length = usize::try_from(self.end.offset_from(self.begin)).unwrap_or(0);
            std::slice::from_raw_parts(self.begin, length)
        }
    }
}

/// `v8::String::Utf8Value`: its text, then its length.
#[repr(C)]
struct Utf8Value {
    text: *const c_char,
    _rest: [usize; 7],
}

const _: () = assert!(size_of::<Node>() == 88 || size_of::<usize>() != 8);
