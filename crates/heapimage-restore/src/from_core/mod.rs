//! The continuation of a core file: no code of ours is in its memory, so this program, which stays at its low addresses, calls
//! V8 there.
//!
//! ```text
//! go_on             handlers (trap.rs); the filter (filter.rs); the other threads begin, and wait (threads.rs)
//! on_main_stack     a platform without workers (platform.rs); the threads go on; the main one to a safe point, or
//! snapshot::take    takes the snapshot and writes it
//! ```
//!
//! *Invariants*: nothing of the core runs before the filter is set, and nothing is written to a place of its choice. A call that would leave the process comes to
//! [`trap`]'s handler: there the main thread, which is at a place where a snapshot can be taken, takes it; the others sleep.

#![allow(unsafe_code)]

mod filter;
mod platform;
mod snapshot;
mod threads;
mod trap;

use crate::arch;
use crate::stop::Stop;
use crate::system::say::say;
use crate::system::{MESSAGES, exit};
use crate::tables::Tables;
use core::convert::Infallible;
use core::ptr::null;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use heapimage::Header;

/// The header, for code that V8 or the kernel calls. It lies on this program's own stack, which is never left.
static HEADER: AtomicPtr<Header> = AtomicPtr::new(core::ptr::null_mut());
/// The isolate that the snapshot is of; 0 before it is known.
static ISOLATE: AtomicU64 = AtomicU64::new(0);

/// Whether the threads that the image records can go on.
///
/// # Errors
///
/// [`Stop::Image`].
///
/// # Safety
///
/// The image's memory is there.
pub(crate) unsafe fn check(header: &Header, tables: &Tables<'_>) -> Result<(), Stop> {
    // SAFETY: as the caller says.
    unsafe { threads::check(header, tables) }
}

/// Makes threads of the image's records and goes on with the main one, shut in; `at_once`: it stays where it was.
///
/// # Errors
///
/// What this machine refuses.
///
/// # Safety
///
/// The image's memory is there, the tables and the threads ([`check`]) were checked, and `header` lives as long as the process.
pub(crate) unsafe fn go_on(header: &Header, at_once: bool) -> Result<Infallible, Stop> {
    HEADER.store((&raw const *header).cast_mut(), Ordering::Release);
    let main = trap::thread_number();
    // SAFETY: as the caller says; the order is that of the module's invariant.
    unsafe {
        trap::handle_signals(main);
        arch::set_thread_pointers(&header.entry);
        filter::shut_in(header.entry.output)?;
        threads::start_all(header)?;
        filter::end_threads()?;
        let function = on_main_stack as *const () as u64;
        let argument = u64::from(at_once);
        arch::jump(
            function,
            argument,
            header.entry.stack,
            header.entry.mxcsr,
            header.entry.x87_control,
        )
    }
}

/// The main thread on its own stack, in the filter.
extern "C" fn on_main_stack(at_once: u64) -> ! {
    let header = header();
    let isolate = match header.v8.isolate {
        0 => current_isolate(header),
        known => known,
    };
    if isolate == 0 {
        fail(format_args!("its main thread has no isolate: it had not begun, or was about to end"));
    }
    ISOLATE.store(isolate, Ordering::Release);
    platform::take_workers_from(header);
    threads::let_go();
    if at_once == 0
        && let Some(record) = threads::main_of(header)
    {
        snapshot::take_at_safe_point(header, isolate);
        // SAFETY: the record of this thread, whose memory is there.
        unsafe { threads::go_on(record) }
    }
    snapshot::take(isolate)
}

fn header() -> &'static Header {
    // SAFETY: set before anything runs that asks for it; see `HEADER`.
    unsafe { &*HEADER.load(Ordering::Acquire) }
}

/// The isolate that the calling thread has entered; 0 for none.
fn current_isolate(header: &Header) -> u64 {
    type CurrentIsolate = unsafe extern "C" fn() -> u64;
    // SAFETY: `v8::Isolate::TryGetCurrent()`, says the image; the thread's thread pointer is set.
    unsafe { function::<CurrentIsolate>(header.v8.current_isolate)() }
}

/// A function of the image.
///
/// # Safety
///
/// There must be one at that address, and `F` its type.
unsafe fn function<F: Copy>(at: u64) -> F {
    const { assert!(size_of::<F>() == size_of::<u64>()) };
    // SAFETY: as the caller says; a function's address.
    unsafe { core::mem::transmute_copy(&at) }
}

/// Nothing more can be done.
fn fail(why: core::fmt::Arguments<'_>) -> ! {
    say(MESSAGES, format_args!("core: {why}"));
    exit(Stop::Core("").status())
}

/// Never comes back. Other threads may go on.
fn sleep() -> ! {
    use crate::arch::number;
    const FUTEX_WAIT_PRIVATE: usize = 128;
    static NEVER: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
    let place = NEVER.as_ptr() as usize;
    loop {
        // SAFETY: waits for a word of this program's to change, which it does not.
        let _ = unsafe {
            crate::system::call(
                number::FUTEX,
                [place, FUTEX_WAIT_PRIVATE, 0, null::<u8>() as usize, 0, 0],
            )
        };
    }
}
