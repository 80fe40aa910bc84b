//! What the kernel and the C library remember of a process' memory.

use super::call;
use crate::arch::{address, number};
use crate::tables::Tables;
use heapimage::{Mapping, MemoryMarks};

const WRITABLE: u32 = 2;

/// `struct prctl_mm_map` of linux/prctl.h.
#[repr(C)]
struct KernelMarks {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// Where the program break was: brk(2) goes on from there. Needs no privilege, but a kernel with CONFIG_CHECKPOINT_RESTORE and
/// a container that allows it.
#[must_use]
pub fn set_kernel_marks(marks: &MemoryMarks) -> bool {
    const PR_SET_MM: usize = 35;
    const PR_SET_MM_MAP: usize = 14;
    let map = KernelMarks {
        start_code: marks.start_code,
        end_code: marks.end_code,
        start_data: marks.start_data,
        end_data: marks.end_data,
        start_brk: marks.start_brk,
        brk: marks.brk,
        start_stack: marks.start_stack,
        arg_start: marks.arg_start,
        arg_end: marks.arg_end,
        env_start: marks.env_start,
        env_end: marks.env_end,
        auxv: 0,
        auxv_size: 0,
        exe_fd: u32::MAX,
    };
    let arguments = [PR_SET_MM, PR_SET_MM_MAP, (&raw const map) as usize, size_of_val(&map), 0, 0];
    // SAFETY: the structure is only read, and the kernel checks what is in it.
    unsafe { call(number::PRCTL, arguments) }.is_ok()
}

/// Where [`set_kernel_marks`] cannot be: glibc's sbrk(3) takes a program break above the one that it asked for as success, so
/// malloc(3) would use memory that is not there. With a value in `__curbrk` above all memory its next call fails, and malloc
/// turns to mmap(2) for good (glibc, sysdeps/unix/sysv/linux/brk.c, malloc/malloc.c: sysmalloc).
///
/// # Safety
///
/// The image's memory must be mapped.
pub unsafe fn stop_glibc_break(marks: &MemoryMarks, tables: &Tables<'_>) {
    const ABOVE_ALL: u64 = 0x7fff_fff0_0000;
    if is_writable(tables, marks.glibc_current_break, 8) {
        // SAFETY: eight bytes of the image's that can be written to.
        unsafe { (address(marks.glibc_current_break) as *mut u64).write_unaligned(ABOVE_ALL) };
    }
}

/// The kernel knows nothing of the thread's area of restartable sequences (rseq(2)): it is told, or glibc is told that there
/// is none.
///
/// # Safety
///
/// The image's memory must be mapped.
pub unsafe fn register_rseq(marks: &MemoryMarks, tables: &Tables<'_>) {
    /// RSEQ_SIG of glibc on x86.
    const SIGNATURE: usize = 0x5305_3053;
    /// RSEQ_CPU_ID_REGISTRATION_FAILED, in the field `cpu_id`.
    const FAILED: i32 = -2;
    const LEAST_BYTES: u64 = 32;
    let bytes = marks.rseq_bytes.max(LEAST_BYTES);
    if bytes > heapimage::PAGE || !is_writable(tables, marks.rseq_address, bytes) {
        return;
    }
    let place = address(marks.rseq_address);
    // SAFETY: the kernel writes to this area of the image's, which can be written to. It must name no sequence (`rseq_cs`): the
    // kernel would jump to where that says before the filter is set.
    unsafe {
        ((place + 8) as *mut u64).write_unaligned(0);
        if call(number::RSEQ, [place, address(bytes), 0, SIGNATURE, 0, 0]).is_err() {
            ((place + 4) as *mut i32).write_unaligned(FAILED);
        }
    }
}

fn is_writable(tables: &Tables<'_>, place: u64, bytes: u64) -> bool {
    let fits = |mapping: &Mapping| {
        mapping.protection & WRITABLE != 0
            && place.checked_add(bytes).is_some_and(|end| end <= mapping.end)
    };
    place != 0 && tables.mapping_at(place).is_some_and(fits)
}
