//! Limits of the process (getrlimit(2)).

use super::{Descriptor, call};
use crate::arch::number;
use crate::input::Input;

const RLIMIT_DATA: usize = 2;
const RLIMIT_STACK: usize = 3;
const RLIMIT_CORE: usize = 4;
const RLIMIT_NOFILE: usize = 7;
const RLIMIT_AS: usize = 9;

/// Every soft limit that matters becomes its hard one. And a restored process that crashes leaves no core file: its memory is
/// somebody else's secrets.
pub fn raise() {
    for what in [RLIMIT_DATA, RLIMIT_STACK, RLIMIT_NOFILE, RLIMIT_AS] {
        let hard = get(what)[1];
        set(what, [hard, hard]);
    }
    set(RLIMIT_CORE, [0, 0]);
}

/// Where memory runs short the kernel ends this process and nobody's work (proc(5), `oom_score_adj`).
pub fn be_first_to_go() {
    if let Ok(file) = Descriptor::open_to_write(c"/proc/self/oom_score_adj") {
        let _ = file.write(b"1000");
        file.close();
    }
}

/// How many mappings a process may have, where /proc says so (proc(5), `vm/max_map_count`).
#[must_use]
pub fn mappings() -> Option<u64> {
    let file = Descriptor::open(c"/proc/sys/vm/max_map_count").ok()?;
    let mut text = [0; 24];
    let length = file.read_at(0, &mut text).unwrap_or(0);
    file.close();
    let text = core::str::from_utf8(text.get(..length)?).ok()?;
    text.trim_ascii().parse().ok()
}

/// How many bytes of address space a process may have, if that is limited.
#[must_use]
pub fn address_space() -> Option<u64> {
    let [soft, _] = get(RLIMIT_AS);
    (soft != u64::MAX).then_some(soft)
}

/// How many descriptors a process may have.
#[must_use]
pub fn descriptors() -> u64 {
    get(RLIMIT_NOFILE)[0]
}

fn get(what: usize) -> [u64; 2] {
    let mut limit = [u64::MAX; 2];
    // SAFETY: 16 bytes, as the kernel writes.
    let _ = unsafe { call(number::PRLIMIT64, [0, what, 0, limit.as_mut_ptr() as usize, 0, 0]) };
    limit
}

fn set(what: usize, limit: [u64; 2]) {
    // SAFETY: 16 bytes, which are only read.
    let _ = unsafe { call(number::PRLIMIT64, [0, what, limit.as_ptr() as usize, 0, 0, 0]) };
}
