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

    /// Takes records of this chunk that are as V8 writes them, as [`crate::lines::take`] does.
    fn lines(&mut self, _chunk: &[u8], _out: &mut Vec<u8>) -> Result<usize, Error> {
        Ok(0)
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
                let taken = records.lines(&chunk[at..], out)?;
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

fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
