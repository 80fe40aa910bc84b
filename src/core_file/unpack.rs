//! systemd-coredump's compression.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// What a file is packed with.
pub(crate) enum Packing {
    None,
    Zstd,
    Other { by: &'static str, how: &'static str },
}

/// By its first bytes.
pub(crate) fn packing(file: &File) -> io::Result<Packing> {
    let mut head = [0; 6];
    let got = file.read_at(&mut head, 0)?;
    Ok(match head.get(..got).unwrap_or_default() {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        [0x04, 0x22, 0x4d, 0x18, ..] => Packing::Other { by: "lz4", how: "lz4 -d" },
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Packing::Other { by: "xz", how: "xz -dk" },
        [0x1f, 0x8b, ..] => Packing::Other { by: "gzip", how: "gunzip -k" },
        _ => Packing::None,
    })
}

/// Zeros become holes again: most of a core is zeros.
pub(crate) fn zstd(from: &File, mut to: &File) -> io::Result<()> {
    const PIECE: usize = 64 << 10;
    let mut reader = zstd::stream::read::Decoder::new(from)?;
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let mut got = 0;
        while got < PIECE {
            match reader.read(&mut piece[got..]) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let piece = piece.get(..got).unwrap_or_default();
        if piece.iter().all(|&byte| byte == 0) {
            to.seek(SeekFrom::Current(i64::try_from(got).map_err(io::Error::other)?))?;
        } else {
            to.write_all(piece)?;
        }
        length += got as u64;
        if got < PIECE {
            return to.set_len(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_come_back_and_take_no_room() {
        let mut bytes = vec![0; 1 << 20];
        bytes[5] = 7;
        bytes.extend_from_slice(b"the end");
        bytes.extend_from_slice(&[0; 9]);
        let mut packed = tempfile::tempfile().unwrap();
        packed.write_all(&zstd::encode_all(&*bytes, 1).unwrap()).unwrap();
        packed.rewind().unwrap();
        let mut room = tempfile::tempfile().unwrap();
        zstd(&packed, &room).unwrap();
        let mut found = Vec::new();
        room.rewind().unwrap();
        room.read_to_end(&mut found).unwrap();
        assert_eq!(found, bytes);
        let blocks = std::os::unix::fs::MetadataExt::blocks(&room.metadata().unwrap());
        assert!(blocks * 512 < bytes.len() as u64 / 2, "{blocks} blocks of 512 bytes");
    }
}
