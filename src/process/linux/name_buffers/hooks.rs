//! What V8 calls in the child instead of `operator new[]`, `operator delete[]` and vsnprintf(3).
//!
//! Only the thread that takes the snapshot is served; every other thread's call, and every call that is not about a
//! name, goes where it would have gone. No lock, no allocation: all that is read here is set once, by [`prepare`].

use super::region::{BLOCK, Region};
use super::{Function, Originals};
use std::ffi::{c_char, c_int, c_void};
use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

type New = unsafe extern "C-unwind" fn(usize) -> *mut c_void;
type Delete = unsafe extern "C-unwind" fn(*mut c_void);
type DeleteSized = unsafe extern "C-unwind" fn(*mut c_void, usize);
type Format = unsafe extern "C" fn(*mut c_char, usize, *const c_char, *mut c_void) -> c_int;

static REGION: Region = Region::new();
static OWNER: AtomicUsize = AtomicUsize::new(0);
static FORMATTER_START: AtomicUsize = AtomicUsize::new(0);
static FORMATTER_END: AtomicUsize = AtomicUsize::new(0);
static NEW: AtomicUsize = AtomicUsize::new(0);
static DELETE: AtomicUsize = AtomicUsize::new(0);
static DELETE_SIZED: AtomicUsize = AtomicUsize::new(0);
static FORMAT: AtomicUsize = AtomicUsize::new(0);

/// Before any slot points to these functions. `formatter`: V8's function that formats names. The calling thread is the
/// one that is served. `false` when there is no address space.
pub(super) fn prepare(originals: &Originals, formatter: &Range<usize>) -> bool {
    NEW.store(originals.new, Relaxed);
    DELETE.store(originals.delete, Relaxed);
    DELETE_SIZED.store(originals.delete_sized.unwrap_or(0), Relaxed);
    FORMAT.store(originals.format, Relaxed);
    FORMATTER_START.store(formatter.start, Relaxed);
    FORMATTER_END.store(formatter.end, Relaxed);
    OWNER.store(this_thread(), Relaxed);
    REGION.reserve()
}

/// What a slot of `function` is to hold.
pub(super) fn replacement(function: Function) -> usize {
    match function {
        Function::New => new as *const () as usize,
        Function::Delete => delete as *const () as usize,
        Function::DeleteSized => delete_sized as *const () as usize,
        Function::Format => format as *const () as usize,
    }
}

/// Whether the functions in `new`, `delete` and `format`, as read from slots, are these and do what they are for.
///
/// # Safety
///
/// They must be addresses of `operator new[]`, `operator delete[]` and `vsnprintf`, or of their replacements.
pub(super) unsafe fn answer(new: usize, delete: usize, format: usize) -> bool {
    const TEXT: &[u8] = b"heapdump\0";
    // SAFETY: the caller's promise gives the signatures. Blocks are used within their size and given back once; the
    // format has no conversion, so the empty argument list (`__va_list_tag`, 24 bytes) is not read.
    unsafe {
        let new: New = std::mem::transmute(new);
        let delete: Delete = std::mem::transmute(delete);
        let format: Format = std::mem::transmute(format);
        let name = new(BLOCK);
        let other = new(BLOCK - 1);
        let ours = REGION.contains(name as usize);
        let foreign = !other.is_null() && !REGION.contains(other as usize);
        let mut no_arguments = [0_u64; 3];
        let length = if ours {
            format(name.cast(), BLOCK, TEXT.as_ptr().cast(), no_arguments.as_mut_ptr().cast())
        } else {
            -1
        };
        let formatted = usize::try_from(length) == Ok(TEXT.len() - 1)
            && std::slice::from_raw_parts(name.cast::<u8>(), TEXT.len()) == TEXT;
        delete(other);
        delete(name);
        // A block that was given back is the next.
        let again = new(BLOCK);
        delete(again);
        formatted && foreign && again == name
    }
}

unsafe extern "C-unwind" fn new(size: usize) -> *mut c_void {
    if size == BLOCK
        && this_thread() == OWNER.load(Relaxed)
        && let Some(block) = REGION.allocate()
    {
        return block as *mut c_void;
    }
    // SAFETY: `prepare` stored the address of operator new[], and the arguments are passed on.
    unsafe { std::mem::transmute::<usize, New>(NEW.load(Relaxed))(size) }
}

unsafe extern "C-unwind" fn delete(block: *mut c_void) {
    if !take_back(block) {
        // SAFETY: `prepare` stored the address of operator delete[]; the block is not ours.
        unsafe { std::mem::transmute::<usize, Delete>(DELETE.load(Relaxed))(block) };
    }
}

unsafe extern "C-unwind" fn delete_sized(block: *mut c_void, size: usize) {
    if !take_back(block) {
        // SAFETY: as in `delete`; a slot leads here only where there was an original.
        unsafe {
            std::mem::transmute::<usize, DeleteSized>(DELETE_SIZED.load(Relaxed))(block, size);
        }
    }
}

/// Whether the block is ours. One that another thread frees is lost.
fn take_back(block: *mut c_void) -> bool {
    let ours = REGION.contains(block as usize);
    if ours && this_thread() == OWNER.load(Relaxed) {
        REGION.give_back(block as usize);
    }
    ours
}

/// vsnprintf(3): hands its caller's address, which is on top of the stack, to [`format_for`] as a fifth argument.
#[unsafe(naked)]
unsafe extern "C" fn format(
    buffer: *mut c_char,
    size: usize,
    text: *const c_char,
    arguments: *mut c_void,
) -> c_int {
    std::arch::naked_asm!(
        "endbr64",
        "mov r8, qword ptr [rsp]",
        "jmp {format_for}",
        format_for = sym format_for,
    )
}

unsafe extern "C" fn format_for(
    buffer: *mut c_char,
    size: usize,
    text: *const c_char,
    arguments: *mut c_void,
    caller: usize,
) -> c_int {
    // SAFETY: `prepare` stored the address of vsnprintf, and the caller's arguments are passed on.
    let length = unsafe {
        std::mem::transmute::<usize, Format>(FORMAT.load(Relaxed))(buffer, size, text, arguments)
    };
    // Others may format and then append. V8's function is called by `GetVFormatted` alone with such a block; that reads
    // the text and keeps or frees it.
    let by_v8 = FORMATTER_START.load(Relaxed) < caller && caller <= FORMATTER_END.load(Relaxed);
    if size == BLOCK
        && by_v8
        && this_thread() == OWNER.load(Relaxed)
        && let Ok(length) = usize::try_from(length)
        && length < BLOCK
    {
        REGION.cut(buffer as usize, length + 1);
    }
    length
}

fn this_thread() -> usize {
    // SAFETY: no preconditions; glibc reads a register.
    let thread = unsafe { libc::pthread_self() };
    usize::try_from(thread).unwrap_or(0)
}
