//! The key that pseudonyms depend on.

use sha2::{Digest, Sha256};
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};
use std::hash::Hasher;

/// A secret: who has it can try out what a pseudonym stands for, so it belongs to nobody who has only the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    halves: [u64; 2],
    /// Says which key it was, and nothing of it.
    id: [u8; 4],
}

impl Key {
    /// The shortest text that a key may be made of.
    pub const SHORTEST: usize = 16;

    /// A key of random bytes, or of a text that nobody can guess.
    #[must_use]
    pub fn new(secret: &[u8]) -> Key {
        let derive = |purpose: &[u8]| {
            let mut hash = Sha256::new();
            hash.update(b"heapdump-rs redact 1 ");
            hash.update(purpose);
            hash.update(secret);
            <[u8; 32]>::from(hash.finalize())
        };
        let key = derive(b"key ");
        let half = |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().unwrap_or_default());
        let id = derive(b"id ");
        Key { halves: [half(0), half(8)], id: [id[0], id[1], id[2], id[3]] }
    }

    /// Eight hexadecimal digits, the same in all files that one key made.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn number(&self, tweak: u64, value: u64) -> u64 {
        self.tweaked(tweak).number(value)
    }

    /// What [`Key::number`] needs of a tweak, for many values.
    pub(crate) fn tweaked(&self, tweak: u64) -> Tweaked {
        Tweaked::new(self.halves, tweak)
    }

    /// Of a text that is ASCII.
    pub(crate) fn hash_ascii(&self, text: &[u8]) -> [u64; 2] {
        let mut hash = SipHasher128::new_with_keys(self.halves[0], self.halves[1]);
        hash.write_u64(0x2_0000);
        hash.write(text);
        let hash = hash.finish128();
        [hash.h1, hash.h2]
    }

    pub(crate) fn hash(&self, class: u8, units: &[u16]) -> [u64; 2] {
        let mut hash = SipHasher128::new_with_keys(self.halves[0], self.halves[1]);
        hash.write_u64(0x1_0000 | u64::from(class));
        let mut bytes = [0; 256];
        for units in units.chunks(128) {
            for (pair, unit) in bytes.chunks_exact_mut(2).zip(units) {
                pair.copy_from_slice(&unit.to_le_bytes());
            }
            hash.write(&bytes[..units.len() * 2]);
        }
        let hash = hash.finish128();
        [hash.h1, hash.h2]
    }
}

/// SipHash-1-3 of a word, which it has had, and seven bytes. It is what most of the time of a short text goes into: eight times.
#[derive(Clone, Copy)]
pub(crate) struct Tweaked([u64; 4]);

impl Tweaked {
    fn new(key: [u64; 2], tweak: u64) -> Tweaked {
        let mut v = [
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ];
        absorb(&mut v, tweak);
        Tweaked(v)
    }

    /// The number has seven bytes.
    #[inline]
    pub(crate) fn number(&self, value: u64) -> u64 {
        let mut v = self.0;
        // With them goes the length of all.
        absorb(&mut v, value | 15 << 56);
        v[2] ^= 0xff;
        for _ in 0..3 {
            sip_round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[inline]
fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

#[inline]
fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use siphasher::sip::SipHasher13;

    #[test]
    fn fifteen_bytes_are_hashed_as_by_the_crate() {
        for seed in 0..1000_u64 {
            let of = |at: u64| (seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut hash = SipHasher13::new_with_keys(of(1), of(2));
            hash.write(&of(3).to_le_bytes());
            hash.write(&of(4).to_le_bytes()[..7]);
            let value = of(4) & (u64::MAX >> 8);
            assert_eq!(Tweaked::new([of(1), of(2)], of(3)).number(value), hash.finish());
        }
    }
}
