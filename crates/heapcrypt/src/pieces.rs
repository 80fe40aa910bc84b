//! The same file, made where nothing may be allocated: a forked child that writes its own memory. The crate `age` makes the header and
//! the file's key; what follows it is short enough to be said again here (age-encryption.org/v1, Payload).

use age::secrecy::ExposeSecret;
use age::x25519;
use age::{EncryptError, Encryptor, Recipient};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::hkdf;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io;

/// How many bytes a piece has; the last may have fewer, and none only where there is no other.
pub const PIECE: usize = 64 << 10;
/// How many more come behind each.
pub const TAG: usize = 16;

/// Behind the header, and salt of the key of what follows.
const NONCE: usize = 16;

/// How a file begins, and the key of what follows.
pub struct Begun {
    /// Comes first.
    pub head: Vec<u8>,
    /// For [`Pieces::new`]. Who has it can read the file.
    pub key: [u8; 32],
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun").finish_non_exhaustive()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        wipe(&mut self.key);
    }
}

/// A recipient that tells which key it was given.
struct Overheard<'a> {
    recipient: &'a x25519::Recipient,
    key: &'a RefCell<Option<[u8; 16]>>,
}

impl Recipient for Overheard<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        *self.key.borrow_mut() = Some(*file_key.expose_secret());
        self.recipient.wrap_file_key(file_key)
    }
}

pub(crate) fn begin(recipients: &[x25519::Recipient]) -> io::Result<Begun> {
    let nobody = || io::Error::other("there is no recipient that it can be encrypted to");
    let heard = RefCell::new(None);
    let recipients: Vec<_> =
        recipients.iter().map(|recipient| Overheard { recipient, key: &heard }).collect();
    let encryptor =
        Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn Recipient))
            .map_err(|_| nobody())?;
    let mut head = Vec::new();
    drop(encryptor.wrap_output(&mut head)?);
    let mut file_key = heard.take().ok_or_else(nobody)?;
    let nonce = head.last_chunk::<NONCE>().ok_or_else(nobody)?;
    let key = hkdf(nonce, b"payload", &file_key);
    wipe(&mut file_key);
    Ok(Begun { head, key })
}

/// No secret stays where memory is given back.
fn wipe(secret: &mut [u8]) {
    secret.fill(0);
    std::hint::black_box(secret);
}

/// Encrypts pieces where they are. Allocates nothing.
pub struct Pieces {
    cipher: ChaCha20Poly1305,
    count: u64,
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Pieces {
    /// Behind the head that came with the key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Pieces {
        Pieces { cipher: ChaCha20Poly1305::new(Key::from_slice(key)), count: 0 }
    }

    /// Encrypts the next piece, of [`PIECE`] bytes if it is not the last; what comes behind it. `None`: it is too long.
    #[must_use]
    pub fn seal(&mut self, piece: &mut [u8], is_last: bool) -> Option<[u8; TAG]> {
        // Eleven bytes of a counter, and whether it is the last.
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.count.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.count += 1;
        let tag = self.cipher.encrypt_in_place_detached(&nonce.into(), b"", piece).ok()?;
        Some(tag.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::{Identities, Recipients, generate};
    use std::io::Read;

    fn sealed(recipients: &Recipients, text: &[u8]) -> Vec<u8> {
        let begun = recipients.begin().unwrap();
        let mut pieces = Pieces::new(&begun.key);
        let mut sealed = begun.head.clone();
        let mut rest = text.to_vec();
        loop {
            let is_last = rest.len() <= PIECE;
            let behind = rest.split_off(rest.len().min(PIECE));
            let tag = pieces.seal(&mut rest, is_last).unwrap();
            sealed.extend_from_slice(&rest);
            sealed.extend_from_slice(&tag);
            if is_last {
                return sealed;
            }
            rest = behind;
        }
    }

    #[test]
    fn the_crate_opens_what_pieces_make() {
        let (one, two) = (generate(), generate());
        let recipients = Recipients::parse([&one.recipient, &two.recipient]).unwrap();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 5 * PIECE + 17] {
            let text: Vec<u8> = (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect();
            let sealed = sealed(&recipients, &text);
            for key in [&one, &two] {
                let mut opened = Vec::new();
                let identities = Identities::parse(&key.identity).unwrap();
                identities.open(&sealed[..]).unwrap().read_to_end(&mut opened).unwrap();
                assert_eq!(opened, text, "{length}");
            }
        }
    }

    #[test]
    fn each_file_has_a_key_of_its_own() {
        let recipients = Recipients::parse([&generate().recipient]).unwrap();
        assert_ne!(recipients.begin().unwrap().key, recipients.begin().unwrap().key);
        assert!(Recipients::default().begin().is_err());
    }

    #[test]
    fn a_piece_that_is_missing_is_missed() {
        let key = generate();
        let recipients = Recipients::parse([&key.recipient]).unwrap();
        let mut sealed = sealed(&recipients, &[7; 2 * PIECE]);
        sealed.truncate(sealed.len() - PIECE - TAG);
        let identities = Identities::parse(&key.identity).unwrap();
        let read = identities.open(&sealed[..]).unwrap().read_to_end(&mut Vec::new());
        assert!(read.is_err());
    }
}
