//! The bytes of a snapshot, a bufferful at a time, and the pieces of JSON that occur in one.

use std::io::{ErrorKind, Read};

use memchr::{memchr, memchr2};

use super::digits::{self, BLOCK, MARGIN, MOST};
use crate::source::{Source, too_long};
use crate::{Error, Result, Section};

const BUFFER: usize = 256 << 10;
/// How many numbers are handed on at once; with a stride of 7 that is 40 KB, which stays in the cache.
const BATCH: usize = 5 << 10;

pub(crate) struct Input<'a> {
    reader: Box<dyn Read + 'a>,
    buffer: Box<[u8]>,
    /// The next byte to look at.
    position: usize,
    /// The end of what has been read.
    end: usize,
    /// The offset in the file of `buffer[0]`.
    base: u64,
    ended: bool,
    /// What went wrong while looking ahead, until that place is reached.
    pending: Option<Error>,
    length: Option<u64>,
    limit: u64,
    /// The numbers of a batch, and how many there are.
    numbers: Box<[u64]>,
    count: usize,
    /// The part of the file that is being read, for error messages.
    pub(crate) section: Section,
}

/// What a batch of numbers was: more follow, or the array is at its end.
#[derive(PartialEq, Eq)]
enum Batch {
    More,
    Last,
}

impl<'a> Input<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Input {
            reader: source.reader,
            buffer: vec![b' '; BUFFER].into_boxed_slice(),
            position: 0,
            end: 0,
            base: 0,
            ended: false,
            pending: None,
            length: source.length,
            limit: source.limit,
            numbers: vec![0; BATCH + MOST].into_boxed_slice(),
            count: 0,
            section: Section::File,
        }
    }

    /// The offset in the uncompressed file of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.position as u64
    }

    /// How many bytes are left, when that is known. What a count in the file claims is checked
    /// against it before anything is allocated.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.length.map(|length| length.saturating_sub(self.offset()))
    }

    /// The next bytes, without consuming them: at least `want` (less than a bufferful) unless the file
    /// ends before, and whether it does. What cannot be read is an error when its place is reached.
    pub(crate) fn look_ahead(&mut self, want: usize) -> (&[u8], bool) {
        while self.end - self.position < want && !self.ended && self.pending.is_none() {
            if let Err(error) = self.refill() {
                self.pending = Some(error);
            }
        }
        (self.buffer.get(self.position..self.end).unwrap_or_default(), self.ended)
    }

    pub(crate) fn peek(&mut self) -> Result<Option<u8>> {
        if self.position == self.end && !self.refill()? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.position).copied())
    }

    pub(crate) fn advance(&mut self) {
        self.position += 1;
    }

    /// Consumes bytes that have been looked at.
    pub(crate) fn skip(&mut self, count: usize) {
        self.position = (self.position + count).min(self.end);
    }

    /// Reads to the end; whether a byte is there.
    pub(crate) fn rest_has(&mut self, byte: u8) -> Result<bool> {
        loop {
            let rest = self.buffer.get(self.position..self.end).unwrap_or_default();
            if let Some(at) = memchr(byte, rest) {
                self.position += at;
                return Ok(true);
            }
            self.position = self.end;
            if !self.refill()? {
                return Ok(false);
            }
        }
    }

    /// The next byte that is not white space, without consuming it.
    pub(crate) fn peek_token(&mut self) -> Result<Option<u8>> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.advance(),
                other => return Ok(other),
            }
        }
    }

    /// Consumes `byte`, which must come next.
    pub(crate) fn expect(&mut self, byte: u8, expected: &str) -> Result<()> {
        match self.peek_token()? {
            Some(found) if found == byte => {
                self.advance();
                Ok(())
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Consumes `byte` if it comes next.
    pub(crate) fn accept(&mut self, byte: u8) -> Result<bool> {
        let there = self.peek_token()? == Some(byte);
        if there {
            self.advance();
        }
        Ok(there)
    }

    pub(crate) fn skip_byte_order_mark(&mut self) -> Result<()> {
        if self.peek()? == Some(0xef) {
            for byte in [0xef, 0xbb, 0xbf] {
                if self.peek()? != Some(byte) {
                    return Err(self.unexpected("a JSON object"));
                }
                self.advance();
            }
        }
        Ok(())
    }

    /// The error for what stands at the current position.
    pub(crate) fn unexpected(&mut self, expected: &str) -> Error {
        match self.peek() {
            Ok(Some(byte)) => Error::Syntax {
                section: self.section,
                offset: self.offset(),
                expected: expected.to_owned(),
                found: describe(byte),
            },
            Ok(None) => Error::Truncated {
                section: self.section,
                offset: self.offset(),
                expected: expected.to_owned(),
            },
            Err(error) => error,
        }
    }

    /// Appends the characters of a string, still escaped as in the file, to `out`.
    pub(crate) fn string(&mut self, out: &mut Vec<u8>, room: usize) -> Result<()> {
        self.expect(b'"', "a string")?;
        let limit = out.len().saturating_add(room);
        loop {
            let slice = self.buffer.get(self.position..self.end).unwrap_or_default();
            let stop = memchr2(b'"', b'\\', slice);
            let copied = stop.unwrap_or(slice.len());
            if out.len() + copied > limit {
                return Err(self.unexpected("a shorter string"));
            }
            reserve(out, copied + 2, "strings")?;
            out.extend_from_slice(&slice[..copied]);
            self.position += copied;
            match stop {
                Some(_) if self.peek()? == Some(b'"') => {
                    self.advance();
                    return Ok(());
                }
                Some(_) => {
                    // A backslash, and whatever follows it: a quotation mark does not end it there.
                    out.push(b'\\');
                    self.advance();
                    match self.peek()? {
                        Some(escaped) => out.push(escaped),
                        None => return Err(self.unexpected("an escaped character")),
                    }
                    self.advance();
                }
                None if !self.refill()? => return Err(self.unexpected("the end of a string")),
                None => {}
            }
        }
    }

    /// Reads the numbers of an array whose `[` is consumed. `sink` gets them in batches and says how
    /// many it took; the rest is handed to it again with what follows. A number below zero comes as
    /// its two's complement. Consumes the `]`; returns the numbers that were never taken.
    pub(crate) fn numbers(
        &mut self,
        mut sink: impl FnMut(&[u64]) -> Result<usize>,
    ) -> Result<usize> {
        self.count = 0;
        if self.accept(b']')? {
            return Ok(0);
        }
        loop {
            let read = self.batch();
            // What is whole is handed on even if the file ends here: a caller may salvage it.
            let numbers = self.numbers.get(..self.count).unwrap_or_default();
            let taken = sink(numbers)?.min(self.count);
            self.numbers.copy_within(taken..self.count, 0);
            self.count -= taken;
            if read? == Batch::Last {
                return Ok(self.count);
            }
        }
    }

    fn batch(&mut self) -> Result<Batch> {
        while self.count < BATCH {
            let bytes = self.buffer.get(self.position..self.end).unwrap_or_default();
            let out = self.numbers.get_mut(self.count..).unwrap_or_default();
            let (used, count) = digits::blocks(bytes, out);
            self.position += used;
            self.count += count;
            if used > 0 {
                continue;
            }
            if bytes.len() < BLOCK + MARGIN && !self.ended {
                self.refill()?;
                continue;
            }
            let number = self.number()?;
            // At the end of the file its last digits may be missing.
            if self.peek()?.is_some()
                && let Some(slot) = self.numbers.get_mut(self.count)
            {
                *slot = number;
                self.count += 1;
            }
            match self.peek_token()? {
                Some(b',') => self.advance(),
                Some(b']') => {
                    self.advance();
                    return Ok(Batch::Last);
                }
                _ => return Err(self.unexpected("',' or ']' after a number")),
            }
        }
        Ok(Batch::More)
    }

    /// One integer.
    pub(crate) fn number(&mut self) -> Result<u64> {
        let negative = self.accept(b'-')?;
        let mut value: u64 = 0;
        let mut any = false;
        loop {
            match self.peek()? {
                Some(byte @ b'0'..=b'9') => {
                    any = true;
                    let digit = u64::from(byte - b'0');
                    match value.checked_mul(10).and_then(|tens| tens.checked_add(digit)) {
                        Some(next) => value = next,
                        None => return Err(self.unexpected("a number below 2^64")),
                    }
                    self.advance();
                }
                Some(_) if any => break,
                _ => return Err(self.unexpected("a number")),
            }
        }
        Ok(if negative { value.wrapping_neg() } else { value })
    }

    /// Skips one JSON value of any kind.
    pub(crate) fn skip_value(&mut self) -> Result<()> {
        self.copy_value(None, usize::MAX)
    }

    /// Copies one JSON value of at most `limit` bytes.
    pub(crate) fn value(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.copy_value(Some(&mut out), limit)?;
        Ok(out)
    }

    fn copy_value(&mut self, mut out: Option<&mut Vec<u8>>, limit: usize) -> Result<()> {
        let mut depth = 0usize;
        let from = self.offset();
        loop {
            let Some(byte) = self.peek_token()? else {
                return Err(self.unexpected("a JSON value"));
            };
            if (self.offset() - from) > limit as u64 {
                return Err(self.unexpected("a shorter value"));
            }
            match byte {
                b'"' => {
                    match &mut out {
                        Some(out) => {
                            out.push(b'"');
                            self.string(out, limit)?;
                            out.push(b'"');
                        }
                        None => self.skip_string()?,
                    }
                    if depth == 0 {
                        return Ok(());
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return Err(self.unexpected("a JSON value")),
                b'}' | b']' => depth -= 1,
                b',' | b':' if depth == 0 => return Err(self.unexpected("a JSON value")),
                _ => {}
            }
            if let Some(out) = &mut out {
                out.push(byte);
            }
            self.advance();
            if depth == 0 && (matches!(byte, b'}' | b']') || self.value_ends()?) {
                return Ok(());
            }
        }
    }

    /// Skips a string of any length.
    fn skip_string(&mut self) -> Result<()> {
        self.expect(b'"', "a string")?;
        loop {
            let slice = self.buffer.get(self.position..self.end).unwrap_or_default();
            let stop = memchr2(b'"', b'\\', slice);
            self.position += stop.unwrap_or(slice.len());
            match stop {
                Some(_) if self.peek()? == Some(b'"') => {
                    self.advance();
                    return Ok(());
                }
                Some(_) => {
                    self.advance();
                    if self.peek()?.is_none() {
                        return Err(self.unexpected("an escaped character"));
                    }
                    self.advance();
                }
                None if !self.refill()? => return Err(self.unexpected("the end of a string")),
                None => {}
            }
        }
    }

    /// Whether a bare word or number at the top of a value is at its end.
    fn value_ends(&mut self) -> Result<bool> {
        Ok(matches!(self.peek()?, None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')))
    }

    /// Reads on. False at the end of the file.
    fn refill(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        // Keep what is not consumed.
        self.buffer.copy_within(self.position..self.end, 0);
        self.base += self.position as u64;
        self.end -= self.position;
        self.position = 0;
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(self.position < self.end);
                }
                Ok(read) => {
                    self.end += read;
                    let total = self.base + self.end as u64;
                    if total > self.limit {
                        return Err(too_long(total, self.limit));
                    }
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    let offset = self.base + self.end as u64;
                    return Err(match source.kind() {
                        // A decompressor's word for a file that stops too early.
                        ErrorKind::UnexpectedEof => Error::Truncated {
                            section: self.section,
                            offset,
                            expected: "more compressed data".to_owned(),
                        },
                        _ => Error::Io { offset, source },
                    });
                }
            }
        }
    }
}

/// Grows a vector as `Vec::push` does, but with an error where that would abort the process.
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize, what: &'static str) -> Result<()> {
    vec.try_reserve(more).map_err(|_| Error::OutOfMemory { what })
}

/// Makes room for exactly `count` elements.
pub(crate) fn reserve_exact<T>(vec: &mut Vec<T>, count: usize, what: &'static str) -> Result<()> {
    vec.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { what })
}

fn describe(byte: u8) -> String {
    match byte {
        b' '..=b'~' => format!("'{}'", char::from(byte)),
        _ => format!("byte 0x{byte:02x}"),
    }
}
