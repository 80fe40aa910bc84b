//! The table of functions that are looked up by name, once, when they are first needed.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

/// A function that this Node does not export, so a capability is missing; never a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this Node.js does not export {0}")]
pub(crate) struct MissingSymbol(pub(crate) &'static str);

/// `v8::HeapProfiler::TakeHeapSnapshot` in the two shapes that exist.
#[derive(Clone, Copy)]
pub(super) enum TakeHeapSnapshot {
    /// Node 20 and later: `(const HeapSnapshotOptions&)`.
    WithOptions(unsafe extern "C" fn(*mut c_void, *const c_void) -> *const c_void),
    /// Node 18: `(ActivityControl*, ObjectNameResolver*, bool hide_internals, bool capture_numeric_value)`.
    Positional(
        unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, bool, bool) -> *const c_void,
    ),
}

/// What a snapshot needs, in process and in a forked child alike.
pub(super) struct ProfilerSymbols {
    pub(super) try_get_current: unsafe extern "C" fn() -> *mut c_void,
    pub(super) get_heap_profiler: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(super) take: TakeHeapSnapshot,
    pub(super) nodes_count: unsafe extern "C" fn(*const c_void) -> c_int,
    pub(super) serialize: unsafe extern "C" fn(*const c_void, *mut c_void, c_int),
    pub(super) delete: unsafe extern "C" fn(*mut c_void),
    pub(super) start_tracking: Option<unsafe extern "C" fn(*mut c_void, bool)>,
    pub(super) request_interrupt:
        Option<unsafe extern "C" fn(*mut c_void, InterruptCallback, *mut c_void)>,
    pub(super) add_near_heap_limit_callback:
        Option<unsafe extern "C" fn(*mut c_void, NearHeapLimitCallback, *mut c_void)>,
    pub(super) remove_near_heap_limit_callback:
        Option<unsafe extern "C" fn(*mut c_void, NearHeapLimitCallback, usize)>,
    pub(super) automatically_restore_initial_heap_limit:
        Option<unsafe extern "C" fn(*mut c_void, f64)>,
    pub(super) add_gc_prologue_callback:
        Option<unsafe extern "C" fn(*mut c_void, GcCallback, *mut c_void, c_int)>,
    pub(super) heap_statistics: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    pub(super) number_of_heap_spaces: Option<unsafe extern "C" fn(*mut c_void) -> usize>,
    pub(super) heap_space_statistics:
        Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> bool>,
    pub(super) allocation_profile: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void>,
    /// `v8::String::Utf8Value`'s constructor: (place, isolate, value), and in Node 24 options, which the others, C
    /// functions to the machine, do not look at.
    pub(super) utf8_value:
        Option<unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, c_int)>,
    /// `std::set_new_handler` of the C++ library that V8 allocates with.
    pub(super) set_new_handler:
        Option<unsafe extern "C" fn(Option<extern "C" fn()>) -> *mut c_void>,
}

/// `v8::InterruptCallback`.
pub(super) type InterruptCallback = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// `v8::NearHeapLimitCallback`: `(data, current limit, initial limit)` gives the new limit.
pub(super) type NearHeapLimitCallback = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;

/// Posting a task to a worker thread of Node's platform, in the two shapes that exist. `std::unique_ptr<Task>` is
/// passed as the address of a slot that holds the pointer (Itanium ABI: not trivially copyable).
#[derive(Clone, Copy)]
pub(super) enum PostTask {
    /// Node 22 and later: `(TaskPriority, unique_ptr<Task>, const SourceLocation&)`.
    WithPriority(unsafe extern "C" fn(*mut c_void, u8, *mut *mut c_void, *const c_void)),
    /// Node 18 and 20: `(unique_ptr<Task>)`.
    Plain(unsafe extern "C" fn(*mut c_void, *mut *mut c_void)),
}

/// What the worker barrier needs besides.
pub(super) struct PlatformSymbols {
    pub(super) get_current_context: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(super) get_current_environment: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(super) get_platform: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(super) number_of_worker_threads: unsafe extern "C" fn(*mut c_void) -> c_int,
    pub(super) post_task: PostTask,
}

/// `v8::Isolate::GCCallbackWithData`: `(isolate, type, flags, data)`; the enums are `int`.
pub(super) type GcCallback = unsafe extern "C" fn(*mut c_void, c_int, c_int, *mut c_void);

/// What a monitor needs.
pub(super) struct GcCallbackSymbols {
    pub(super) add_gc_epilogue_callback:
        unsafe extern "C" fn(*mut c_void, GcCallback, *mut c_void, c_int),
    pub(super) remove_gc_epilogue_callback:
        unsafe extern "C" fn(*mut c_void, GcCallback, *mut c_void),
}

pub(super) fn profiler() -> Result<&'static ProfilerSymbols, MissingSymbol> {
    static TABLE: OnceLock<Result<ProfilerSymbols, MissingSymbol>> = OnceLock::new();
    TABLE.get_or_init(load_profiler).as_ref().map_err(|missing| *missing)
}

pub(super) fn platform() -> Result<&'static PlatformSymbols, MissingSymbol> {
    static TABLE: OnceLock<Result<PlatformSymbols, MissingSymbol>> = OnceLock::new();
    TABLE.get_or_init(load_platform).as_ref().map_err(|missing| *missing)
}

/// `cppgc::internal::PersistentRegionLock`, which is part of cppgc's public headers: constructor and destructor.
#[cfg(target_os = "linux")]
pub(super) struct CollectionLockSymbols {
    pub(super) lock: unsafe extern "C" fn(*mut c_void),
    pub(super) unlock: unsafe extern "C" fn(*mut c_void),
}

/// `None` where they are not exported.
#[cfg(target_os = "linux")]
pub(super) fn collection_lock() -> Option<&'static CollectionLockSymbols> {
    static TABLE: OnceLock<Option<CollectionLockSymbols>> = OnceLock::new();
    // SAFETY: as in `load_profiler`.
    let load = || unsafe {
        Some(CollectionLockSymbols {
            lock: find(names::LOCK_COLLECTIONS)?,
            unlock: find(names::UNLOCK_COLLECTIONS)?,
        })
    };
    TABLE.get_or_init(load).as_ref()
}

/// `node::worker::Worker::NearHeapLimit`. `None` where it is not exported.
#[cfg(target_os = "linux")]
pub(super) fn worker_near_heap_limit() -> Option<NearHeapLimitCallback> {
    // SAFETY: a static function of that signature, says its name.
    unsafe { find(names::WORKER_NEAR_HEAP_LIMIT) }
}

pub(super) fn gc_callbacks() -> Result<&'static GcCallbackSymbols, MissingSymbol> {
    static TABLE: OnceLock<Result<GcCallbackSymbols, MissingSymbol>> = OnceLock::new();
    TABLE.get_or_init(load_gc_callbacks).as_ref().map_err(|missing| *missing)
}

/// `v8::V8::GetVersion`: `process.versions.v8` without Node's own part of it.
#[cfg(target_os = "linux")]
pub(crate) fn version() -> Option<String> {
    // SAFETY: the name fixes the signature; V8 gives a C string that stays.
    unsafe {
        let version: unsafe extern "C" fn() -> *const c_char = find(names::VERSION)?;
        Some(CStr::from_ptr(version()).to_string_lossy().into_owned())
    }
}

fn load_profiler() -> Result<ProfilerSymbols, MissingSymbol> {
    // SAFETY: each name fixes the function's signature (C++ mangling encodes the parameters), and the field that
    // receives the address has that signature.
    unsafe {
        let take = match (find(names::TAKE), find(names::TAKE_POSITIONAL)) {
            (Some(function), _) => TakeHeapSnapshot::WithOptions(function),
            (None, Some(function)) => TakeHeapSnapshot::Positional(function),
            (None, None) => return Err(MissingSymbol("v8::HeapProfiler::TakeHeapSnapshot")),
        };
        Ok(ProfilerSymbols {
            try_get_current: find(names::TRY_GET_CURRENT)
                .ok_or(MissingSymbol("v8::Isolate::TryGetCurrent"))?,
            get_heap_profiler: find(names::GET_HEAP_PROFILER)
                .ok_or(MissingSymbol("v8::Isolate::GetHeapProfiler"))?,
            take,
            nodes_count: find(names::NODES_COUNT)
                .ok_or(MissingSymbol("v8::HeapSnapshot::GetNodesCount"))?,
            serialize: find(names::SERIALIZE)
                .ok_or(MissingSymbol("v8::HeapSnapshot::Serialize"))?,
            delete: find(names::DELETE).ok_or(MissingSymbol("v8::HeapSnapshot::Delete"))?,
            start_tracking: find(names::START_TRACKING),
            request_interrupt: find(names::REQUEST_INTERRUPT),
            add_near_heap_limit_callback: find(names::ADD_NEAR_HEAP_LIMIT_CALLBACK),
            remove_near_heap_limit_callback: find(names::REMOVE_NEAR_HEAP_LIMIT_CALLBACK),
            automatically_restore_initial_heap_limit: find(names::RESTORE_HEAP_LIMIT),
            add_gc_prologue_callback: find(names::ADD_GC_PROLOGUE_CALLBACK),
            heap_statistics: find(names::HEAP_STATISTICS),
            number_of_heap_spaces: find(names::NUMBER_OF_HEAP_SPACES),
            heap_space_statistics: find(names::HEAP_SPACE_STATISTICS),
            allocation_profile: find(names::ALLOCATION_PROFILE),
            utf8_value: find(names::UTF8_VALUE),
            set_new_handler: find(names::SET_NEW_HANDLER),
        })
    }
}

fn load_platform() -> Result<PlatformSymbols, MissingSymbol> {
    // SAFETY: as in `load_profiler`.
    unsafe {
        let post_task = match (find(names::POST_TASK), find(names::POST_TASK_PLAIN)) {
            (Some(function), _) => PostTask::WithPriority(function),
            (None, Some(function)) => PostTask::Plain(function),
            (None, None) => {
                return Err(MissingSymbol("node::NodePlatform::PostTaskOnWorkerThreadImpl"));
            }
        };
        Ok(PlatformSymbols {
            get_current_context: find(names::GET_CURRENT_CONTEXT)
                .ok_or(MissingSymbol("v8::Isolate::GetCurrentContext"))?,
            get_current_environment: find(names::GET_CURRENT_ENVIRONMENT)
                .ok_or(MissingSymbol("node::GetCurrentEnvironment"))?,
            get_platform: find(names::GET_PLATFORM)
                .ok_or(MissingSymbol("node::GetMultiIsolatePlatform"))?,
            number_of_worker_threads: find(names::NUMBER_OF_WORKER_THREADS)
                .ok_or(MissingSymbol("node::NodePlatform::NumberOfWorkerThreads"))?,
            post_task,
        })
    }
}

fn load_gc_callbacks() -> Result<GcCallbackSymbols, MissingSymbol> {
    // SAFETY: as in `load_profiler`.
    unsafe {
        Ok(GcCallbackSymbols {
            add_gc_epilogue_callback: find(names::ADD_GC_EPILOGUE_CALLBACK)
                .ok_or(MissingSymbol("v8::Isolate::AddGCEpilogueCallback"))?,
            remove_gc_epilogue_callback: find(names::REMOVE_GC_EPILOGUE_CALLBACK)
                .ok_or(MissingSymbol("v8::Isolate::RemoveGCEpilogueCallback"))?,
        })
    }
}

/// The first of `names` that the process exports.
///
/// # Safety
///
/// `F` must be a function pointer type that matches the signature of every name.
unsafe fn find<F: Copy>(names: &[&CStr]) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    names.iter().find_map(|name| {
        let address = lookup(name);
        // SAFETY: `F` is a function pointer (the caller's promise), as large as the address it is made of, and the
        // address is not null.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    })
}

#[cfg(unix)]
pub(super) fn lookup(name: &CStr) -> *mut c_void {
    // SAFETY: dlsym takes any C string; RTLD_DEFAULT searches the executable and what it has loaded.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr().cast::<c_char>()) }
}

#[cfg(windows)]
fn lookup(name: &CStr) -> *mut c_void {
    unsafe extern "system" {
        fn GetModuleHandleW(name: *const u16) -> *mut c_void;
        fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: a null module name is the executable itself, which exports V8's API and is never unloaded.
    unsafe { GetProcAddress(GetModuleHandleW(std::ptr::null()), name.as_ptr()) }
}

/// Itanium mangling (Linux, macOS).
#[cfg(not(windows))]
mod names {
    use std::ffi::CStr;
    type Names = &'static [&'static CStr];

    pub(super) const TRY_GET_CURRENT: Names = &[c"_ZN2v87Isolate13TryGetCurrentEv"];
    pub(super) const GET_HEAP_PROFILER: Names = &[c"_ZN2v87Isolate15GetHeapProfilerEv"];
    pub(super) const TAKE: Names =
        &[c"_ZN2v812HeapProfiler16TakeHeapSnapshotERKNS0_19HeapSnapshotOptionsE"];
    pub(super) const TAKE_POSITIONAL: Names = &[
        c"_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_18ObjectNameResolverEbb",
        c"_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_19ContextNameResolverEbb",
    ];
    pub(super) const NODES_COUNT: Names = &[c"_ZNK2v812HeapSnapshot13GetNodesCountEv"];
    pub(super) const SERIALIZE: Names =
        &[c"_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE"];
    pub(super) const DELETE: Names = &[c"_ZN2v812HeapSnapshot6DeleteEv"];
    pub(super) const START_TRACKING: Names = &[c"_ZN2v812HeapProfiler24StartTrackingHeapObjectsEb"];
    pub(super) const REQUEST_INTERRUPT: Names =
        &[c"_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_"];
    pub(super) const ADD_NEAR_HEAP_LIMIT_CALLBACK: Names =
        &[c"_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_"];
    pub(super) const REMOVE_NEAR_HEAP_LIMIT_CALLBACK: Names =
        &[c"_ZN2v87Isolate27RemoveNearHeapLimitCallbackEPFmPvmmEm"];
    pub(super) const RESTORE_HEAP_LIMIT: Names =
        &[c"_ZN2v87Isolate36AutomaticallyRestoreInitialHeapLimitEd"];
    pub(super) const HEAP_STATISTICS: Names =
        &[c"_ZN2v87Isolate17GetHeapStatisticsEPNS_14HeapStatisticsE"];
    pub(super) const NUMBER_OF_HEAP_SPACES: Names = &[c"_ZN2v87Isolate18NumberOfHeapSpacesEv"];
    pub(super) const HEAP_SPACE_STATISTICS: Names =
        &[c"_ZN2v87Isolate22GetHeapSpaceStatisticsEPNS_19HeapSpaceStatisticsEm"];
    pub(super) const ALLOCATION_PROFILE: Names = &[c"_ZN2v812HeapProfiler20GetAllocationProfileEv"];
    pub(super) const UTF8_VALUE: Names = &[
        c"_ZN2v86String9Utf8ValueC1EPNS_7IsolateENS_5LocalINS_5ValueEEE",
        c"_ZN2v86String9Utf8ValueC1EPNS_7IsolateENS_5LocalINS_5ValueEEENS0_12WriteOptionsE",
    ];
    pub(super) const SET_NEW_HANDLER: Names = &[c"_ZSt15set_new_handlerPFvvE"];
    #[cfg(target_os = "linux")]
    pub(super) const VERSION: Names = &[c"_ZN2v82V810GetVersionEv"];
    #[cfg(target_os = "linux")]
    pub(super) const LOCK_COLLECTIONS: Names = &[c"_ZN5cppgc8internal20PersistentRegionLockC1Ev"];
    #[cfg(target_os = "linux")]
    pub(super) const UNLOCK_COLLECTIONS: Names = &[c"_ZN5cppgc8internal20PersistentRegionLockD1Ev"];
    #[cfg(target_os = "linux")]
    pub(super) const WORKER_NEAR_HEAP_LIMIT: Names =
        &[c"_ZN4node6worker6Worker13NearHeapLimitEPvmm"];
    pub(super) const ADD_GC_PROLOGUE_CALLBACK: Names = &[
        c"_ZN2v87Isolate21AddGCPrologueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_",
    ];
    pub(super) const ADD_GC_EPILOGUE_CALLBACK: Names = &[
        c"_ZN2v87Isolate21AddGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_",
    ];
    pub(super) const REMOVE_GC_EPILOGUE_CALLBACK: Names = &[
        c"_ZN2v87Isolate24RemoveGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_",
    ];

    pub(super) const GET_CURRENT_CONTEXT: Names = &[c"_ZN2v87Isolate17GetCurrentContextEv"];
    pub(super) const GET_CURRENT_ENVIRONMENT: Names =
        &[c"_ZN4node21GetCurrentEnvironmentEN2v85LocalINS0_7ContextEEE"];
    pub(super) const GET_PLATFORM: Names =
        &[c"_ZN4node23GetMultiIsolatePlatformEPNS_11EnvironmentE"];
    pub(super) const NUMBER_OF_WORKER_THREADS: Names =
        &[c"_ZN4node12NodePlatform21NumberOfWorkerThreadsEv"];
    pub(super) const POST_TASK: Names = &[
        c"_ZN4node12NodePlatform26PostTaskOnWorkerThreadImplEN2v812TaskPriorityESt10unique_ptrINS1_4TaskESt14default_deleteIS4_EERKNS1_14SourceLocationE",
    ];
    pub(super) const POST_TASK_PLAIN: Names =
        &[c"_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EE"];
}

/// Microsoft mangling (official Windows builds). There is no fork there, so nothing of the platform is looked up.
#[cfg(windows)]
mod names {
    use std::ffi::CStr;
    type Names = &'static [&'static CStr];

    pub(super) const TRY_GET_CURRENT: Names = &[c"?TryGetCurrent@Isolate@v8@@SAPEAV12@XZ"];
    pub(super) const GET_HEAP_PROFILER: Names =
        &[c"?GetHeapProfiler@Isolate@v8@@QEAAPEAVHeapProfiler@2@XZ"];
    pub(super) const TAKE: Names = &[
        c"?TakeHeapSnapshot@HeapProfiler@v8@@QEAAPEBVHeapSnapshot@2@AEBUHeapSnapshotOptions@12@@Z",
    ];
    pub(super) const TAKE_POSITIONAL: Names = &[
        c"?TakeHeapSnapshot@HeapProfiler@v8@@QEAAPEBVHeapSnapshot@2@PEAVActivityControl@2@PEAVObjectNameResolver@12@_N2@Z",
    ];
    pub(super) const NODES_COUNT: Names = &[c"?GetNodesCount@HeapSnapshot@v8@@QEBAHXZ"];
    pub(super) const SERIALIZE: Names =
        &[c"?Serialize@HeapSnapshot@v8@@QEBAXPEAVOutputStream@2@W4SerializationFormat@12@@Z"];
    pub(super) const DELETE: Names = &[c"?Delete@HeapSnapshot@v8@@QEAAXXZ"];
    pub(super) const START_TRACKING: Names =
        &[c"?StartTrackingHeapObjects@HeapProfiler@v8@@QEAAX_N@Z"];
    pub(super) const REQUEST_INTERRUPT: Names =
        &[c"?RequestInterrupt@Isolate@v8@@QEAAXP6AXPEAV12@PEAX@Z1@Z"];
    pub(super) const ADD_NEAR_HEAP_LIMIT_CALLBACK: Names = &[];
    pub(super) const REMOVE_NEAR_HEAP_LIMIT_CALLBACK: Names = &[];
    pub(super) const RESTORE_HEAP_LIMIT: Names = &[];
    pub(super) const HEAP_STATISTICS: Names = &[];
    pub(super) const NUMBER_OF_HEAP_SPACES: Names = &[];
    pub(super) const HEAP_SPACE_STATISTICS: Names = &[];
    pub(super) const ALLOCATION_PROFILE: Names = &[];
    pub(super) const UTF8_VALUE: Names = &[];
    pub(super) const SET_NEW_HANDLER: Names = &[];
    pub(super) const ADD_GC_PROLOGUE_CALLBACK: Names = &[];
    pub(super) const ADD_GC_EPILOGUE_CALLBACK: Names = &[];
    pub(super) const REMOVE_GC_EPILOGUE_CALLBACK: Names = &[];

    pub(super) const GET_CURRENT_CONTEXT: Names = &[];
    pub(super) const GET_CURRENT_ENVIRONMENT: Names = &[];
    pub(super) const GET_PLATFORM: Names = &[];
    pub(super) const NUMBER_OF_WORKER_THREADS: Names = &[];
    pub(super) const POST_TASK: Names = &[];
    pub(super) const POST_TASK_PLAIN: Names = &[];
}
