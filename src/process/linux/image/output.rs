//! From the writer to the descriptor: compressed and encrypted if wanted, hashed, counted.

use crate::process::{Progress, monotonic};
use heapcrypt::{PIECE, Pieces, TAG};
use sha2::{Digest, Sha256};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use zstd::zstd_safe::zstd_sys as sys;

/// As for snapshots: higher levels would delay the file.
const LEVEL: i32 = 1;

/// What a compressor works in: made by the parent, begun by the child.
pub(super) struct Packing<'a> {
    pub(super) workspace: &'a mut [u64],
    pub(super) packed: &'a mut [u8],
}

/// What encrypts: a file's beginning and key, made by the parent, and place for a piece and what comes behind it.
pub(super) struct Sealing<'a> {
    pub(super) head: &'a [u8],
    pub(super) key: &'a [u8; 32],
    pub(super) piece: &'a mut [u8; SEALED_PIECE],
}

pub(super) const SEALED_PIECE: usize = PIECE + TAG;

/// How many words a compressor needs, and how many bytes what it has packed.
pub(super) fn packing_sizes() -> (usize, usize) {
    // SAFETY: two functions of a number or nothing.
    unsafe { (sys::ZSTD_estimateCStreamSize(LEVEL).div_ceil(8), sys::ZSTD_CStreamOutSize()) }
}

/// An open file or pipe.
pub(super) struct Sink<'a> {
    file: RawFd,
    hash: Sha256,
    progress: &'a Progress,
    packer: Option<Packer<'a>>,
    sealer: Option<Sealer<'a>>,
    small_cache: bool,
    /// The disk takes what is pushed to it at once. False for good after one slow push.
    keeps_up: bool,
    /// Bytes that were written, those of them that are on their way to the disk, and those that have left the file cache.
    written: u64,
    pushed: u64,
    left: u64,
}

/// So much at a time goes to the disk.
const WINDOW: u64 = 1 << 20;

/// A disk that keeps up takes a push in no time. On a slower one the child would wait, and its parent copy more pages meanwhile.
const AT_ONCE: Duration = Duration::from_millis(5);

struct Sealer<'a> {
    head: &'a [u8],
    pieces: Pieces,
    piece: &'a mut [u8; SEALED_PIECE],
    filled: usize,
}

struct Packer<'a> {
    stream: *mut sys::ZSTD_CStream,
    packed: &'a mut [u8],
}

impl<'a> Sink<'a> {
    /// # Errors
    ///
    /// ENOMEM where the compressor does not fit what was estimated for it.
    pub(super) fn new(
        file: RawFd,
        progress: &'a Progress,
        packing: Option<Packing<'a>>,
        sealing: Option<Sealing<'a>>,
        small_cache: bool,
    ) -> Result<Sink<'a>, i32> {
        let packer = packing.map(Packer::new).transpose()?;
        let sealer = sealing.map(|Sealing { head, key, piece }| Sealer {
            head,
            pieces: Pieces::new(key),
            piece,
            filled: 0,
        });
        Ok(Sink {
            file,
            hash: Sha256::new(),
            progress,
            packer,
            sealer,
            small_cache,
            keeps_up: true,
            written: 0,
            pushed: 0,
            left: 0,
        })
    }

    /// Before anything else: the head of what is encrypted.
    ///
    /// # Errors
    ///
    /// As for [`Sink::write`].
    pub(super) fn begin(&mut self) -> Result<(), i32> {
        let head = self.sealer.as_ref().map_or(&[][..], |sealer| sealer.head);
        self.put(head)
    }

    /// # Errors
    ///
    /// The errno of write(2).
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), i32> {
        self.pack(bytes, sys::ZSTD_EndDirective::ZSTD_e_continue)
    }

    /// Everything is written; the SHA-256 of what is in the file.
    ///
    /// # Errors
    ///
    /// As for [`Sink::write`].
    pub(super) fn finish(mut self) -> Result<[u8; 32], i32> {
        self.pack(&[], sys::ZSTD_EndDirective::ZSTD_e_end)?;
        if let Some(mut sealer) = self.sealer.take() {
            self.put(sealer.seal(true)?)?;
        }
        Ok(self.hash.finalize().into())
    }

    fn pack(&mut self, bytes: &[u8], directive: sys::ZSTD_EndDirective) -> Result<(), i32> {
        let Some(packer) = self.packer.take() else { return self.seal(bytes) };
        let mut input =
            sys::ZSTD_inBuffer { src: bytes.as_ptr().cast(), size: bytes.len(), pos: 0 };
        let packed = loop {
            let mut output = sys::ZSTD_outBuffer {
                dst: packer.packed.as_mut_ptr().cast(),
                size: packer.packed.len(),
                pos: 0,
            };
            // SAFETY: a stream of `Packer::new`; both buffers are as long as they say.
            let left = unsafe {
                sys::ZSTD_compressStream2(packer.stream, &raw mut output, &raw mut input, directive)
            };
            // SAFETY: a function of a number.
            if unsafe { sys::ZSTD_isError(left) } != 0 {
                break Err(libc::EIO);
            }
            let put = self.seal(packer.packed.get(..output.pos).unwrap_or_default());
            let is_done = match directive {
                sys::ZSTD_EndDirective::ZSTD_e_end => left == 0,
                _ => input.pos == input.size,
            };
            if put.is_err() || is_done {
                break put;
            }
        };
        self.packer = Some(packer);
        packed
    }

    /// A piece goes when more comes: the last is another one.
    fn seal(&mut self, mut bytes: &[u8]) -> Result<(), i32> {
        let Some(mut sealer) = self.sealer.take() else { return self.put(bytes) };
        let mut sealed = Ok(());
        while sealed.is_ok() && !bytes.is_empty() {
            if sealer.filled == PIECE {
                sealed = sealer.seal(false).and_then(|piece| self.put(piece));
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - sealer.filled));
            sealer.piece[sealer.filled..sealer.filled + now.len()].copy_from_slice(now);
            sealer.filled += now.len();
            bytes = later;
        }
        self.sealer = Some(sealer);
        sealed
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), i32> {
        self.hash.update(bytes);
        let progress = self.progress;
        super::system::write_all(self.file, bytes, |written| {
            progress.bytes.fetch_add(written as u64, Relaxed);
        })?;
        self.written += bytes.len() as u64;
        if self.written - self.pushed >= WINDOW && (self.small_cache || self.keeps_up) {
            self.push();
        }
        Ok(())
    }

    /// While one window is on its way the next is filled, and fsync(2) has little left to wait for.
    fn push(&mut self) {
        let start = monotonic();
        super::system::push_to_disk(self.file, self.pushed, self.written - self.pushed);
        self.keeps_up = monotonic() - start < AT_ONCE;
        if self.small_cache && self.left < self.pushed {
            // Waits for the one before it.
            super::system::leave_cache(self.file, self.left, self.pushed - self.left);
            self.left = self.pushed;
        }
        self.pushed = self.written;
    }
}

impl Sealer<'_> {
    /// What is in the piece, encrypted.
    fn seal(&mut self, is_last: bool) -> Result<&[u8], i32> {
        let filled = std::mem::take(&mut self.filled);
        let (piece, rest) = self.piece.split_at_mut(filled);
        let tag = self.pieces.seal(piece, is_last).ok_or(libc::EIO)?;
        rest[..TAG].copy_from_slice(&tag);
        Ok(&self.piece[..filled + TAG])
    }
}

impl<'a> Packer<'a> {
    fn new(packing: Packing<'a>) -> Result<Packer<'a>, i32> {
        let Packing { workspace, packed } = packing;
        let bytes = size_of_val(workspace);
        // SAFETY: the workspace is as long as said, aligned to eight bytes, and nobody else's for as long as the stream is
        // used. It needs no end: it owns nothing but that.
        let stream = unsafe { sys::ZSTD_initStaticCStream(workspace.as_mut_ptr().cast(), bytes) };
        if stream.is_null() {
            return Err(libc::ENOMEM);
        }
        // SAFETY: the stream of above, which has not begun.
        let refused = unsafe {
            let level = sys::ZSTD_cParameter::ZSTD_c_compressionLevel;
            let checksum = sys::ZSTD_cParameter::ZSTD_c_checksumFlag;
            sys::ZSTD_isError(sys::ZSTD_CCtx_setParameter(stream, level, LEVEL)) != 0
                || sys::ZSTD_isError(sys::ZSTD_CCtx_setParameter(stream, checksum, 1)) != 0
        };
        if refused { Err(libc::ENOMEM) } else { Ok(Packer { stream, packed }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapcrypt::{Identities, Recipients};
    use std::io::Read;
    use std::os::fd::AsRawFd;

    fn written(packed: bool, recipients: Option<&Recipients>, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let reading = std::thread::spawn(move || {
            let mut found = Vec::new();
            reader.read_to_end(&mut found).expect("read");
            found
        });
        let progress = Progress::default();
        let (words, bytes) = packing_sizes();
        let (mut workspace, mut buffer) = (vec![0; words], vec![0; bytes]);
        let packing = packed.then(|| Packing { workspace: &mut workspace, packed: &mut buffer });
        let begun = recipients.map(|recipients| recipients.begin().expect("a recipient"));
        let mut piece = [0; SEALED_PIECE];
        let sealing = begun.as_ref().map(|begun| Sealing {
            head: &begun.head,
            key: &begun.key,
            piece: &mut piece,
        });
        let mut sink =
            Sink::new(writer.as_raw_fd(), &progress, packing, sealing, true).expect("fits");
        sink.begin().expect("written");
        for piece in pieces {
            sink.write(piece).expect("written");
        }
        let digest = sink.finish().expect("written");
        drop(writer);
        let found = reading.join().expect("read");
        assert_eq!(digest[..], Sha256::digest(&found)[..]);
        assert_eq!(progress.bytes.load(Relaxed), found.len() as u64);
        found
    }

    #[test]
    fn writes_what_it_is_given() {
        assert_eq!(written(false, None, &[b"one", b"", b" and two"]), b"one and two");
    }

    #[test]
    fn packs_in_the_space_that_the_parent_made() {
        let pages = vec![7; 1 << 20];
        let packed = written(true, None, &[b"one", &pages, b"two"]);
        let unpacked = zstd::decode_all(&packed[..]).expect("zstd");
        assert_eq!(unpacked, [&b"one"[..], &pages, b"two"].concat());
    }

    #[test]
    fn encrypts_in_the_space_that_the_parent_made() {
        let key = heapcrypt::generate();
        let recipients = Recipients::parse([&key.recipient]).expect("a recipient");
        let pages: Vec<u8> = (0..=252).cycle().take(5 * PIECE).collect();
        for (packed, length) in
            [(false, 0), (false, PIECE), (false, pages.len()), (true, pages.len())]
        {
            let sealed = written(
                packed,
                Some(&recipients),
                &[&pages[..length / 3], &pages[length / 3..length]],
            );
            let identities = Identities::parse(&key.identity).expect("an identity");
            let mut opened = Vec::new();
            identities.open(&sealed[..]).expect("sealed").read_to_end(&mut opened).expect("whole");
            let opened = if packed { zstd::decode_all(&opened[..]).expect("zstd") } else { opened };
            assert_eq!(opened, &pages[..length], "{packed} {length}");
        }
    }
}
