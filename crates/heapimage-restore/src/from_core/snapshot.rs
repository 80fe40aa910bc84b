//! V8's profiler, called from outside of its process' code. Shapes as in src/v8/abi.rs of the addon: `v8-profiler.h`.

use super::{fail, function, header};
use crate::system::say::say;
use crate::system::{Descriptor, MESSAGES, exit};
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};
use heapimage::Header;

/// Once it is so, nothing else is to be done on the main thread.
static IS_TAKING: AtomicBool = AtomicBool::new(false);

/// Whether the main thread is inside of [`take`].
pub(super) fn is_taking() -> bool {
    IS_TAKING.load(Ordering::Acquire)
}

type Interrupt = unsafe extern "C" fn(*mut c_void, *mut c_void);
type RequestInterrupt = unsafe extern "C" fn(u64, Interrupt, *mut c_void);
type NearHeapLimit = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;
type AddNearHeapLimit = unsafe extern "C" fn(u64, NearHeapLimit, *mut c_void);
type GetHeapProfiler = unsafe extern "C" fn(u64) -> *mut c_void;
type TakeWithOptions = unsafe extern "C" fn(*mut c_void, *const c_void) -> *const c_void;
type TakePositional =
    unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, bool, bool) -> *const c_void;
type Serialize = unsafe extern "C" fn(*const c_void, *mut c_void, c_int);

/// V8 calls [`take`] where the main thread, which goes on now, comes to the next safe point.
pub(super) fn take_at_safe_point(header: &Header, isolate: u64) {
    // SAFETY: `Isolate::RequestInterrupt`, says the image, which may be called at any time.
    unsafe {
        function::<RequestInterrupt>(header.v8.request_interrupt)(isolate, interrupted, null_mut());
    }
}

unsafe extern "C" fn interrupted(isolate: *mut c_void, _data: *mut c_void) {
    take(isolate as u64)
}

/// Another isolate's thread sleeps at its next safe point, when it holds no lock any more.
pub(super) fn stop_at_safe_point(header: &Header, isolate: u64) {
    if header.v8.request_interrupt != 0 {
        // SAFETY: as in `take_at_safe_point`.
        unsafe {
            function::<RequestInterrupt>(header.v8.request_interrupt)(isolate, stopped, null_mut());
        }
    }
}

unsafe extern "C" fn stopped(_isolate: *mut c_void, _data: *mut c_void) {
    super::sleep()
}

/// Takes the snapshot of the isolate, writes it and ends the process. On the thread that has entered the isolate.
pub(super) fn take(isolate: u64) -> ! {
    IS_TAKING.store(true, Ordering::Release);
    say(MESSAGES, format_args!("takes"));
    let header = header();
    let v8 = &header.v8;
    // `v8::HeapProfiler::HeapSnapshotOptions`: zeros are the defaults of each version.
    let options = [0_u64; 8];
    // SAFETY: the functions that the image says, on the isolate's thread, where it has entered it.
    let snapshot = unsafe {
        function::<AddNearHeapLimit>(v8.add_near_heap_limit_callback)(isolate, lift, null_mut());
        let profiler = function::<GetHeapProfiler>(v8.heap_profiler)(isolate);
        if v8.take_with_options == 0 {
            let take = function::<TakePositional>(v8.take_positional);
            take(profiler, null_mut(), null_mut(), true, false)
        } else {
            function::<TakeWithOptions>(v8.take_with_options)(profiler, options.as_ptr().cast())
        }
    };
    if snapshot.is_null() {
        fail(format_args!("V8 took no snapshot"));
    }
    let mut stream =
        Stream { table: &STREAM, output: header.entry.output, is_complete: false, error: 0 };
    const JSON: c_int = 0;
    // SAFETY: the snapshot is alive; `stream` outlives the call and is laid out as V8 expects an OutputStream.
    unsafe {
        function::<Serialize>(v8.serialize)(snapshot, (&raw mut stream).cast(), JSON);
    }
    if stream.error != 0 {
        let error = stream.error;
        say(MESSAGES, format_args!("output: the snapshot cannot be written (error {error})"));
        exit(OUTPUT_FAILED)
    }
    if !stream.is_complete {
        fail(format_args!("V8 did not come to the end of the snapshot"));
    }
    exit(0)
}

/// What the program ends with when its output fails.
const OUTPUT_FAILED: i32 = 6;

/// V8's heap may grow beyond its limit (src/v8/heap_limit.rs).
unsafe extern "C" fn lift(_data: *mut c_void, current: usize, _initial: usize) -> usize {
    current.max(usize::MAX >> 24)
}

/// An object of `v8::OutputStream`: its table (Itanium ABI), and what is ours.
#[repr(C)]
struct Stream {
    table: *const StreamTable,
    output: u32,
    is_complete: bool,
    /// The number of the first error of a write.
    error: i32,
}

#[repr(C)]
struct StreamTable {
    destructors: [unsafe extern "C" fn(*mut c_void); 2],
    end_of_stream: unsafe extern "C" fn(*mut Stream),
    chunk_size: unsafe extern "C" fn(*mut Stream) -> c_int,
    write_ascii_chunk: unsafe extern "C" fn(*mut Stream, *const u8, c_int) -> c_int,
    write_heap_stats_chunk: unsafe extern "C" fn(*mut Stream, *mut c_void, c_int) -> c_int,
}

static STREAM: StreamTable = StreamTable {
    destructors: [leave_alone; 2],
    end_of_stream,
    chunk_size,
    write_ascii_chunk,
    write_heap_stats_chunk: refuse_heap_stats,
};

const CONTINUE: c_int = 0;
const ABORT: c_int = 1;

unsafe extern "C" fn leave_alone(_stream: *mut c_void) {}

unsafe extern "C" fn end_of_stream(stream: *mut Stream) {
    // SAFETY: V8 hands back the object that it was given.
    unsafe { (*stream).is_complete = true };
}

unsafe extern "C" fn chunk_size(_stream: *mut Stream) -> c_int {
    1 << 20
}

unsafe extern "C" fn write_ascii_chunk(stream: *mut Stream, data: *const u8, size: c_int) -> c_int {
    // SAFETY: as above; V8 passes `size` bytes that live for the length of this call.
    let (stream, bytes) = unsafe {
        (&mut *stream, core::slice::from_raw_parts(data, usize::try_from(size).unwrap_or(0)))
    };
    match Descriptor(stream.output).write(bytes) {
        Ok(()) => CONTINUE,
        Err(error) => {
            stream.error = error;
            ABORT
        }
    }
}

unsafe extern "C" fn refuse_heap_stats(
    _stream: *mut Stream,
    _data: *mut c_void,
    _count: c_int,
) -> c_int {
    ABORT
}
