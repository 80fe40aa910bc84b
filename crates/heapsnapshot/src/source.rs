//! Where the bytes come from: a file or a reader, plain or compressed.
//!
//! Files are read in small pieces, never mapped. A mapped file that somebody truncates kills the
//! process that reads it with SIGBUS, and no library may catch that on its host's behalf; a read of
//! the same file returns an error. It costs nothing: each piece is parsed while it is in the cache,
//! and no page of the file counts against the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::{Error, Result, Section};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A decompressed file may be this many times as long as the compressed one.
const EXPANSION_LIMIT: u64 = 250;
/// ... and this much is always fine.
const EXPANSION_FLOOR: u64 = 64 << 20;

pub(crate) struct Source<'a> {
    pub(crate) reader: Box<dyn Read + 'a>,
    /// The length of the uncompressed bytes, when it is known in advance.
    pub(crate) length: Option<u64>,
    /// The longest that the uncompressed bytes may be.
    pub(crate) limit: u64,
}

pub(crate) fn open(path: &Path, limit: Option<u64>) -> Result<Source<'static>> {
    let file = File::open(path).map_err(|source| Error::Io { offset: 0, source })?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
    sniff(file, length, limit)
}

pub(crate) fn from_reader<'a>(reader: impl Read + 'a, limit: Option<u64>) -> Result<Source<'a>> {
    sniff(reader, None, limit)
}

fn sniff<'a>(
    reader: impl Read + 'a,
    length: Option<u64>,
    limit: Option<u64>,
) -> Result<Source<'a>> {
    let mut head = [0; 4];
    let mut reader = reader;
    let got = fill(&mut reader, &mut head).map_err(|source| Error::Io { offset: 0, source })?;
    let rest = io::Cursor::new(head).take(got as u64).chain(reader);
    let packed = BufReader::with_capacity(128 << 10, rest);
    let expanded = length.map_or(u64::MAX, |length| {
        length.saturating_mul(EXPANSION_LIMIT).saturating_add(EXPANSION_FLOOR)
    });
    if head[..2] == GZIP_MAGIC && got >= 2 {
        let reader = Box::new(flate2::bufread::MultiGzDecoder::new(packed));
        Ok(Source { reader, length: None, limit: limit.unwrap_or(expanded) })
    } else if head == ZSTD_MAGIC && got == 4 {
        let reader = zstd(packed)?;
        Ok(Source { reader, length: None, limit: limit.unwrap_or(expanded) })
    } else {
        // The first bytes come from `head`, all others straight from the reader: the lexer has a
        // buffer of its own.
        Ok(Source {
            reader: Box::new(packed.into_inner()),
            length,
            limit: limit.unwrap_or(u64::MAX),
        })
    }
}

fn zstd<'a>(packed: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    match zstd::stream::read::Decoder::with_buffer(packed) {
        Ok(decoder) => Ok(Box::new(decoder)),
        Err(source) => Err(Error::Io { offset: 0, source }),
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
