//! What is particular to x86-64: which features the machine has, and registers that the kernel keeps of a thread.

use heapimage::{Entry, Machine, MemoryMarks};
use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, __get_cpuid_max};
use std::ffi::{c_int, c_void};

pub(super) const ARCHITECTURE: u32 = heapimage::ARCHITECTURE_X64;

/// arch_prctl(2).
const ARCH_GET_FS: c_int = 0x1003;
const ARCH_GET_GS: c_int = 0x1004;
/// Documentation/arch/x86/shstk.rst.
const ARCH_SHSTK_STATUS: c_int = 0x5005;

/// Why an image of this process could not go on elsewhere.
pub(super) fn unsupported() -> Option<&'static str> {
    let mut features = 0_u64;
    // SAFETY: arch_prctl writes one word, or fails where the kernel knows no shadow stacks.
    let status =
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SHSTK_STATUS, &raw mut features) };
    (status == 0 && features != 0)
        .then_some("this process has a shadow stack, which cannot be made again")
}

/// The features of this machine; all that a program of this process can have chosen code by.
pub(super) fn describe(machine: &mut Machine) {
    // SAFETY: every x86-64 has CPUID; leaves beyond the highest are not asked for.
    unsafe {
        let one = __cpuid_count(1, 0);
        let [leaf1_c, leaf1_d, leaf7_b, leaf7_c, leaf7_d, xcr0, extended_c, extended_d] =
            &mut machine.cpu;
        (*leaf1_c, *leaf1_d) = (one.ecx, one.edx);
        if __get_cpuid_max(0).0 >= 7 {
            let seven = __cpuid_count(7, 0);
            (*leaf7_b, *leaf7_c, *leaf7_d) = (seven.ebx, seven.ecx, seven.edx);
        }
        const OSXSAVE: u32 = 1 << 27;
        if one.ecx & OSXSAVE != 0 {
            asm!("xgetbv", in("ecx") 0, out("eax") *xcr0, out("edx") _, options(nomem, nostack));
        }
        if __get_cpuid_max(0x8000_0000).0 >= 0x8000_0001 {
            let extended = __cpuid_count(0x8000_0001, 0);
            (*extended_c, *extended_d) = (extended.ecx, extended.edx);
        }
    }
}

/// The calling thread's registers that a restorer has to set. In the child.
pub(super) fn note_thread(entry: &mut Entry) {
    // SAFETY: each call writes one word; the instructions store two control registers.
    unsafe {
        libc::syscall(libc::SYS_arch_prctl, ARCH_GET_FS, &raw mut entry.thread_pointer);
        libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut entry.gs_base);
        asm!("stmxcsr [{}]", in(reg) &raw mut entry.mxcsr, options(nostack));
        let mut control = 0_u16;
        asm!("fnstcw [{}]", in(reg) &raw mut control, options(nostack));
        entry.x87_control = control.into();
    }
}

/// Where glibc has a thread's rseq(2) area, relative to its thread pointer, and how long it is; `None` with another libc,
/// or where it is not registered (`__rseq_size` is 0). Asked for by the parent.
pub(super) fn rseq() -> Option<(i64, u64)> {
    // From glibc 2.40 on it says what is in use; 32 bytes are registered at least (sysdeps/unix/sysv/linux/rseq-internal.h).
    const REGISTERED: u64 = 32;
    let (size, offset) = (lookup(c"__rseq_size"), lookup(c"__rseq_offset"));
    if size.is_null() || offset.is_null() {
        return None;
    }
    // SAFETY: the names fix these types (sys/rseq.h), and neither ever changes.
    let (size, offset) = unsafe { (*size.cast::<u32>(), *offset.cast::<i64>()) };
    (size != 0).then(|| (offset, u64::from(size).max(REGISTERED)))
}

/// What the kernel and glibc have noted of the process and does not change. By the parent.
pub(super) fn describe_memory(memory: &mut MemoryMarks) {
    memory.glibc_current_break = lookup(c"__curbrk") as u64;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    // Counted from 3 on (proc_pid_stat(5)).
    let fields: Vec<u64> =
        fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    memory.start_code = field(26);
    memory.end_code = field(27);
    memory.start_stack = field(28);
    memory.start_data = field(45);
    memory.end_data = field(46);
    memory.start_brk = field(47);
    memory.arg_start = field(48);
    memory.arg_end = field(49);
    memory.env_start = field(50);
    memory.env_end = field(51);
}

/// Where the heap of brk(2) ends. In the child.
pub(super) fn current_break() -> u64 {
    // SAFETY: 0 is no address that it could be set to.
    unsafe { libc::syscall(libc::SYS_brk, 0) }.cast_unsigned()
}

fn lookup(name: &std::ffi::CStr) -> *mut c_void {
    // SAFETY: dlsym takes any C string; RTLD_DEFAULT searches the executable and what it has loaded.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn every_such_machine_has_sse2() {
        let mut machine = Machine::new_zeroed();
        describe(&mut machine);
        assert!(machine.cpu[1] & 1 << 26 != 0, "{:x?}", machine.cpu);
    }

    #[test]
    fn a_thread_has_a_pointer_and_its_control_registers() {
        let mut entry = Entry::new_zeroed();
        note_thread(&mut entry);
        assert!(entry.thread_pointer != 0);
        assert_eq!((entry.mxcsr & 0xffc0, entry.x87_control & 0x3f), (0x1f80, 0x3f));
    }

    #[test]
    fn the_kernel_has_noted_where_code_and_stack_are() {
        let mut marks = MemoryMarks::new_zeroed();
        describe_memory(&mut marks);
        let here = every_such_machine_has_sse2 as *const () as u64;
        assert!((marks.start_code..marks.end_code).contains(&here));
        assert!(marks.start_stack > 0 && marks.start_brk <= current_break());
    }
}
