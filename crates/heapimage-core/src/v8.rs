//! Where V8 and Node.js are in a core's memory.

use crate::core::Core;
use heapimage::V8Functions;
use std::collections::HashMap;
use zerocopy::FromZeros;

/// Names of functions by their mangling (Itanium ABI); of several names that which a version has. The same as those that the
/// addon looks up (src/v8/symbols.rs).
const TRY_GET_CURRENT: &str = "_ZN2v87Isolate13TryGetCurrentEv";
const GET_CURRENT: &str = "_ZN2v87Isolate10GetCurrentEv";
const HEAP_PROFILER: &str = "_ZN2v87Isolate15GetHeapProfilerEv";
const TAKE: &str = "_ZN2v812HeapProfiler16TakeHeapSnapshotERKNS0_19HeapSnapshotOptionsE";
const TAKE_POSITIONAL: &str =
    "_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_18ObjectNameResolverEbb";
const TAKE_BY_CONTEXT: &str =
    "_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_19ContextNameResolverEbb";
const SERIALIZE: &str =
    "_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE";
const NEAR_HEAP_LIMIT: &str = "_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_";
const REQUEST_INTERRUPT: &str = "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_";
pub(crate) const PLATFORM_TABLE: &str = "_ZTVN4node12NodePlatformE";
const POST_TASK: &str = "_ZN4node12NodePlatform26PostTaskOnWorkerThreadImplEN2v812TaskPriorityESt10unique_ptrINS1_4TaskESt14default_deleteIS4_EERKNS1_14SourceLocationE";
const POST_TASK_PLAIN: &str =
    "_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EE";
/// Which isolate a thread has entered: a variable of each thread's (V8, src/execution/isolate.cc).
pub const THREADS_ISOLATE: &str = "_ZN2v88internal18g_current_isolate_E";
/// Of glibc.
pub const CURRENT_BREAK: &str = "__curbrk";

/// All of them: what is looked for in Node.js and in the C library.
pub const NAMES: [&str; 13] = [
    TRY_GET_CURRENT,
    GET_CURRENT,
    HEAP_PROFILER,
    TAKE,
    TAKE_POSITIONAL,
    TAKE_BY_CONTEXT,
    SERIALIZE,
    NEAR_HEAP_LIMIT,
    REQUEST_INTERRUPT,
    PLATFORM_TABLE,
    POST_TASK,
    POST_TASK_PLAIN,
    CURRENT_BREAK,
];

/// Words of a C++ table before its first function (Itanium ABI).
const TABLE_HEADER: u64 = 16;

/// What is found by `addresses` of [`NAMES`]; else the name of what is missing. `object_of` finds the first object in memory that
/// can be written of the class whose functions begin at an address: an object begins with that.
///
/// # Errors
///
/// The name.
pub fn functions(
    addresses: &HashMap<&str, u64>,
    object_of: impl FnOnce(u64) -> Option<u64>,
) -> Result<V8Functions, &'static str> {
    let find = |names: &[&'static str]| names.iter().find_map(|name| addresses.get(name)).copied();
    let need =
        |names: &[&'static str]| find(names).ok_or(names.first().copied().unwrap_or_default());
    let mut v8 = V8Functions::new_zeroed();
    v8.current_isolate = need(&[TRY_GET_CURRENT, GET_CURRENT])?;
    v8.heap_profiler = need(&[HEAP_PROFILER])?;
    v8.take_with_options = find(&[TAKE]).unwrap_or(0);
    if v8.take_with_options == 0 {
        v8.take_positional = find(&[TAKE_POSITIONAL, TAKE_BY_CONTEXT]).ok_or(TAKE)?;
    }
    v8.serialize = need(&[SERIALIZE])?;
    v8.add_near_heap_limit_callback = need(&[NEAR_HEAP_LIMIT])?;
    v8.request_interrupt = find(&[REQUEST_INTERRUPT]).unwrap_or(0);
    v8.platform_table = need(&[PLATFORM_TABLE])?;
    v8.post_task = need(&[POST_TASK, POST_TASK_PLAIN])?;
    v8.post_task_is_plain = u64::from(find(&[POST_TASK]).is_none());
    v8.platform = object_of(v8.platform_table.wrapping_add(TABLE_HEADER)).unwrap_or(0);
    Ok(v8)
}

/// See [`functions`].
pub(crate) fn object_in(core: &Core<'_>, functions: u64) -> Option<u64> {
    let finder = memchr::memmem::Finder::new(&functions.to_le_bytes()).into_owned();
    let writable = core.segments.iter().filter(|segment| segment.protection & 2 != 0);
    writable.into_iter().find_map(|segment| {
        let mut at = finder.find_iter(segment.contents).filter(|at| at.is_multiple_of(8));
        Some(segment.start + at.next()? as u64)
    })
}
