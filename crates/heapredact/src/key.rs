//! The key that pseudonyms depend on.

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;
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
        let mut hash = SipHasher13::new_with_keys(self.halves[0], self.halves[1]);
        hash.write_u64(tweak);
        hash.write_u64(value);
        hash.finish()
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

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id())
    }
}
