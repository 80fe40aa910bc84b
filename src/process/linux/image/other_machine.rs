//! Architectures whose images nobody can restore yet: registers and restorer are missing.

use heapimage::{Entry, Machine, MemoryMarks};

pub(super) const ARCHITECTURE: u32 = heapimage::ARCHITECTURE_ARM64;

pub(super) fn unsupported() -> Option<&'static str> {
    Some("heap images are written on x86-64 alone")
}

pub(super) fn describe(_machine: &mut Machine) {}

pub(super) fn note_thread(_entry: &mut Entry) {}

pub(super) fn rseq() -> Option<(i64, u64)> {
    None
}

pub(super) fn describe_memory(_memory: &mut MemoryMarks) {}

pub(super) fn current_break() -> u64 {
    0
}
