//! Where the bytes come from: a file or a reader, plain, compressed, encrypted.
//!
//! Files are read in small pieces, never mapped. A mapped file that somebody truncates kills the
//! process that reads it with SIGBUS, and no library may catch that on its host's behalf; a read of
//! the same file returns an error. It costs nothing: each piece is parsed while it is in the cache,
//! and no page of the file counts against the process.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use heapcrypt::{Identities, OpenError};

use crate::ahead::{self, Ahead};
use crate::{Error, Result, Section};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A decompressed file may be this many times as long as the compressed one.
const EXPANSION_LIMIT: u64 = 250;
/// ... and this much is always fine.
const EXPANSION_FLOOR: u64 = 64 << 20;

pub(crate) struct Source<'a> {
    pub(crate) reader: Box<dyn Read + 'a>,
    /// Whether the bytes come out of gzip or zstd.
    pub(crate) packed: bool,
    /// The length of the uncompressed bytes, when it is known in advance.
    pub(crate) length: Option<u64>,
    /// The longest that the uncompressed bytes may be.
    pub(crate) limit: u64,
}

/// What a file is packed with.
#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

/// Told how many bytes of the file have been read.
pub(crate) type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// How a file is opened.
#[derive(Clone, Default)]
pub(crate) struct Opening {
    /// The longest that its uncompressed bytes may be.
    pub(crate) limit: Option<u64>,
    pub(crate) progress: Option<Progress>,
    /// What opens it where it is encrypted.
    pub(crate) identities: Option<Arc<Identities>>,
}

pub(crate) fn open(path: &Path, opening: &Opening) -> Result<Source<'static>> {
    let failed = |source| Error::Io { offset: 0, source };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    let watched = Watched { reader: file, read: 0, progress: opening.progress.clone() };
    let (head, reader) = sniff(watched)?;
    if !is_sealed(&head) {
        return open_clear(head.packing(), reader, length, opening.limit);
    }
    let clear = unseal(BufReader::with_capacity(128 << 10, reader), opening.identities.as_deref())?;
    let (head, clear) = sniff(clear)?;
    let source = open_clear(head.packing(), clear, length, opening.limit)?;
    Ok(Source { length: None, ..source })
}

fn open_clear(
    packing: Option<Packing>,
    reader: impl Read + Send + 'static,
    length: Option<u64>,
    limit: Option<u64>,
) -> Result<Source<'static>> {
    let Some(packing) = packing else {
        let limit = limit.unwrap_or(u64::MAX);
        return Ok(Source { reader: Box::new(reader), packed: false, length, limit });
    };
    let expanded = length.map_or(u64::MAX, |length| {
        length.saturating_mul(EXPANSION_LIMIT).saturating_add(EXPANSION_FLOOR)
    });
    let failed = |source| Error::Io { offset: 0, source };
    // To unpack takes about as long as to parse: each has a core. To read ahead what is not packed
    // gains nothing.
    let reader: Box<dyn Read> = if ahead::has_two_cores() {
        Box::new(Ahead::start(move || unpack(packing, reader)).map_err(failed)?)
    } else {
        unpack(packing, reader).map_err(failed)?
    };
    Ok(Source { reader, packed: true, length: None, limit: limit.unwrap_or(expanded) })
}

pub(crate) fn from_reader<'a>(
    reader: impl Read + 'a,
    limit: Option<u64>,
    identities: Option<&Identities>,
) -> Result<Source<'a>> {
    let (head, reader) = sniff(reader)?;
    if !is_sealed(&head) {
        return read_clear(head.packing(), reader, limit);
    }
    let (head, clear) = sniff(unseal(BufReader::new(reader), identities)?)?;
    read_clear(head.packing(), clear, limit)
}

fn read_clear<'a>(
    packing: Option<Packing>,
    reader: impl Read + 'a,
    limit: Option<u64>,
) -> Result<Source<'a>> {
    let packed = packing.is_some();
    let reader = match packing {
        Some(packing) => {
            unpack(packing, reader).map_err(|source| Error::Io { offset: 0, source })?
        }
        None => Box::new(reader),
    };
    Ok(Source { reader, packed, length: None, limit: limit.unwrap_or(u64::MAX) })
}

/// The first bytes of a file.
struct Head {
    bytes: [u8; heapcrypt::MAGIC.len()],
    length: usize,
}

impl Head {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn packing(&self) -> Option<Packing> {
        if self.bytes().starts_with(&GZIP_MAGIC) {
            Some(Packing::Gzip)
        } else if self.bytes().starts_with(&ZSTD_MAGIC) {
            Some(Packing::Zstd)
        } else {
            None
        }
    }
}

fn is_sealed(head: &Head) -> bool {
    head.bytes() == heapcrypt::MAGIC
}

fn unseal<R: Read>(reader: R, identities: Option<&Identities>) -> Result<heapcrypt::Opened<R>> {
    let Some(identities) = identities else { return Err(Error::Encrypted) };
    identities.open(reader).map_err(|error| match error {
        OpenError::Io(source) => Error::Io { offset: 0, source },
        error => Error::NotOpened { source: error },
    })
}

/// Finds out what a file is packed with. The first bytes come back from memory, all others straight
/// from the reader: the lexer has a buffer of its own.
fn sniff<R: Read>(mut reader: R) -> Result<(Head, Sniffed<R>)> {
    let mut bytes = [0; heapcrypt::MAGIC.len()];
    let length = fill(&mut reader, &mut bytes).map_err(|source| Error::Io { offset: 0, source })?;
    let again = io::Cursor::new(bytes).take(length as u64).chain(reader);
    Ok((Head { bytes, length }, again))
}

type Sniffed<R> = io::Chain<io::Take<io::Cursor<[u8; heapcrypt::MAGIC.len()]>>, R>;

fn unpack<'a>(packing: Packing, reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let packed = BufReader::with_capacity(128 << 10, reader);
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
    })
}

/// A file whose reading is watched.
struct Watched {
    reader: File,
    read: u64,
    progress: Option<Progress>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if let Some(progress) = &self.progress {
            self.read += count as u64;
            progress(self.read);
        }
        Ok(count)
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match reader.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Says which section a decompressor's limit belongs to.
pub(crate) fn too_long(found: u64, limit: u64) -> Error {
    Error::TooLarge { section: Section::File, what: "the uncompressed file", found, limit }
}
