//! What restored processes of tests do.

use super::{DATA, Image, OUTPUT};
use std::arch::global_asm;
use std::slice::from_raw_parts;

// What a restored process does: given its memory (rdi), it writes what lies there from the second word on, of the length
// that the first word says, to descriptor OUTPUT, and ends with 0.
global_asm!(
    ".globl writer_begin, writer_end",
    "writer_begin:",
    "mov rsi, rdi",
    "mov rdx, [rsi]",
    "add rsi, 8",
    "mov edi, {output}",
    "mov eax, 1",
    "syscall",
    "xor edi, edi",
    "mov eax, 231",
    "syscall",
    "writer_end:",
    output = const OUTPUT,
);

// Given a table of system calls (rdi): a count, then a number and six arguments each. Makes each, and puts its result where
// its number was. Then writes the whole table to OUTPUT.
global_asm!(
    ".globl caller_begin, caller_end",
    "caller_begin:",
    "mov rbx, rdi",
    "mov rbp, [rdi]",
    "lea r12, [rdi + 8]",
    "2:",
    "test rbp, rbp",
    "jz 3f",
    "mov rax, [r12]",
    "mov rdi, [r12 + 8]",
    "mov rsi, [r12 + 16]",
    "mov rdx, [r12 + 24]",
    "mov r10, [r12 + 32]",
    "mov r8, [r12 + 40]",
    "mov r9, [r12 + 48]",
    "syscall",
    "mov [r12], rax",
    "add r12, 56",
    "dec rbp",
    "jmp 2b",
    "3:",
    "mov rdx, r12",
    "sub rdx, rbx",
    "mov rsi, rbx",
    "mov edi, {output}",
    "mov eax, 1",
    "syscall",
    "xor edi, edi",
    "mov eax, 231",
    "syscall",
    "caller_end:",
    output = const OUTPUT,
);

// FUTEX_WAIT while there is zero.
global_asm!(
    ".globl sleeper_begin, sleeper_end",
    "sleeper_begin:",
    "xor esi, esi",
    "xor edx, edx",
    "xor r10d, r10d",
    "mov eax, 202",
    "syscall",
    "jmp sleeper_begin",
    "sleeper_end:",
);

// Creates the file whose path lies at DATA, and ends.
global_asm!(
    ".globl creator_begin, creator_end",
    "creator_begin:",
    "movabs rdi, {path}",
    "mov esi, {create}",
    "mov edx, 0x1b6",
    "mov eax, 2",
    "syscall",
    "xor edi, edi",
    "mov eax, 231",
    "syscall",
    "ud2",
    "creator_end:",
    path = const DATA,
    // O_CREAT | O_WRONLY.
    create = const 0o101,
);

unsafe extern "C" {
    static creator_begin: u8;
    static creator_end: u8;
    static sleeper_begin: u8;
    static sleeper_end: u8;
    static writer_begin: u8;
    static writer_end: u8;
    static caller_begin: u8;
    static caller_end: u8;
}

fn code(begin: &'static u8, end: &'static u8) -> &'static [u8] {
    // SAFETY: both are labels of the same piece of code.
    unsafe { from_raw_parts(begin, std::ptr::from_ref(end).offset_from_unsigned(begin)) }
}

pub fn writer() -> &'static [u8] {
    // SAFETY: labels, of which only the addresses are used.
    unsafe { code(&writer_begin, &writer_end) }
}

pub fn caller() -> &'static [u8] {
    // SAFETY: labels, of which only the addresses are used.
    unsafe { code(&caller_begin, &caller_end) }
}

pub fn creator() -> &'static [u8] {
    // SAFETY: labels, of which only the addresses are used.
    unsafe { code(&creator_begin, &creator_end) }
}

/// Given an address (rdi), waits there until somebody wakes it: for ever.
pub fn sleeper() -> &'static [u8] {
    // SAFETY: labels, of which only the addresses are used.
    unsafe { code(&sleeper_begin, &sleeper_end) }
}

/// An instruction that no CPU has.
pub const CRASH: &[u8] = &[0x0f, 0x0b];

/// An image that writes `text`.
pub fn that_writes(text: &[u8]) -> Image {
    let data = [&(text.len() as u64).to_le_bytes(), text].concat();
    Image::of(writer(), &data)
}
