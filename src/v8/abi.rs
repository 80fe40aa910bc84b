//! C++ objects made by hand: V8 calls their virtual functions through tables that are laid out here.
//!
//! Itanium ABI (Linux, macOS): an object starts with a pointer to the first function of its class's table; a virtual
//! destructor takes two slots (complete, deleting). Microsoft ABI: one slot. `v8-profiler.h` and `v8-platform.h` fix
//! the order of the rest, unchanged from Node 18 to 26.

use std::ffi::{c_int, c_void};

/// `OutputStream::WriteResult` and `ActivityControl::ControlOption`.
pub(super) const CONTINUE: c_int = 0;
/// The same: end the serialization.
pub(super) const ABORT: c_int = 1;

type Destructor = unsafe extern "C" fn(*mut c_void);

#[repr(C)]
struct Destructors {
    complete: Destructor,
    #[cfg(not(windows))]
    deleting: Destructor,
}

impl Destructors {
    const fn of(complete: Destructor, deleting: Destructor) -> Destructors {
        #[cfg(windows)]
        {
            let _ = complete;
            Destructors { complete: deleting }
        }
        #[cfg(not(windows))]
        Destructors { complete, deleting }
    }
}

/// V8 never destroys streams and controls: the caller owns them.
unsafe extern "C" fn leave_alone(_object: *mut c_void) {}

/// Functions of `v8::OutputStream`, in the order of `v8-profiler.h`.
#[repr(C)]
pub(super) struct OutputStreamTable {
    destructors: Destructors,
    end_of_stream: unsafe extern "C" fn(*mut c_void),
    get_chunk_size: unsafe extern "C" fn(*mut c_void) -> c_int,
    write_ascii_chunk: unsafe extern "C" fn(*mut c_void, *mut u8, c_int) -> c_int,
    write_heap_stats_chunk: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int,
}

impl OutputStreamTable {
    pub(super) const fn new(
        end_of_stream: unsafe extern "C" fn(*mut c_void),
        get_chunk_size: unsafe extern "C" fn(*mut c_void) -> c_int,
        write_ascii_chunk: unsafe extern "C" fn(*mut c_void, *mut u8, c_int) -> c_int,
    ) -> OutputStreamTable {
        OutputStreamTable {
            destructors: Destructors::of(leave_alone, leave_alone),
            end_of_stream,
            get_chunk_size,
            write_ascii_chunk,
            write_heap_stats_chunk: refuse_heap_stats,
        }
    }
}

unsafe extern "C" fn refuse_heap_stats(
    _stream: *mut c_void,
    _data: *mut c_void,
    _count: c_int,
) -> c_int {
    ABORT
}

/// Functions of `v8::ActivityControl`.
#[repr(C)]
pub(super) struct ActivityControlTable {
    destructors: Destructors,
    report_progress_value: unsafe extern "C" fn(*mut c_void, u32, u32) -> c_int,
}

impl ActivityControlTable {
    pub(super) const fn new(
        report_progress_value: unsafe extern "C" fn(*mut c_void, u32, u32) -> c_int,
    ) -> ActivityControlTable {
        ActivityControlTable {
            destructors: Destructors::of(leave_alone, leave_alone),
            report_progress_value,
        }
    }
}

/// Functions of `v8::Task`. The platform owns its tasks: it runs one, then deletes it.
#[repr(C)]
pub(super) struct TaskTable {
    destructors: Destructors,
    run: unsafe extern "C" fn(*mut c_void),
}

impl TaskTable {
    pub(super) const fn new(
        complete: unsafe extern "C" fn(*mut c_void),
        deleting: unsafe extern "C" fn(*mut c_void),
        run: unsafe extern "C" fn(*mut c_void),
    ) -> TaskTable {
        TaskTable { destructors: Destructors::of(complete, deleting), run }
    }
}

/// `v8::HeapProfiler::HeapSnapshotOptions`, padded with zeros for fields that later versions add: a zero is the
/// default of each field there is (`v8-profiler.h`).
#[repr(C)]
pub(super) struct HeapSnapshotOptions {
    pub(super) control: *mut c_void,
    pub(super) global_object_name_resolver: *mut c_void,
    /// 0 regular, 1 expose internals.
    pub(super) snapshot_mode: c_int,
    /// 0 hide numeric values, 1 expose them.
    pub(super) numerics_mode: c_int,
    /// `cppgc::EmbedderStackState`: 0 may contain heap pointers.
    pub(super) stack_state: u8,
    pub(super) reserved: [u8; 39],
}

const _: () = assert!(size_of::<HeapSnapshotOptions>() == 64);
