//! Where the bytes come from: a file or a reader, plain or compressed.
//!
//! Files are read in small pieces, never mapped. A mapped file that somebody truncates kills the
//! process that reads it with SIGBUS, and no library may catch that on its host's behalf; a read of
//! the same file returns an error. It costs nothing: each piece is parsed while it is in the cache,
//! and no page of the file counts against the process.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

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

pub(crate) fn open(
    path: &Path,
    limit: Option<u64>,
    progress: Option<Progress>,
) -> Result<Source<'static>> {
    let failed = |source| Error::Io { offset: 0, source };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    let (packing, reader) = sniff(Watched { reader: file, read: 0, progress })?;
    let Some(packing) = packing else {
        let limit = limit.unwrap_or(u64::MAX);
        return Ok(Source { reader: Box::new(reader), packed: false, length, limit });
    };
    let expanded = length.map_or(u64::MAX, |length| {
        length.saturating_mul(EXPANSION_LIMIT).saturating_add(EXPANSION_FLOOR)
    });
    // To unpack takes about as long as to parse: each has a core. To read ahead what is not packed
    // gains nothing.
    let reader: Box<dyn Read> = if ahead::has_two_cores() {
        Box::new(Ahead::start(move || unpack(packing, reader)).map_err(failed)?)
    } else {
        unpack(packing, reader).map_err(failed)?
    };
    Ok(Source { reader, packed: true, length: None, limit: limit.unwrap_or(expanded) })
}

/// The bytes of a file, unpacked where it is compressed.
///
/// # Errors
/// When it cannot be opened.
pub fn unpacked(path: impl AsRef<Path>) -> Result<Box<dyn Read>> {
    Ok(open(path.as_ref(), None, None)?.reader)
}

pub(crate) fn from_reader<'a>(reader: impl Read + 'a, limit: Option<u64>) -> Result<Source<'a>> {
    let (packing, reader) = sniff(reader)?;
    let packed = packing.is_some();
    let reader = match packing {
        Some(packing) => {
            unpack(packing, reader).map_err(|source| Error::Io { offset: 0, source })?
        }
        None => Box::new(reader),
    };
    Ok(Source { reader, packed, length: None, limit: limit.unwrap_or(u64::MAX) })
}

/// Finds out what a file is packed with. The first bytes come back from memory, all others straight
/// from the reader: the lexer has a buffer of its own.
fn sniff<R: Read>(mut reader: R) -> Result<(Option<Packing>, Sniffed<R>)> {
    let mut head = [0; 4];
    let got = fill(&mut reader, &mut head).map_err(|source| Error::Io { offset: 0, source })?;
    let packing = if got >= 2 && head[..2] == GZIP_MAGIC {
        Some(Packing::Gzip)
    } else if got == 4 && head == ZSTD_MAGIC {
        Some(Packing::Zstd)
    } else {
        None
    };
    Ok((packing, io::Cursor::new(head).take(got as u64).chain(reader)))
}

type Sniffed<R> = io::Chain<io::Take<io::Cursor<[u8; 4]>>, R>;

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
