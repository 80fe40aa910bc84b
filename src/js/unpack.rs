//! A compressed or encrypted file, unpacked off the JavaScript thread: Node.js itself knows zstd only from 22.15 on, and age never.

use super::new_file::Filling;
use heapsnapshot::LoadOptions;
use napi::{Env, Task};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

/// Decrypts and decompresses the heap image or core file `from` into `to`, until that is stopped.
pub struct Unpack {
    pub(crate) from: PathBuf,
    /// Files of identities, where it may be encrypted.
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) to: io::Result<Filling>,
}

impl Task for Unpack {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let to = self.to.as_mut().map_err(|error| failed(error))?;
        let identities =
            heapdump_cli::identities(&self.identities).map_err(napi::Error::from_reason)?;
        // What it may be is known from its first bytes (`most_bytes`).
        let options = LoadOptions::new().max_bytes(u64::MAX).identities(identities);
        let from = options.unpacked(&self.from);
        let from = from.map_err(|error| napi::Error::from_reason(error.to_string()))?;
        copy_with_holes(from, to).map_err(|error| failed(&error))
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

/// Zeros become holes: most of a core file is zeros, and no image has many. A few bytes may unpack to more than any disk holds, so
/// what begins as neither is refused, and so is what an image has beyond its end.
fn copy_with_holes(mut from: impl Read, to: &mut Filling) -> io::Result<()> {
    const PIECE: u64 = 64 << 10;
    let mut piece = Vec::new();
    let mut length = 0;
    let mut most = None;
    loop {
        piece.clear();
        let got = from.by_ref().take(PIECE).read_to_end(&mut piece)? as u64;
        to.check()?;
        let most = match most {
            Some(most) => most,
            None => *most.insert(most_bytes(&piece)?),
        };
        if length + got > most {
            return Err(io::Error::other(format!(
                "it unpacks to more than the {most} bytes that it says"
            )));
        }
        if piece.iter().all(|&byte| byte == 0) {
            to.file().seek_relative(got.cast_signed())?;
        } else {
            to.write_all(&piece)?;
        }
        length += got;
        if got < PIECE {
            return to.file().set_len(length);
        }
    }
}

/// What a file that begins so may have at most.
fn most_bytes(start: &[u8]) -> io::Result<u64> {
    if is_core(start) {
        return Ok(u64::MAX);
    }
    most_of_image(start)
        .ok_or_else(|| io::Error::other("what is in it is neither a heap image nor a core file"))
}

/// ET_CORE in `e_type`, least significant byte first (elf(5)).
fn is_core(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF") && start.get(16..18) == Some(&[4, 0])
}

/// A block has a page at least.
#[cfg(target_os = "linux")]
fn most_of_image(start: &[u8]) -> Option<u64> {
    use heapimage::{HEADER_BYTES, Header, MAGIC, PAGE, table_bytes};
    use zerocopy::FromBytes;
    let (header, _) = Header::read_from_prefix(start).ok()?;
    let tables = table_bytes(header.mapping_count, header.file_count);
    let blocks = header.most_pages.checked_mul(2)?.checked_add(1)?.checked_mul(PAGE)?;
    let most = (HEADER_BYTES as u64).checked_add(tables)?.checked_add(blocks)?;
    (header.magic == MAGIC).then_some(most)
}

/// Images are restored on Linux alone.
#[cfg(not(target_os = "linux"))]
fn most_of_image(start: &[u8]) -> Option<u64> {
    start.starts_with(b"HEAPIMG\0").then_some(u64::MAX)
}

fn failed(error: &io::Error) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
