//! `v8::HeapProfiler`: taking a snapshot and writing it out.

use super::abi::{self, ActivityControlTable, HeapSnapshotOptions, OutputStreamTable};
use super::symbols::{self, TakeHeapSnapshot};
use super::{Isolate, MissingSymbol};
use std::ffi::{c_int, c_void};
use std::ops::ControlFlow;
use std::ptr::NonNull;

/// What V8 is to record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SnapshotOptions {
    /// V8's own objects too (`HeapSnapshotMode::kExposeInternals`).
    pub(crate) expose_internals: bool,
    /// Numbers as nodes (`NumericsMode::kExposeNumericValues`).
    pub(crate) expose_numeric_values: bool,
}

/// Receives the JSON of a snapshot.
pub(crate) trait ChunkSink {
    /// One chunk, in order. `Break` ends the serialization.
    fn write(&mut self, chunk: &[u8]) -> ControlFlow<()>;
}

/// A snapshot in V8's memory.
pub(crate) struct HeapSnapshot(NonNull<c_void>);

/// Fails when V8's profiler cannot be reached in this process.
pub(crate) fn profiler_available() -> Result<(), MissingSymbol> {
    symbols::profiler().map(|_| ())
}

/// `HeapProfiler::TakeHeapSnapshot`: collects garbage and records the heap. `None` when V8 gave up.
///
/// `progress(done, total)`, in objects, is called in between. It is not free: V8 counts the heap first, a tenth of the
/// whole time (`HeapSnapshotGenerator::GenerateSnapshot`).
///
/// Must be called on the thread that has entered `isolate` (or in a forked child of it).
///
/// # Errors
///
/// [`MissingSymbol`] where V8's profiler cannot be reached.
pub(crate) fn take_heap_snapshot(
    isolate: Isolate,
    options: SnapshotOptions,
    progress: Option<&mut dyn FnMut(u32, u32)>,
) -> Result<Option<HeapSnapshot>, MissingSymbol> {
    let table = symbols::profiler()?;
    let mut control =
        progress.map(|progress| ActivityControl { table: &ACTIVITY_CONTROL, progress });
    let control_ptr = control
        .as_mut()
        .map_or(std::ptr::null_mut(), |control| (&raw mut *control).cast::<c_void>());
    // SAFETY: the isolate is alive and entered by this thread (documented above); `control` outlives the call and is
    // laid out as V8 expects an ActivityControl.
    let snapshot = unsafe {
        let profiler = (table.get_heap_profiler)(isolate.as_ptr());
        match table.take {
            TakeHeapSnapshot::WithOptions(take) => {
                let native = HeapSnapshotOptions {
                    control: control_ptr,
                    global_object_name_resolver: std::ptr::null_mut(),
                    snapshot_mode: c_int::from(options.expose_internals),
                    numerics_mode: c_int::from(options.expose_numeric_values),
                    stack_state: 0,
                    reserved: [0; 39],
                };
                take(profiler, (&raw const native).cast())
            }
            TakeHeapSnapshot::Positional(take) => take(
                profiler,
                control_ptr,
                std::ptr::null_mut(),
                !options.expose_internals,
                options.expose_numeric_values,
            ),
        }
    };
    Ok(NonNull::new(snapshot.cast_mut()).map(HeapSnapshot))
}

impl HeapSnapshot {
    /// How many nodes were recorded.
    pub(crate) fn node_count(&self) -> u64 {
        // SAFETY: the snapshot is alive until `delete`; a table exists because the snapshot does.
        let count =
            symbols::profiler().map_or(0, |table| unsafe { (table.nodes_count)(self.0.as_ptr()) });
        u64::try_from(count).unwrap_or(0)
    }

    /// Writes the snapshot as JSON into `sink`; `true` when V8 came to the end.
    pub(crate) fn serialize(&self, sink: &mut dyn ChunkSink) -> bool {
        let Ok(table) = symbols::profiler() else { return false };
        let mut stream = OutputStream { table: &OUTPUT_STREAM, sink, ended: false };
        const JSON: c_int = 0;
        // SAFETY: the snapshot is alive; `stream` outlives the call and is laid out as V8 expects an OutputStream.
        unsafe { (table.serialize)(self.0.as_ptr(), (&raw mut stream).cast(), JSON) };
        stream.ended
    }

    /// Frees it. A forked child does not: it ends instead.
    pub(crate) fn delete(self) {
        if let Ok(table) = symbols::profiler() {
            // SAFETY: taken by value, so it is not used again.
            unsafe { (table.delete)(self.0.as_ptr()) };
        }
    }
}

/// Makes V8 give every object that is alive now an id that it keeps (`HeapProfiler::StartTrackingHeapObjects`), so
/// that snapshots of later children agree on ids. Collects garbage and walks the heap; must be called on the thread
/// that has entered `isolate`.
///
/// # Errors
///
/// [`MissingSymbol`] where V8 lacks the function.
pub(crate) fn track_object_ids(isolate: Isolate) -> Result<(), MissingSymbol> {
    let table = symbols::profiler()?;
    let start =
        table.start_tracking.ok_or(MissingSymbol("v8::HeapProfiler::StartTrackingHeapObjects"))?;
    // SAFETY: the isolate is alive and entered by this thread (documented above). `false`: no allocation stacks.
    unsafe { start((table.get_heap_profiler)(isolate.as_ptr()), false) };
    Ok(())
}

/// In a forked child: `handler` runs when C++ code (V8's snapshot above all) cannot allocate. It must not return.
pub(crate) fn exit_when_allocation_fails(handler: extern "C" fn()) {
    if let Some(set) = symbols::profiler().ok().and_then(|table| table.set_new_handler) {
        // SAFETY: std::set_new_handler stores a function pointer; the child has one thread when this is called.
        unsafe { set(Some(handler)) };
    }
}

#[repr(C)]
struct ActivityControl<'a> {
    table: *const ActivityControlTable,
    progress: &'a mut dyn FnMut(u32, u32),
}

static ACTIVITY_CONTROL: ActivityControlTable = ActivityControlTable::new(report_progress);

unsafe extern "C" fn report_progress(control: *mut c_void, done: u32, total: u32) -> c_int {
    // SAFETY: V8 hands back the object that `take_heap_snapshot` passed, which is alive and not otherwise borrowed
    // while V8 runs.
    let control = unsafe { &mut *control.cast::<ActivityControl<'_>>() };
    (control.progress)(done, total);
    abi::CONTINUE
}

#[repr(C)]
struct OutputStream<'a> {
    table: *const OutputStreamTable,
    sink: &'a mut dyn ChunkSink,
    ended: bool,
}

static OUTPUT_STREAM: OutputStreamTable =
    OutputStreamTable::new(end_of_stream, chunk_size, write_ascii_chunk);

unsafe extern "C" fn end_of_stream(stream: *mut c_void) {
    // SAFETY: V8 hands back the object that `serialize` passed; see `report_progress`.
    unsafe { (*stream.cast::<OutputStream<'_>>()).ended = true };
}

unsafe extern "C" fn chunk_size(_stream: *mut c_void) -> c_int {
    // Larger chunks gain nothing (1 % of the time is write(2)); smaller ones cost system calls.
    1 << 20
}

unsafe extern "C" fn write_ascii_chunk(stream: *mut c_void, data: *mut u8, size: c_int) -> c_int {
    // SAFETY: as in `end_of_stream`.
    let stream = unsafe { &mut *stream.cast::<OutputStream<'_>>() };
    let length = usize::try_from(size).unwrap_or(0);
    // SAFETY: V8 passes `size` bytes that live for the length of this call.
    let chunk = unsafe { std::slice::from_raw_parts(data, length) };
    match stream.sink.write(chunk) {
        ControlFlow::Continue(()) => abi::CONTINUE,
        ControlFlow::Break(()) => abi::ABORT,
    }
}
