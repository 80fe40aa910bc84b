//! Snapshots for certain eyes only: the age format (<https://age-encryption.org/v1>), by the crate of that name.
//!
//! ```
//! use heapcrypt::{Identities, Recipients};
//! use std::io::{Read, Write};
//!
//! let secret = heapcrypt::generate();
//! let recipients = Recipients::parse([&secret.recipient])?;
//! let mut sealer = recipients.seal(Vec::new())?;
//! sealer.write_all(b"text")?;
//! let sealed = sealer.finish()?;
//!
//! let mut text = String::new();
//! Identities::parse(&secret.identity)?.open(&sealed[..])?.read_to_string(&mut text)?;
//! assert_eq!(text, "text");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pieces;

pub use pieces::{Begun, PIECE, Pieces, TAG};

use age::secrecy::ExposeSecret;
use age::x25519;
use std::fmt;
use std::io::{self, Read, Write};

/// What a file in the format begins with.
pub const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// The end of its name.
pub const EXTENSION: &str = ".age";

/// Those who can read what is sealed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recipients(Vec<x25519::Recipient>);

/// A text that is no recipient. It is not repeated: it may be a secret key that was taken for the public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// The public key's other half.
    #[error(
        "a secret key (AGE-SECRET-KEY-1…): a recipient is its public key, age1…, which age-keygen -y tells"
    )]
    Secret,
    /// Something else, or a key that was not copied whole.
    #[error("no recipient: one is age1 and 58 letters and digits, as age-keygen tells it")]
    Unknown,
}

impl Recipients {
    /// `age1…`, native X25519 recipients.
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Recipients, RecipientError> {
        texts.into_iter().map(|text| recipient(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is nobody, so that nothing can be sealed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they were given.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Others as well.
    pub fn extend(&mut self, others: Recipients) {
        self.0.extend(others.0);
    }

    /// What is written to the [`Sealer`] goes to `output` encrypted. The key is random, is in this process' memory until
    /// the sealer is dropped, and opens nothing else.
    ///
    /// # Errors
    /// Where `output` does not take the header; where there is nobody to read it.
    pub fn seal<W: Write>(&self, output: W) -> io::Result<Sealer<W>> {
        let recipients = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        // Its own words are for people, in many languages.
        let encryptor = age::Encryptor::with_recipients(recipients)
            .map_err(|_| io::Error::other("there is no recipient that it can be encrypted to"))?;
        encryptor.wrap_output(output).map(Sealer)
    }

    /// What [`Pieces`] need, for who cannot allocate where it writes: made where that can be.
    ///
    /// # Errors
    /// Where there is nobody to read it.
    pub fn begin(&self) -> io::Result<Begun> {
        pieces::begin(&self.0)
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

fn recipient(text: &str) -> Result<x25519::Recipient, RecipientError> {
    text.parse().map_err(|_| {
        let is_secret = text.trim().to_ascii_uppercase().starts_with("AGE-SECRET-KEY-");
        if is_secret { RecipientError::Secret } else { RecipientError::Unknown }
    })
}

/// Encrypts. What is not [finished](Sealer::finish) cannot be read as a whole file.
pub struct Sealer<W>(age::stream::StreamWriter<W>);

impl<W: Write> Sealer<W> {
    /// Writes the last piece.
    ///
    /// # Errors
    /// Where the output does not take it.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Secret keys.
#[derive(Clone)]
pub struct Identities(Vec<x25519::Identity>);

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A line of an identity file, counted from 1. What it says is not repeated.
    #[error(
        "line {0} is no identity: one is AGE-SECRET-KEY-1 and 58 letters and digits; files of identities that are encrypted themselves are to be decrypted first"
    )]
    Identity(usize),
    /// A file of identities without one.
    #[error("there is no identity in it")]
    NoIdentity,
    /// The file is for others.
    #[error("it is encrypted to other recipients: none of the identities opens it")]
    OtherRecipients,
    /// It is not whole, or was changed.
    #[error("its encrypted header is damaged")]
    Damaged,
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Identities {
    /// As `age-keygen` writes them: a secret key a line; lines with `#` are remarks.
    ///
    /// # Errors
    /// [`OpenError::Identity`], [`OpenError::NoIdentity`]
    pub fn parse(text: &str) -> Result<Identities, OpenError> {
        let mut identities = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            identities.push(line.parse().map_err(|_| OpenError::Identity(at + 1))?);
        }
        if identities.is_empty() { Err(OpenError::NoIdentity) } else { Ok(Identities(identities)) }
    }

    /// Others as well.
    pub fn extend(&mut self, others: Identities) {
        self.0.extend(others.0);
    }

    /// A reader of what is in `sealed`. It fails where the bytes were changed or cut off; what it has given by then is
    /// as it was written.
    ///
    /// # Errors
    /// [`OpenError::OtherRecipients`], [`OpenError::Damaged`], [`OpenError::Io`]
    pub fn open<R: Read>(&self, sealed: R) -> Result<Opened<R>, OpenError> {
        use age::DecryptError;
        let because = |error| match error {
            DecryptError::NoMatchingKeys => OpenError::OtherRecipients,
            DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => error.into(),
            _ => OpenError::Damaged,
        };
        let decryptor = age::Decryptor::new(sealed).map_err(because)?;
        if decryptor.is_scrypt() {
            return Err(OpenError::OtherRecipients);
        }
        let identities = self.0.iter().map(|identity| identity as &dyn age::Identity);
        decryptor.decrypt(identities).map(Opened).map_err(because)
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} identities", self.0.len())
    }
}

/// Decrypts.
pub struct Opened<R>(age::stream::StreamReader<R>);

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A new key, for tests.
#[doc(hidden)]
#[must_use]
pub fn generate() -> Generated {
    let identity = x25519::Identity::generate();
    Generated {
        recipient: identity.to_public().to_string(),
        identity: identity.to_string().expose_secret().to_owned(),
    }
}

/// Both halves.
#[doc(hidden)]
pub struct Generated {
    pub recipient: String,
    pub identity: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn sealed(recipients: &Recipients, text: &[u8]) -> Vec<u8> {
        let mut sealer = recipients.seal(Vec::new()).unwrap();
        for piece in text.chunks(1000) {
            sealer.write_all(piece).unwrap();
        }
        sealer.finish().unwrap()
    }

    fn opened(identity: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let identities = Identities::parse(identity).unwrap();
        let mut text = Vec::new();
        identities.open(sealed).map_err(io::Error::other)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn each_recipient_reads_it_and_nobody_else() {
        let (one, two, other) = (generate(), generate(), generate());
        let recipients = Recipients::parse([&one.recipient, &two.recipient]).unwrap();
        let text: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let sealed = sealed(&recipients, &text);
        assert!(sealed.starts_with(MAGIC));
        assert_eq!(opened(&one.identity, &sealed).unwrap(), text);
        assert_eq!(opened(&format!("# mine\n{}\n", two.identity), &sealed).unwrap(), text);
        let refused = Identities::parse(&other.identity).unwrap().open(&sealed[..]).err();
        assert!(matches!(refused, Some(OpenError::OtherRecipients)));
    }

    #[test]
    fn what_was_cut_off_or_changed_is_an_error() {
        let key = generate();
        let recipients = Recipients::parse([&key.recipient]).unwrap();
        let whole = sealed(&recipients, &[7; 100_000]);
        for length in [whole.len() - 1, whole.len() - 40_000, 300, 100, 30] {
            assert!(opened(&key.identity, &whole[..length]).is_err(), "{length}");
        }
        let mut changed = whole.clone();
        changed[70_000] ^= 1;
        assert!(opened(&key.identity, &changed).is_err());
    }

    #[test]
    fn says_what_is_no_key_without_repeating_it() {
        let key = generate();
        let refused = |text: &str| Recipients::parse([text]).unwrap_err();
        assert_eq!(refused(&key.identity), RecipientError::Secret);
        assert_eq!(refused(&key.recipient[..40]), RecipientError::Unknown);
        assert_eq!(refused(""), RecipientError::Unknown);
        let wrong = Identities::parse("# x\nsecret words").unwrap_err().to_string();
        assert!(wrong.contains("line 2") && !wrong.contains("words"), "{wrong}");
        assert!(matches!(Identities::parse("# x\n\n"), Err(OpenError::NoIdentity)));
    }

    #[test]
    fn nothing_is_sealed_for_nobody() {
        assert!(Recipients::default().seal(Vec::new()).is_err());
    }
}
