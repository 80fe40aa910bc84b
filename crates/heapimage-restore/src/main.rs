//! The program: its first instruction, what the compiler expects of a C library, and nothing else.
#![cfg_attr(all(target_os = "linux", target_arch = "x86_64"), no_std, no_main)]
#![allow(unsafe_code)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod program {
    use core::arch::{asm, global_asm};
    use core::ffi::{CStr, c_char};
    use core::panic::PanicInfo;
    use heapimage_restore::arguments::Arguments;
    use heapimage_restore::restore;
    use heapimage_restore::system::say::say;
    use heapimage_restore::system::{MESSAGES, exit};

    /// The kernel's stack goes with all other memory, so there is one in the program.
    const STACK_BYTES: usize = 1 << 20;

    global_asm!(
        ".section .bss.restorer_stack, \"aw\", @nobits",
        ".balign 4096",
        ".skip {bytes}",
        "restorer_stack_end:",
        ".text",
        ".globl _start",
        "_start:",
        "mov rdi, rsp",
        "lea rsp, [restorer_stack_end]",
        "xor ebp, ebp",
        "call {begin}",
        "ud2",
        bytes = const STACK_BYTES,
        begin = sym begin,
    );

    /// `words` is what execve(2) leaves on the stack: the number of arguments, the arguments.
    unsafe extern "C" fn begin(words: *const usize) -> ! {
        // SAFETY: the kernel has put them there: texts that end with a zero.
        let argument = |index: usize| unsafe {
            CStr::from_ptr(words.add(1 + index).read() as *const c_char).to_bytes()
        };
        // SAFETY: as above.
        let count = unsafe { words.read() };
        match Arguments::read((1..count).map(argument)) {
            Ok(arguments) => restore::run(&arguments),
            Err(stop) => {
                say(MESSAGES, format_args!("stop {}: {stop}", stop.word()));
                exit(stop.status())
            }
        }
    }

    #[panic_handler]
    fn panicked(info: &PanicInfo<'_>) -> ! {
        say(MESSAGES, format_args!("stop bug: {}", info.message()));
        exit(70)
    }

    // The compiler makes calls of these (core's documentation, "How to use the core library").

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        // SAFETY: as the caller says: two parts of memory that do not overlap.
        unsafe {
            asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        if (to as usize).wrapping_sub(from as usize) >= count {
            // SAFETY: copying upwards reads nothing that was overwritten.
            return unsafe { memcpy(to, from, count) };
        }
        // SAFETY: as the caller says; downwards, from the last byte.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") count => _,
                inout("rdi") to.wrapping_add(count).wrapping_sub(1) => _,
                inout("rsi") from.wrapping_add(count).wrapping_sub(1) => _, options(nostack));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe {
            asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") value.to_le_bytes()[0], options(nostack));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        for at in 0..count {
            // SAFETY: as the caller says: both have so many bytes. Volatile, or this loop becomes a call of itself.
            let (a, b) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
            if a != b {
                return i32::from(a) - i32::from(b);
            }
        }
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
        // SAFETY: as the caller says.
        unsafe { memcmp(a, b, count) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        // SAFETY: as the caller says: it ends with a zero.
        while unsafe { text.add(length).read_volatile() } != 0 {
            length += 1;
        }
        length
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {}
