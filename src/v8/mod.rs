//! V8 without its headers: safe handles over functions that are looked up by name at run time.
//!
//! One binary serves every Node version because nothing here is compiled against V8: public functions of
//! `v8::Isolate`, `v8::HeapProfiler`, `v8::HeapSnapshot` and `node::NodePlatform` are found by their mangled names
//! ([`symbols`]) and the few C++ objects that V8 calls back into are laid out by hand ([`abi`]).
//! Deliberately absent: functions of `v8::internal`, which Node hides from version 24 on. (`PersistentRegionLock` is cppgc's,
//! of its public headers.) One list of V8's own is found by what is on it ([`limit_list`]).
#![allow(unsafe_code)]

mod abi;
mod barrier;
#[cfg(target_os = "linux")]
mod collection_lock;
mod gc_watch;
mod heap_limit;
mod heap_statistics;
mod isolate;
#[cfg(target_os = "linux")]
mod limit_list;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod names;
mod platform;
mod profiler;
mod sampling;
mod symbols;
#[cfg(target_os = "linux")]
mod workerless;

#[cfg(target_os = "linux")]
pub(crate) use barrier::{Barrier, HOLD};
#[cfg(target_os = "linux")]
pub(crate) use collection_lock::CollectionLock;
pub(crate) use gc_watch::{GcWatch, OnFullGc};
#[cfg(target_os = "linux")]
pub(crate) use heap_limit::lift_heap_limit;
pub(crate) use heap_limit::{
    AtHeapLimit, HeapLimitAnswer, NearHeapLimit, YOUNG_GENERATION, ask_near_heap_limit, ask_others,
};
pub(crate) use heap_statistics::{HeapFigures, HeapSpace, heap_figures, heap_statistics};
pub(crate) use isolate::{Interrupter, Isolate, OnInterrupt};
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
pub(crate) use names::{NameCode, name_code};
pub(crate) use platform::{Platform, open_platform_gate, shut_platform_gate};
pub(crate) use profiler::{
    ChunkSink, HeapSnapshot, SnapshotOptions, profiler_available, take_heap_snapshot,
};
#[cfg(target_os = "linux")]
pub(crate) use profiler::{exit_when_allocation_fails, track_object_ids};
pub(crate) use sampling::{Sampled, sampled_allocations};
pub(crate) use symbols::MissingSymbol;
#[cfg(target_os = "linux")]
pub(crate) use symbols::version;
#[cfg(target_os = "linux")]
pub(crate) use workerless::Workerless;
