//! A compressed file, unpacked off the JavaScript thread: Node.js itself knows zstd only from 22.15 on.

use napi::{Env, Task};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

/// The first bytes of a frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Decompresses `from` into `to`; what is not compressed is copied.
pub struct Unpack {
    pub(crate) from: PathBuf,
    pub(crate) to: io::Result<File>,
}

impl Task for Unpack {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let to = self.to.as_mut().map_err(|error| failed(error))?;
        let mut from = File::open(&self.from).map_err(|error| failed(&error))?;
        unpack(&mut from, to).map_err(|error| failed(&error))
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

fn unpack(from: &mut File, to: &mut File) -> io::Result<()> {
    let mut start = [0; 4];
    let is_zstd = match from.read_exact(&mut start) {
        Ok(()) => start == ZSTD_MAGIC,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(error),
    };
    from.rewind()?;
    if is_zstd {
        copy_with_holes(zstd::stream::read::Decoder::new(from)?, to)
    } else {
        io::copy(from, to).map(drop)
    }
}

/// Zeros become holes: most of a core file is zeros, and no image has many.
fn copy_with_holes(mut from: impl Read, to: &mut File) -> io::Result<()> {
    const PIECE: u64 = 64 << 10;
    let mut piece = Vec::new();
    let mut length = 0;
    loop {
        piece.clear();
        let got = from.by_ref().take(PIECE).read_to_end(&mut piece)? as u64;
        if piece.iter().all(|&byte| byte == 0) {
            to.seek_relative(got.cast_signed())?;
        } else {
            to.write_all(&piece)?;
        }
        length += got;
        if got < PIECE {
            return to.set_len(length);
        }
    }
}

fn failed(error: &io::Error) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
