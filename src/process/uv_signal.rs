//! A native signal watcher on a libuv loop of its own thread.
//!
//! Not a plain sigaction(2): when a JavaScript listener for the same signal comes and goes, libuv resets the
//! disposition and a handler that it does not know of is lost. A `uv_signal_t` (src/unix/signal.c of libuv) counts,
//! and JavaScript listeners get every signal as well. The loop is ours, so a busy JavaScript thread does not delay it.

use super::thread::spawn_quiet;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Calls `on_signal` on a thread of its own for each delivery of `signal`, from now until the process ends. An earlier
/// native handler that is not Node's is called first, in signal context, as before.
///
/// # Errors
///
/// `AlreadyExists` on a second call; `Unsupported` when the process does not export libuv; else libuv's error.
pub(crate) fn watch_signal(signal: i32, on_signal: fn()) -> io::Result<()> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    let libuv = Libuv::load().ok_or(io::ErrorKind::Unsupported)?;
    if INSTALLED.swap(true, Relaxed) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    ON_SIGNAL.store(on_signal as usize, Relaxed);
    let earlier = current_action(signal);
    let started = libuv.start(signal);
    if started.is_err() {
        INSTALLED.store(false, Relaxed);
        return started;
    }
    if let Some(earlier) = earlier.filter(|action| is_foreign(action, &libuv)) {
        chain::install(signal, earlier);
    }
    Ok(())
}

/// A `fn()`; set before the watcher starts.
static ON_SIGNAL: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn dispatch(_handle: *mut c_void, _signal: c_int) {
    let address = ON_SIGNAL.load(Relaxed);
    // SAFETY: the only value that is ever stored, before this callback is registered, is a `fn()`.
    let on_signal: fn() = unsafe { std::mem::transmute(address) };
    let _ = std::panic::catch_unwind(on_signal);
}

/// The functions of libuv that Node exports (uv.h; stable through libuv 1.x).
struct Libuv {
    loop_size: unsafe extern "C" fn() -> usize,
    loop_init: unsafe extern "C" fn(*mut c_void) -> c_int,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    signal_init: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    signal_start:
        unsafe extern "C" fn(*mut c_void, unsafe extern "C" fn(*mut c_void, c_int), c_int) -> c_int,
}

impl Libuv {
    fn load() -> Option<Libuv> {
        // SAFETY: each name fixes a signature of uv.h, and its field has it.
        unsafe {
            Some(Libuv {
                loop_size: find(c"uv_loop_size")?,
                loop_init: find(c"uv_loop_init")?,
                run: find(c"uv_run")?,
                handle_size: find(c"uv_handle_size")?,
                signal_init: find(c"uv_signal_init")?,
                signal_start: find(c"uv_signal_start")?,
            })
        }
    }

    /// Installs the watcher at once and runs its loop on a thread that lives as long as the process.
    fn start(&self, signal: i32) -> io::Result<()> {
        const UV_SIGNAL: c_int = 16;
        const UV_RUN_DEFAULT: c_int = 0;
        // The thread first: a watcher that nobody runs would swallow the signal.
        let (hand_over, loops) = std::sync::mpsc::channel::<usize>();
        let run = self.run;
        spawn_quiet("heapdump-signal", move || {
            if let Ok(uv_loop) = loops.recv() {
                // SAFETY: see below; from here on this thread alone uses the loop.
                unsafe { run(uv_loop as *mut c_void, UV_RUN_DEFAULT) };
            }
        })?;
        // SAFETY: both objects are as large and as aligned as libuv says, live for ever (leaked on purpose: handlers
        // cannot be taken back safely while a signal may be under way), and are used by one thread at a time: this one
        // until it hands them over.
        unsafe {
            let uv_loop = allocate((self.loop_size)());
            check((self.loop_init)(uv_loop))?;
            let handle = allocate((self.handle_size)(UV_SIGNAL));
            check((self.signal_init)(uv_loop, handle))?;
            check((self.signal_start)(handle, dispatch, signal))?;
            // The receiver waits for it.
            let _ = hand_over.send(uv_loop as usize);
        }
        Ok(())
    }
}

/// Zeroed memory, aligned for any C type, that is never freed.
fn allocate(size: usize) -> *mut c_void {
    Box::leak(vec![0_u128; size.div_ceil(size_of::<u128>())].into_boxed_slice()).as_mut_ptr().cast()
}

fn check(status: c_int) -> io::Result<()> {
    // libuv's errors are negated errno values on Unix.
    if status < 0 { Err(io::Error::from_raw_os_error(-status)) } else { Ok(()) }
}

/// # Safety
///
/// `F` must be a function pointer with the signature of `name`.
pub(super) unsafe fn find<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: dlsym takes any C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: not null, and of the type that the caller promises.
    (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
}

fn current_action(signal: i32) -> Option<libc::sigaction> {
    // SAFETY: reads the action of one signal into a valid place.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0).then_some(action)
    }
}

/// Whether a handler belongs to neither libuv nor Node itself (the inspector's for SIGUSR1): another addon's.
fn is_foreign(action: &libc::sigaction, libuv: &Libuv) -> bool {
    let handler = action.sa_sigaction;
    handler != libc::SIG_DFL
        && handler != libc::SIG_IGN
        && object_of(handler) != object_of(libuv.signal_start as *const () as usize)
}

/// Where the executable or library that holds `address` is loaded.
fn object_of(address: usize) -> usize {
    // SAFETY: dladdr reads tables of the dynamic linker and writes to `info`.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address as *const c_void, &raw mut info) == 0 {
            0
        } else {
            info.dli_fbase as usize
        }
    }
}

/// A handler in front of libuv's that calls an earlier one first.
mod chain {
    use super::*;
    use std::sync::OnceLock;

    struct Links {
        earlier: libc::sigaction,
        libuv: libc::sigaction,
    }

    static LINKS: OnceLock<Links> = OnceLock::new();

    pub(super) fn install(signal: i32, earlier: libc::sigaction) {
        let Some(libuv) = current_action(signal) else { return };
        if LINKS.set(Links { earlier, libuv }).is_err() {
            return;
        }
        // SAFETY: `relay` has the signature of an SA_SIGINFO handler and calls only handlers that were installed for
        // this signal.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = relay as *const () as usize;
            action.sa_flags =
                libc::SA_SIGINFO | libc::SA_RESTART | (earlier.sa_flags & libc::SA_ONSTACK);
            action.sa_mask = earlier.sa_mask;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }

    /// Signal handler: does nothing but call two others.
    extern "C" fn relay(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        if let Some(links) = LINKS.get() {
            call(&links.earlier, signal, info, context);
            call(&links.libuv, signal, info, context);
        }
    }

    fn call(
        action: &libc::sigaction,
        signal: c_int,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) {
        // SAFETY: sigaction(2): with SA_SIGINFO the handler takes three arguments, otherwise one; neither action is
        // SIG_DFL or SIG_IGN (`is_foreign`; libuv's is a function).
        unsafe {
            if action.sa_flags & libc::SA_SIGINFO != 0 {
                let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(action.sa_sigaction);
                handler(signal, info, context);
            } else {
                let handler: extern "C" fn(c_int) = std::mem::transmute(action.sa_sigaction);
                handler(signal);
            }
        }
    }
}
