//! Arrays of numbers: records of a known length, in which the numbers of strings change and all else stays.

use crate::Error;

/// Takes apart what stands between `[` and `]`, chunk by chunk. White space goes.
#[derive(Default)]
pub(crate) struct Numbers {
    value: u64,
    digits: u8,
    negative: bool,
    field: usize,
    /// White space came after the number.
    ended: bool,
    /// A comma has been written, which a number must follow.
    comma: bool,
}

/// An array's records.
pub(crate) trait Records {
    /// How many numbers a record has.
    fn stride(&self) -> usize;

    /// The field that is written as [`Records::number`] says; all others as they are.
    fn changes(&self) -> [usize; 2];

    /// A number has been read; what is written in its place.
    fn number(&mut self, field: usize, value: u64) -> Result<u64, Error>;

    /// The fields that are looked at, in their order. The first of those that change is one.
    fn fields(&self) -> [usize; 3];

    /// The same of a whole record; what is written in the place of the field that changes.
    #[inline]
    fn record(&mut self, values: &[u64; MOST_FIELDS]) -> Result<u64, Error> {
        let [first, name, last] = self.fields();
        let value = |field: usize| values.get(field).copied().unwrap_or(0);
        self.number(first, value(first))?;
        let written = self.number(name, value(name))?;
        self.number(last, value(last))?;
        Ok(written)
    }
}

impl Numbers {
    /// Consumes up to and with the closing bracket; says how much, and whether it was there.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        records: &mut impl Records,
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), Error> {
        let malformed = |what| Err(Error::Malformed { what });
        let changes = records.changes();
        // What is to be copied and has not been.
        let mut copied = 0;
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if self.field == 0 && self.digits == 0 && !self.negative && byte.is_ascii_digit() {
                out.extend_from_slice(&chunk[copied..at]);
                let taken = whole_records(&chunk[at..], records, out)?;
                // What was taken ends with a comma.
                self.comma |= taken > 0;
                at += taken;
                copied = at;
                if taken > 0 {
                    continue;
                }
            }
            match byte {
                b'0'..=b'9' => {
                    if self.ended {
                        return malformed("two numbers without a comma");
                    }
                    let start = at;
                    while let Some(digit @ b'0'..=b'9') = chunk.get(at) {
                        self.value =
                            self.value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                        at += 1;
                    }
                    let digits = u8::try_from(at - start).unwrap_or(u8::MAX);
                    self.digits = self.digits.saturating_add(digits);
                    if self.digits > 19 {
                        return malformed("a number of more than 19 digits");
                    }
                    if changes.contains(&self.field) {
                        out.extend_from_slice(&chunk[copied..start]);
                        copied = at;
                    }
                    continue;
                }
                b',' => {
                    // A changed number has been copied up to, and its text left out: this comma is next.
                    self.end(records, changes, out)?;
                    self.comma = true;
                }
                b']' => {
                    if self.digits > 0 || self.comma {
                        self.end(records, changes, out)?;
                    }
                    out.extend_from_slice(&chunk[copied..at]);
                    if self.field != 0 {
                        return malformed("an array that ends within a record");
                    }
                    out.push(b']');
                    return Ok((at + 1, true));
                }
                b' ' | b'\n' | b'\r' | b'\t' => {
                    out.extend_from_slice(&chunk[copied..at]);
                    copied = at + 1;
                    self.ended = self.digits > 0;
                }
                b'-' if self.digits == 0 && !self.negative && !changes.contains(&self.field) => {
                    self.negative = true;
                }
                _ => return malformed("an array of numbers with something else in it"),
            }
            at += 1;
        }
        out.extend_from_slice(&chunk[copied..]);
        Ok((chunk.len(), false))
    }

    fn end(
        &mut self,
        records: &mut impl Records,
        changes: [usize; 2],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.digits == 0 {
            return Err(Error::Malformed { what: "a comma without a number" });
        }
        let value = records.number(self.field, self.value)?;
        if changes.contains(&self.field) {
            decimal(value, out);
        }
        self.field = if self.field + 1 == records.stride() { 0 } else { self.field + 1 };
        (self.value, self.digits, self.negative, self.ended, self.comma) =
            (0, 0, false, false, false);
        Ok(())
    }
}

/// Takes records as V8 writes them, each whole and with the comma behind it. They come out as [`Numbers`] would write them, which
/// takes all others: says how much was consumed.
fn whole_records(
    chunk: &[u8],
    records: &mut impl Records,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    let stride = records.stride();
    let [name, other] = records.changes();
    let mut consumed = 0;
    if name != other || stride > MOST_FIELDS {
        return Ok(0);
    }
    let mut line = [0; LINE];
    while let Some(window) = chunk[consumed..].first_chunk::<WINDOW>()
        && let Some(record) = Record::parse(window, stride, name)
    {
        let written = records.record(&record.values)?;
        let length = record.write(window, written, &mut line);
        out.extend_from_slice(&line[..length]);
        consumed += record.next;
    }
    Ok(consumed)
}

const MOST_FIELDS: usize = 8;
/// A record that is longer with what stands before the field that changes, or behind it, is for [`Numbers`]. V8's are not: all of
/// these bytes are copied, as many as they are, because the compiler knows how many.
const HEAD: usize = 24;
const TAIL: usize = 64;
const DIGITS: usize = 20;
const WINDOW: usize = HEAD + DIGITS + TAIL;
const LINE: usize = WINDOW + 1;

struct Record {
    values: [u64; MOST_FIELDS],
    /// Where the field that changes stands.
    name: (usize, usize),
    /// Where the last number ends, and the next record begins.
    end: usize,
    next: usize,
}

impl Record {
    #[inline]
    fn parse(text: &[u8; WINDOW], stride: usize, name: usize) -> Option<Record> {
        let mut record = Record { values: [0; MOST_FIELDS], name: (0, 0), end: 0, next: 0 };
        let mut at = 0;
        for (field, slot) in record.values.iter_mut().enumerate().take(stride) {
            let start = at;
            let mut value = 0_u64;
            while let Some(&byte) = text.get(at)
                && byte.is_ascii_digit()
            {
                value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                at += 1;
            }
            if at == start || at - start > 19 {
                return None;
            }
            *slot = value;
            if field == name {
                record.name = (start, at);
            }
            if field + 1 == stride {
                record.end = at;
                at += usize::from(text.get(at) == Some(&b'\n'));
            }
            if text.get(at) != Some(&b',') {
                return None;
            }
            at += 1;
        }
        record.next = at;
        let (start, end) = record.name;
        (start <= HEAD && record.end - end < TAIL).then_some(record)
    }

    /// The record with `value` in its place and a comma behind it; says how long it is.
    #[inline]
    fn write(&self, text: &[u8; WINDOW], value: u64, line: &mut [u8; LINE]) -> usize {
        let mut digits = [0; DIGITS];
        let first = digits_of(value, &mut digits);
        let (start, end) = self.name;
        line[..HEAD].copy_from_slice(&text[..HEAD]);
        let mut length = start;
        for &digit in &digits[first..] {
            line[length] = digit;
            length += 1;
        }
        line[length..length + TAIL].copy_from_slice(&text[end..end + TAIL]);
        length += self.end - end;
        line[length] = b',';
        length + 1
    }
}

fn decimal(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let start = digits_of(value, &mut digits);
    out.extend_from_slice(&digits[start..]);
}

/// Where in `digits` its digits begin.
#[inline]
fn digits_of(mut value: u64, digits: &mut [u8; 20]) -> usize {
    let mut at = digits.len();
    if let Ok(mut short) = u32::try_from(value) {
        loop {
            at -= 1;
            digits[at] = b'0' + (short % 10) as u8;
            short /= 10;
            if short == 0 {
                return at;
            }
        }
    }
    while value > 0 {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    at
}
