//! What is x86-64's alone: how system calls are made, what the CPU can, and the jump.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use heapimage::{ARCHITECTURE_X64, Entry};

/// The images that are restored here.
pub const ARCHITECTURE: u32 = ARCHITECTURE_X64;
/// AUDIT_ARCH_X86_64 of linux/audit.h.
pub const AUDIT_ARCHITECTURE: u32 = 0xc000_003e;

/// Numbers of system calls (`arch/x86/entry/syscalls/syscall_64.tbl`).
#[expect(missing_docs, reason = "the kernel's own names")]
pub mod number {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const OPEN: u32 = 2;
    pub const CLOSE: u32 = 3;
    pub const FSTAT: u32 = 5;
    pub const MMAP: u32 = 9;
    pub const MPROTECT: u32 = 10;
    pub const MUNMAP: u32 = 11;
    pub const BRK: u32 = 12;
    pub const PREAD64: u32 = 17;
    pub const SCHED_YIELD: u32 = 24;
    pub const MREMAP: u32 = 25;
    pub const MADVISE: u32 = 28;
    pub const EXIT: u32 = 60;
    pub const GETTIMEOFDAY: u32 = 96;
    pub const GETUID: u32 = 102;
    pub const GETGROUPS: u32 = 115;
    pub const SETGROUPS: u32 = 116;
    pub const SETRESUID: u32 = 117;
    pub const SETRESGID: u32 = 119;
    pub const CAPSET: u32 = 126;
    pub const PRCTL: u32 = 157;
    pub const ARCH_PRCTL: u32 = 158;
    pub const TIME: u32 = 201;
    pub const FUTEX: u32 = 202;
    pub const CLOCK_GETTIME: u32 = 228;
    pub const CLOCK_GETRES: u32 = 229;
    pub const EXIT_GROUP: u32 = 231;
    pub const OPENAT: u32 = 257;
    pub const DUP3: u32 = 292;
    pub const PRLIMIT64: u32 = 302;
    pub const GETCPU: u32 = 309;
    pub const SECCOMP: u32 = 317;
    pub const GETRANDOM: u32 = 318;
    pub const RSEQ: u32 = 334;
    pub const CLOSE_RANGE: u32 = 436;
    pub const OPENAT2: u32 = 437;
}

/// Makes a system call. A result from -4095 to -1 is an error's number.
///
/// # Safety
///
/// What the call does to memory must be right.
pub unsafe fn system_call(number: u32, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the kernel's convention (syscall(2)); rcx and r11 are lost.
    unsafe {
        asm!("syscall", inlateout("rax") number as usize => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// The words of [`heapimage::Machine::cpu`] of this CPU.
#[must_use]
pub fn cpu_words() -> [u32; 8] {
    const OSXSAVE: u32 = 1 << 27;
    let (one, seven, extended) = (__cpuid(1), __cpuid_count(7, 0), __cpuid(0x8000_0001));
    // SAFETY: where CPUID says OSXSAVE, XGETBV is there (Intel SDM, volume 1, 13.3).
    let xcr0 = if one.ecx & OSXSAVE == 0 { 0 } else { unsafe { xgetbv() } };
    [one.ecx, one.edx, seven.ebx, seven.ecx, seven.edx, xcr0, extended.ecx, extended.edx]
}

#[target_feature(enable = "xsave")]
fn xgetbv() -> u32 {
    // SAFETY: register 0 is always there.
    #[expect(clippy::cast_possible_truncation, reason = "the low word is what is compared")]
    let low = unsafe { _xgetbv(0) } as u32;
    low
}

/// Where the first of AVX-512's three parts stands in this CPU's XSAVE area: AMD's CPUs leave no room for Intel's bounds registers.
#[must_use]
pub fn avx512_offset() -> u32 {
    __cpuid_count(13, AVX512_PARTS.trailing_zeros()).ebx
}

/// Bits of XCR0 and XSTATE_BV (Intel SDM, volume 1, 13.1).
pub const AVX512_PARTS: u32 = 7 << 5;
/// PKRU, without which all is allowed.
pub const KEYS_PART: u32 = 1 << 9;

/// Sets the FS and GS bases (arch_prctl(2)).
///
/// # Safety
///
/// Nothing here may use thread-local memory from now on.
pub unsafe fn set_thread_pointers(entry: &Entry) {
    const ARCH_SET_GS: usize = 0x1001;
    const ARCH_SET_FS: usize = 0x1002;
    for (what, base) in [(ARCH_SET_FS, entry.thread_pointer), (ARCH_SET_GS, entry.gs_base)] {
        // SAFETY: only registers change.
        unsafe { system_call(number::ARCH_PRCTL, [what, address(base), 0, 0, 0, 0]) };
    }
}

/// Calls `function(argument)` on a stack; it never returns.
///
/// # Safety
///
/// There must be such a function, and such a stack.
pub unsafe fn jump(function: u64, argument: u64, stack: u64, mxcsr: u32, x87_control: u32) -> ! {
    let mxcsr = if mxcsr == 0 { 0x1f80 } else { mxcsr & 0xffff };
    let x87 = if x87_control == 0 { 0x37f } else { x87_control & 0xffff };
    // SAFETY: as the caller says. The direction flag is clear, as the ABI wants it.
    unsafe {
        asm!("ldmxcsr [{mxcsr}]", "fldcw [{x87}]", "mov rsp, {stack}", "xor ebp, ebp", "call {function}", "ud2",
            mxcsr = in(reg) &raw const mxcsr, x87 = in(reg) &raw const x87, stack = in(reg) stack,
            function = in(reg) function, in("rdi") argument, options(noreturn));
    }
}

/// An address of an image as one of this process: both have 64 bits.
#[must_use]
pub const fn address(value: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the same width on this architecture")]
    let address = value as usize;
    address
}
