//! Threads of a core, which go on where they were: cloned with their registers and XSAVE areas.

use super::{ISOLATE, current_isolate, header, snapshot};
use crate::arch::{address, cpu_words, number};
use crate::stop::Stop;
use crate::system::call;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};
use heapimage::{Header, ThreadRecord, register, thread_bytes};

/// 0 while the threads wait.
static GATE: AtomicU32 = AtomicU32::new(0);
const FUTEX_WAIT_PRIVATE: usize = 128;
const FUTEX_WAKE_PRIVATE: usize = 129;

unsafe extern "C" {
    /// Makes a thread that calls `wait_and_prepare(record)` and then goes on with the registers of `record`.
    fn from_core_start(record: *const ThreadRecord, stack: usize, thread_pointer: usize) -> isize;
    /// The same of the calling thread, without the call.
    fn from_core_go_on(record: *const ThreadRecord, stack: usize) -> !;
}

global_asm!(
    ".text",
    "from_core_start:",
    "push r12",
    "mov r12, rdi",
    "mov r8, rdx",
    // CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS (clone(2)): as pthread_create(3), without its clean-up.
    "mov edi, 0xd0f00",
    "xor edx, edx",
    "xor r10d, r10d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "pop r12",
    "ret",
    "2:",
    "xor ebp, ebp",
    "mov r13, rsp",
    "and rsp, -16",
    "mov rdi, r12",
    "call {prepare}",
    "mov rsp, r13",
    "jmp 3f",
    "from_core_go_on:",
    "mov r12, rdi",
    "mov rsp, rsi",
    "3:",
    "mov eax, -1",
    "mov edx, -1",
    "xrstor64 [r12 + 4096]",
    // `user_regs_struct`: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi.
    "mov r15, [r12]",
    "mov r14, [r12 + 8]",
    "mov r13, [r12 + 16]",
    "mov rbp, [r12 + 32]",
    "mov rbx, [r12 + 40]",
    "mov r11, [r12 + 48]",
    "mov r10, [r12 + 56]",
    "mov r9, [r12 + 64]",
    "mov r8, [r12 + 72]",
    "mov rax, [r12 + 80]",
    "mov rcx, [r12 + 88]",
    "mov rdx, [r12 + 96]",
    "mov rsi, [r12 + 104]",
    "mov rdi, [r12 + 112]",
    "mov r12, [r12 + 24]",
    // The two words that `frame` wrote below the red zone; then the stack is as it was.
    "popfq",
    "ret 128",
    prepare = sym wait_and_prepare,
);

/// Starts all but the main thread. They wait for [`let_go`].
///
/// # Errors
///
/// [`Stop::Refused`] where there can be no more threads.
///
/// # Safety
///
/// The image's memory is there.
pub(super) unsafe fn start_all(header: &Header) -> Result<(), Stop> {
    for record in records(header) {
        // SAFETY: as the caller says.
        unsafe { settle(record) };
        // SAFETY: each record is looked at once here.
        let record = unsafe { &*record };
        if record.is_main == 1 {
            continue;
        }
        // SAFETY: the thread's own stack, which nobody else is on.
        let started = unsafe {
            let stack = frame(record);
            from_core_start(record, stack, address(record.registers[register::FS_BASE]))
        };
        if started < 0 {
            let error = i32::try_from(-started).unwrap_or(i32::MAX);
            return Err(Stop::Refused { what: "a thread of it cannot be had", error });
        }
    }
    Ok(())
}

/// They go on.
pub(super) fn let_go() {
    GATE.store(1, Ordering::Release);
    // SAFETY: a word of this program's.
    let _ = unsafe {
        call(
            number::FUTEX,
            [GATE.as_ptr() as usize, FUTEX_WAKE_PRIVATE, i32::MAX as usize, 0, 0, 0],
        )
    };
}

/// The record of the main thread, if it is to go on.
pub(super) fn main_of(header: &Header) -> Option<&'static ThreadRecord> {
    // SAFETY: the records are in the image's memory, and nobody writes to them any more.
    records(header).map(|record| unsafe { &*record }).find(|record| record.is_main == 1)
}

/// The calling thread goes on with the registers of a record.
///
/// # Safety
///
/// It must be that thread's record, and nothing of its stack above the record's stack pointer may have changed.
pub(super) unsafe fn go_on(record: &ThreadRecord) -> ! {
    // SAFETY: as the caller says. This function's frame is far below: the main thread began 4 KiB below its stack pointer.
    unsafe {
        let stack = frame(record);
        from_core_go_on(record, stack)
    }
}

fn records(header: &Header) -> impl Iterator<Item = *mut ThreadRecord> {
    let stride = thread_bytes(header.machine.xsave_bytes);
    let entry = &header.entry;
    let first = entry.threads;
    (0..u64::from(entry.thread_count))
        .map(move |at| address(first + at * stride) as *mut ThreadRecord)
}

/// Makes the XSAVE area one that this CPU takes: of parts that it does not have, only those are left that were checked to be
/// here. (Intel SDM, volume 1, 13.8: XSTATE_BV, and zeros behind it, or XRSTOR faults.)
///
/// # Safety
///
/// A record, with its area behind it.
unsafe fn settle(record: *mut ThreadRecord) {
    const XSTATE_BV: usize = 512 / 8;
    const HEADER_WORDS: usize = 8;
    // SAFETY: as the caller says: the legacy part of 512 bytes and the header's 64 are in every area.
    let area = unsafe { record.add(1).cast::<u64>().add(XSTATE_BV) };
    // SAFETY: as above.
    unsafe {
        area.write(area.read() & u64::from(cpu_words()[5]));
        (1..HEADER_WORDS).for_each(|word| area.add(word).write(0));
    }
}

/// Puts the flags and the next instruction below a thread's red zone (128 bytes, psABI), from where they are popped.
///
/// # Safety
///
/// The thread's stack is there and not in use.
unsafe fn frame(record: &ThreadRecord) -> usize {
    const RED_ZONE: usize = 128;
    /// Of RFLAGS: no single steps.
    const TRAP: u64 = 0x100;
    let stack = address(record.registers[register::RSP]) - RED_ZONE - 16;
    let words = stack as *mut u64;
    // SAFETY: as the caller says.
    unsafe {
        words.write_unaligned(record.registers[register::FLAGS] & !TRAP);
        words.add(1).write_unaligned(record.registers[register::RIP]);
    }
    stack
}

/// What each thread does first, on its own stack and with its own thread pointer: it waits for the filter.
extern "C" fn wait_and_prepare(_record: *const ThreadRecord) {
    while GATE.load(Ordering::Acquire) == 0 {
        // SAFETY: a word of this program's.
        let _ = unsafe {
            call(number::FUTEX, [GATE.as_ptr() as usize, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0])
        };
    }
    let header = header();
    let isolate = current_isolate(header);
    if isolate != 0 && isolate != ISOLATE.load(Ordering::Acquire) {
        snapshot::stop_at_safe_point(header, isolate);
    }
}
