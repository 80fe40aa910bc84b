//! Work on a second core, where it pays: what is independent of the rest and takes long.

use std::io::{self, Read};
use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// How many bytes are handed over at once, and how many times that may lie ready.
const PIECE: usize = 256 << 10;
const READY: usize = 4;

/// Whether there is a second core to use.
pub(crate) fn has_two_cores() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores > NonZero::<usize>::MIN)
}

/// Computes two things, one of them on another thread if there is a core for it.
pub(crate) fn both<A: Send, B>(one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let thread = match has_two_cores() {
            // Where there may be no more threads, this one does it.
            true => thread::Builder::new().spawn_scoped(scope, &one).ok(),
            false => None,
        };
        let other = other();
        let one = match thread {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => one(),
        };
        (one, other)
    })
}

/// Computes something of each part of a row, on as many threads as there are cores; what was found is in the
/// row's order. Every part begins at a multiple of 64.
pub(crate) fn in_parts<T: Send>(count: u32, work: impl Fn(Range<u32>) -> T + Sync) -> Vec<T> {
    const LEAST: u32 = 100_000;
    const MOST: u32 = 8;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = u32::try_from(cores).unwrap_or(MOST).min(MOST).min(count / LEAST).max(1);
    let size = count.div_ceil(parts).next_multiple_of(64);
    let part = |at: u32| (at * size).min(count)..((at + 1) * size).min(count);
    let work = &work;
    thread::scope(|scope| {
        let others = (1..parts).map(|at| {
            let thread = thread::Builder::new().spawn_scoped(scope, move || work(part(at)));
            (at, thread.ok())
        });
        let others: Vec<_> = others.collect();
        let mut found = vec![work(part(0))];
        for (at, thread) in others {
            found.push(match thread {
                Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // Where there may be no more threads, this one does it.
                None => work(part(at)),
            });
        }
        found
    })
}

/// A reader that a thread of its own reads ahead.
pub(crate) struct Ahead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    position: usize,
}

impl Ahead {
    /// Starts to read what `open` gives.
    pub(crate) fn start<R: Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(READY);
        // It ends with the reader, or when nobody wants to know any more.
        thread::Builder::new().name("heapsnapshot-read".to_owned()).spawn(move || {
            let mut reader = match open() {
                Ok(reader) => reader,
                Err(error) => return drop(sender.send(Err(error))),
            };
            loop {
                let mut piece = Vec::with_capacity(PIECE);
                let result = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
                let last = piece.len() < PIECE;
                // What came before an error is whole.
                if !piece.is_empty() && sender.send(Ok(piece)).is_err() {
                    return;
                }
                if let Err(error) = result {
                    return drop(sender.send(Err(error)));
                }
                if last {
                    return;
                }
            }
        })?;
        Ok(Ahead { pieces, piece: Vec::new(), position: 0 })
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            match self.pieces.recv() {
                Ok(piece) => self.piece = piece?,
                // The thread has told all.
                Err(_) => return Ok(0),
            }
            self.position = 0;
        }
        let rest = self.piece.get(self.position..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn every_part_is_done_once_and_in_order() {
        for count in [0, 1, 99_999, 100_000, 1_234_567] {
            let parts = in_parts(count, Iterator::collect::<Vec<u32>>);
            assert!(parts.iter().filter_map(|part| part.first()).all(|first| first % 64 == 0));
            assert!(parts.concat().into_iter().eq(0..count));
        }
    }

    #[test]
    fn bytes_come_in_order_and_errors_after_them() {
        struct Failing(usize);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let count = self.0.min(buffer.len()).min(1000);
                self.0 -= count;
                buffer[..count].fill(b'x');
                Ok(count)
            }
        }
        let mut all = Vec::new();
        let size = 3 * PIECE + 17;
        let error = Ahead::start(move || Ok(Failing(size))).unwrap().read_to_end(&mut all);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(all.len(), size);
        let text: Vec<u8> = (0..=255).cycle().take(size).collect();
        let copy = text.clone();
        let mut all = Vec::new();
        Ahead::start(move || Ok(io::Cursor::new(copy))).unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all, text);
        drop(Ahead::start(|| Ok(io::repeat(7))).unwrap());
    }
}
