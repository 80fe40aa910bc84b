//! Threads of a core, which go on where they were: cloned with their registers and XSAVE areas.

use super::{ISOLATE, current_isolate, header, snapshot};
use crate::arch::{AVX512_PARTS, KEYS_PART, address, avx512_offset, cpu_words, number};
use crate::stop::Stop;
use crate::system::call;
use crate::tables::Tables;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, Ordering};
use heapimage::{Header, ThreadRecord, register, thread_bytes};

/// 0 while the threads wait.
static GATE: AtomicU32 = AtomicU32::new(0);
/// CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS (clone(2)): as pthread_create(3), without its clean-up.
pub(super) const CLONE_FLAGS: u32 = 0xd_0f00;
const FUTEX_WAKE_PRIVATE: usize = 129;

unsafe extern "C" {
    /// Makes a thread that waits for [`GATE`], without touching its stack; then it calls `prepare(record)` and goes on with the
    /// registers of `record`.
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
    "mov edi, {flags}",
    "xor edx, edx",
    "xor r10d, r10d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "pop r12",
    "ret",
    "2:",
    // FUTEX_WAIT_PRIVATE while there is zero. Until then nothing is written to memory: the stack is where the image says.
    "lea rdi, [rip + {gate}]",
    "cmp dword ptr [rdi], 0",
    "jne 4f",
    "mov esi, 128",
    "xor edx, edx",
    "xor r10d, r10d",
    "mov eax, 202",
    "syscall",
    "jmp 2b",
    "4:",
    "xor ebp, ebp",
    "and rsp, -16",
    "mov rdi, r12",
    "call {prepare}",
    "mov rsp, rax",
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
    flags = const CLONE_FLAGS,
    gate = sym GATE,
    prepare = sym prepare,
);

/// Whether every record is of a thread that can go on.
///
/// # Errors
///
/// [`Stop::Image`] at the first that is not.
///
/// # Safety
///
/// The image's memory is there.
pub(super) unsafe fn check(header: &Header, tables: &Tables<'_>) -> Result<(), Stop> {
    // SAFETY: as the caller says: `tables` were checked, and with them where the records are.
    records(header).try_for_each(|record| Ok(tables.check_thread(unsafe { &*record })?))
}

/// Starts all but the main thread. They wait for [`let_go`], and until then nothing of the image's is written to.
///
/// # Errors
///
/// [`Stop::Refused`] where there can be no more threads.
///
/// # Safety
///
/// The image's memory is there, and its threads were checked ([`check`]).
pub(super) unsafe fn start_all(header: &Header) -> Result<(), Stop> {
    for record in records(header) {
        // SAFETY: as the caller says, and nobody writes to it meanwhile.
        let record = unsafe { &*record };
        if record.is_main == 1 {
            continue;
        }
        // SAFETY: the thread's own stack, which nobody else is on.
        let started = unsafe {
            let stack = address(record.registers[register::RSP] - ThreadRecord::BELOW_STACK);
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
pub(super) fn main_of(header: &Header) -> Option<*mut ThreadRecord> {
    // SAFETY: the records are in the image's memory.
    records(header).find(|&record| unsafe { (*record).is_main } == 1)
}

/// The calling thread goes on with the registers of a record.
///
/// # Safety
///
/// It must be that thread's record, and nothing of its stack above the record's stack pointer may have changed.
pub(super) unsafe fn go_on(record: *mut ThreadRecord) -> ! {
    // SAFETY: as the caller says. This function's frame is far below: the main thread began 4 KiB below its stack pointer.
    unsafe {
        settle(record, parts(header()));
        let stack = frame(&*record);
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

/// Where AVX-512's parts begin in an area of an Intel CPU, and where they end at the least.
const INTEL_AVX512: u32 = 1088;
const INTEL_AVX512_END: u32 = 2688;

/// The parts of the core's XSAVE areas that this CPU takes.
fn parts(header: &Header) -> u32 {
    parts_that_fit(header.machine.xsave_bytes, cpu_words()[5], avx512_offset())
}

/// Of areas of so many bytes the parts that a CPU takes as they are: those that it has, and none of AVX-512 where it has them at
/// another offset, nor the rights of protection keys, which come behind it. So it is where the core is of another maker's CPU; and
/// gdb before 14 writes Intel's layout on AMD's CPUs, and what stands there is chance. What a thread keeps there is of a copy of
/// memory, which it was stopped in.
fn parts_that_fit(area_bytes: u32, parts: u32, avx512_offset: u32) -> u32 {
    let is_intels = area_bytes >= INTEL_AVX512_END;
    if is_intels == (avx512_offset == INTEL_AVX512) {
        parts
    } else {
        parts & !(AVX512_PARTS | KEYS_PART)
    }
}

/// Makes the XSAVE area one that this CPU takes: of its parts only those are left. (Intel SDM, volume 1, 13.8: XSTATE_BV, and
/// zeros behind it, or XRSTOR faults.)
///
/// # Safety
///
/// A record, with its area behind it.
unsafe fn settle(record: *mut ThreadRecord, parts: u32) {
    const XSTATE_BV: usize = 512 / 8;
    const HEADER_WORDS: usize = 8;
    // SAFETY: as the caller says: the legacy part of 512 bytes and the header's 64 are in every area.
    let area = unsafe { record.add(1).cast::<u64>().add(XSTATE_BV) };
    // SAFETY: as above.
    unsafe {
        area.write(area.read() & u64::from(parts));
        (1..HEADER_WORDS).for_each(|word| area.add(word).write(0));
    }
}

/// Puts the flags and the next instruction below a thread's red zone, from where they are popped. In the filter: the place is
/// the image's choice.
///
/// # Safety
///
/// The thread's stack is there and not in use.
unsafe fn frame(record: &ThreadRecord) -> usize {
    /// Of RFLAGS: no single steps.
    const TRAP: u64 = 0x100;
    let stack = address(record.registers[register::RSP].wrapping_sub(ThreadRecord::BELOW_STACK));
    let words = stack as *mut u64;
    // SAFETY: as the caller says.
    unsafe {
        words.write_unaligned(record.registers[register::FLAGS] & !TRAP);
        words.add(1).write_unaligned(record.registers[register::RIP]);
    }
    stack
}

/// What each thread does first when it goes on, in the filter, on its own stack and with its own thread pointer. Gives the
/// stack that its registers are taken from.
unsafe extern "C" fn prepare(record: *mut ThreadRecord) -> usize {
    let header = header();
    // SAFETY: the thread's record; its stack is not in use above this function's frame.
    let stack = unsafe {
        settle(record, parts(header));
        frame(&*record)
    };
    let isolate = current_isolate(header);
    if isolate != 0 && isolate != ISOLATE.load(Ordering::Acquire) {
        snapshot::stop_at_safe_point(header, isolate);
    }
    stack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_of_avx_512_are_left_out_where_they_stand_elsewhere() {
        const ALL: u32 = 0x2e7;
        const AMD_AVX512: u32 = 832;
        // Without and with protection keys, as kernels write them.
        for (intels, amds) in [(2688, 2432), (2696, 2440)] {
            assert_eq!(parts_that_fit(intels, ALL, INTEL_AVX512), ALL);
            assert_eq!(parts_that_fit(amds, ALL, AMD_AVX512), ALL);
            assert_eq!(parts_that_fit(intels, ALL, AMD_AVX512), 7);
            assert_eq!(parts_that_fit(amds, ALL, INTEL_AVX512), 7);
        }
    }
}
