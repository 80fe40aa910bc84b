//! Whether a CPU has what the image's had.

use core::fmt::{Display, Formatter, Result};

/// The features that compiled code chooses between at run time, of the words of [`heapimage::Machine::cpu`]: bits of words,
/// and how /proc/cpuinfo calls them. V8 runs no JavaScript in a restored process, so what only its compiler uses does not
/// matter; what glibc, libstdc++ and simdutf chose when the process began does. Bits such as MONITOR or x2APIC are the
/// kernel's business.
const FEATURES: [(usize, u32, &str); 45] = [
    (0, 0, "sse3"),
    (0, 1, "pclmulqdq"),
    (0, 9, "ssse3"),
    (0, 12, "fma"),
    (0, 13, "cx16"),
    (0, 19, "sse4_1"),
    (0, 20, "sse4_2"),
    (0, 22, "movbe"),
    (0, 23, "popcnt"),
    (0, 25, "aes"),
    (0, 27, "osxsave"),
    (0, 28, "avx"),
    (0, 29, "f16c"),
    (1, 8, "cx8"),
    (1, 15, "cmov"),
    (1, 23, "mmx"),
    (1, 24, "fxsr"),
    (1, 25, "sse"),
    (1, 26, "sse2"),
    (2, 3, "bmi1"),
    (2, 5, "avx2"),
    (2, 8, "bmi2"),
    (2, 9, "erms"),
    (2, 11, "rtm"),
    (2, 16, "avx512f"),
    (2, 17, "avx512dq"),
    (2, 19, "adx"),
    (2, 21, "avx512ifma"),
    (2, 26, "avx512pf"),
    (2, 27, "avx512er"),
    (2, 28, "avx512cd"),
    (2, 29, "sha_ni"),
    (2, 30, "avx512bw"),
    (2, 31, "avx512vl"),
    (3, 1, "avx512vbmi"),
    (3, 6, "avx512_vbmi2"),
    (3, 8, "gfni"),
    (3, 9, "vaes"),
    (3, 10, "vpclmulqdq"),
    (3, 11, "avx512_vnni"),
    (3, 12, "avx512_bitalg"),
    (3, 14, "avx512_vpopcntdq"),
    (5, 2, "the system's support of AVX registers"),
    (5, 5, "the system's support of AVX-512 registers"),
    (6, 5, "lzcnt"),
];

/// What a CPU lacks; shows as names with spaces between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    needed: [u32; 8],
    here: [u32; 8],
}

/// Compares the words of an image with those of this CPU; `None` when nothing is lacking.
#[must_use]
pub fn lacking(needed: &[u32; 8], here: &[u32; 8]) -> Option<Lacking> {
    let lacking = Lacking { needed: *needed, here: *here };
    lacking.names().next().is_some().then_some(lacking)
}

/// Whether the system's support of protection keys is lacking. V8 of Node.js 20 makes code writable by them where it found them
/// when it began, for a snapshot too (`RwxMemoryWriteScope`, src/common/code-memory-access.h); later ones do without.
#[must_use]
pub fn lacks_keys(needed: &[u32; 8], here: &[u32; 8]) -> bool {
    /// OSPKE (leaf 7, ecx), and of XCR0, which a core tells.
    const OSPKE: u32 = 1 << 4;
    const PKRU: u32 = 1 << 9;
    (needed[3] & OSPKE != 0 || needed[5] & PKRU != 0) && here[3] & OSPKE == 0
}

impl Lacking {
    fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let lacks = |word: usize, bit: u32| (self.needed[word] & !self.here[word]) >> bit & 1 == 1;
        FEATURES.iter().filter(move |(word, bit, _)| lacks(*word, *bit)).map(|(_, _, name)| *name)
    }
}

impl Display for Lacking {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                to.write_str(", ")?;
            }
            to.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn protection_keys_are_known_of_images_and_cores() {
        let with = |word: usize, bit: u32| {
            let mut words = [0; 8];
            words[word] = 1 << bit;
            words
        };
        assert!(lacks_keys(&with(3, 4), &[0; 8]));
        assert!(lacks_keys(&with(5, 9), &[0; 8]));
        assert!(!lacks_keys(&with(5, 9), &with(3, 4)));
        assert!(!lacks_keys(&[0; 8], &[0; 8]));
    }

    #[test]
    fn only_what_programs_choose_by_matters() {
        let mut needed = [u32::MAX; 8];
        assert_eq!(lacking(&needed, &needed), None);
        // MONITOR (leaf 1, ecx bit 3) and x2APIC (bit 21).
        let mut here = needed;
        here[0] &= !(1 << 3 | 1 << 21);
        assert_eq!(lacking(&needed, &here), None);
        here[2] &= !(1 << 16 | 1 << 31);
        let found = lacking(&needed, &here).map(|lacking| lacking.to_string());
        assert_eq!(found.as_deref(), Some("avx512f, avx512vl"));
        needed = [0; 8];
        assert_eq!(lacking(&needed, &here), None, "a core file knows nothing of its CPU");
    }
}
