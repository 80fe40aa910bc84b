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

fn unpack(from: &mut File, to: &mut impl Write) -> io::Result<()> {
    let mut start = [0; 4];
    let is_zstd = match from.read_exact(&mut start) {
        Ok(()) => start == ZSTD_MAGIC,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error) => return Err(error),
    };
    from.rewind()?;
    if is_zstd { zstd::stream::copy_decode(from, to) } else { io::copy(from, to).map(drop) }
}

fn failed(error: &io::Error) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
