//! Records as V8 writes them, each on a line of its own, taken whole and eight bytes at a time: nearly all of a snapshot. What
//! is not exactly so is left to [`crate::numbers::Numbers`], which writes the same.

use crate::Error;

/// Where a string's number leads in the file that comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the number of no string.
    Same,
    Name,
    /// The place behind the name's.
    Text,
}

impl Place {
    pub(crate) fn of(self, number: u64) -> u64 {
        match self {
            Place::Same => number,
            Place::Name => number * 2,
            Place::Text => number * 2 + 1,
        }
    }
}

/// What learns of whole records.
pub(crate) trait Lines {
    /// A record's kind, its string, and the third number that matters, for those who need it.
    fn record(&mut self, kind: u64, string: u64, last: impl Fn() -> u64) -> Result<Place, Error>;
}

/// Takes lines of `stride` numbers that begin with the kind and the string, and have `last` somewhere behind them, while they are
/// no longer than `WORDS` times eight bytes. They come out without the line feed. Says how much was consumed.
pub(crate) fn take<const WORDS: usize>(
    chunk: &[u8],
    (stride, last): (usize, usize),
    records: &mut impl Lines,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    if !(2..MOST_FIELDS).contains(&last) || last >= stride || stride > MOST_FIELDS {
        return Ok(0);
    }
    let mut batch = [0; BATCH + LINE];
    let (mut consumed, mut written) = (0, 0);
    while let Some(text) = chunk[consumed..].first_chunk::<WINDOW>()
        && let Some(line) = Line::parse::<WORDS>(text, stride)
    {
        let from = line.ends[last - 1] + 1;
        let last = || number(text, from, line.ends[last]);
        let place = records.record(line.kind, line.string, last)?;
        let Some(space) = batch.get_mut(written..).and_then(<[u8]>::first_chunk_mut::<LINE>) else {
            break;
        };
        written += line.write::<WORDS>(text, place, space);
        consumed += line.end + 2;
        if written >= BATCH {
            out.extend_from_slice(&batch[..written]);
            written = 0;
        }
    }
    out.extend_from_slice(&batch[..written]);
    Ok(consumed)
}

const MOST_FIELDS: usize = 8;
/// At most five words of a line, and as many again behind its string.
const WINDOW: usize = 56;
/// The same with another digit.
const LINE: usize = 64;
const BATCH: usize = 4096;

const ONES: u64 = 0x0101_0101_0101_0101;
/// Behind this many digits other paths begin.
const DIGITS: usize = 8;
/// What a number of 64 bits surely holds.
const MOST_DIGITS: usize = 19;

struct Line {
    kind: u64,
    string: u64,
    /// The string's digits, and what follows.
    word: u64,
    /// Behind each number.
    ends: [usize; MOST_FIELDS],
    /// The line feed, which a comma follows.
    end: usize,
}

impl Line {
    #[inline]
    fn parse<const WORDS: usize>(text: &[u8; WINDOW], stride: usize) -> Option<Line> {
        const { assert!(WORDS <= 5) };
        let mut others = 0;
        for (at, word) in text.as_chunks::<8>().0.iter().take(WORDS).enumerate() {
            others |= no_digits(u64::from_le_bytes(*word)) << (8 * at);
        }
        let mut ends = [0; MOST_FIELDS];
        let mut start = 0;
        for end in &mut ends[..stride] {
            // 64 where there is none, which is too far.
            *end = others.trailing_zeros() as usize;
            others &= others.wrapping_sub(1);
            if end.wrapping_sub(start).wrapping_sub(1) >= MOST_DIGITS {
                return None;
            }
            start = *end + 1;
        }
        let end = start - 1;
        for comma in ends[..stride - 1].iter().chain([&start]) {
            if text.get(*comma) != Some(&b',') {
                return None;
            }
        }
        let kind = match ends[0] {
            1 => u64::from(text[0] & 15),
            2 => u64::from(text[0] & 15) * 10 + u64::from(text[1] & 15),
            _ => return None,
        };
        let (from, to) = (ends[0] + 1, ends[1]);
        let word = word_at(text, from);
        let has_zeros = text[from] == b'0' && to - from > 1;
        (text.get(end) == Some(&b'\n') && to - from <= DIGITS && !has_zeros).then(|| Line {
            kind,
            string: value(word, to - from),
            word,
            ends,
            end,
        })
    }

    /// The record with its string in another place, and a comma behind it; says how long it is.
    #[inline]
    fn write<const WORDS: usize>(
        &self,
        text: &[u8; WINDOW],
        place: Place,
        line: &mut [u8; LINE],
    ) -> usize {
        let (start, end) = (self.ends[0] + 1, self.ends[1]);
        line[..8].copy_from_slice(&text[..8]);
        let (carry, doubled) = doubled(self.word, end - start, place == Place::Text);
        let (carry, word) = if place == Place::Same { (0, self.word) } else { (carry, doubled) };
        line[start] = b'1';
        let mut at = start + carry;
        line[at..at + 8].copy_from_slice(&word.to_le_bytes());
        at += end - start;
        line[at..at + 8 * WORDS].copy_from_slice(&text[end..end + 8 * WORDS]);
        at += self.end - end;
        line[at] = b',';
        at + 1
    }
}

/// A bit for each byte that is no digit.
#[inline]
fn no_digits(word: u64) -> u64 {
    let word = word ^ (ONES * 0x30);
    let above = ((word & (ONES * 0x7f)) + ONES * 0x76) | word;
    ((above >> 7) & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[inline]
fn word_at(text: &[u8; WINDOW], at: usize) -> u64 {
    text.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word))
}

/// Of up to eight digits at the start of a word: pairs, then fours, then all of them.
#[inline]
fn value(word: u64, length: usize) -> u64 {
    let digits = (word << (64 - 8 * length)) & (ONES * 15);
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

fn number(text: &[u8; WINDOW], from: usize, to: usize) -> u64 {
    if to - from <= DIGITS {
        return value(word_at(text, from), to - from);
    }
    text[from..to].iter().fold(0, |number, digit| number * 10 + u64::from(digit & 15))
}

/// Twice a number, and one if it is to be odd, digit by digit: 5 and more carry one to the digit before. Says whether there is a 1
/// to be written before the others.
#[inline]
fn doubled(word: u64, length: usize, odd: bool) -> (usize, u64) {
    let digits = word & (u64::MAX >> (64 - 8 * length)) & (ONES * 15);
    let carries = ((digits + ONES * (0x80 - 5)) >> 7) & ONES;
    let sum = (2 * digits - 10 * carries + (carries >> 8)) | u64::from(odd) << (8 * (length - 1));
    (usize::from(carries & 1 == 1), sum | (ONES * 0x30))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Seen(Vec<(u64, u64, u64)>);

    impl Lines for Seen {
        fn record(
            &mut self,
            kind: u64,
            string: u64,
            last: impl Fn() -> u64,
        ) -> Result<Place, Error> {
            self.0.push((kind, string, last()));
            Ok([Place::Same, Place::Name, Place::Text][usize::try_from(kind % 3).expect("small")])
        }
    }

    fn taken<const WORDS: usize>(
        text: &str,
        shape: (usize, usize),
    ) -> (usize, String, Vec<(u64, u64, u64)>) {
        let (mut seen, mut out) = (Seen(Vec::new()), Vec::new());
        let consumed = take::<WORDS>(text.as_bytes(), shape, &mut seen, &mut out).expect("memory");
        (consumed, String::from_utf8(out).expect("text"), seen.0)
    }

    #[test]
    fn numbers_of_all_lengths_are_read_and_doubled() {
        let behind = " ".repeat(WINDOW);
        for kind in 0..15_u64 {
            for length in 0..=8_u32 {
                for number in [0, 1, 4, 5, 49, 50, 12_345_678, 98_765_432, 99_999_999] {
                    let string = number % 10_u64.pow(length).max(1);
                    let to = string.wrapping_mul(7919) % 10_000_000_000;
                    let place = [Place::Same, Place::Name, Place::Text]
                        [usize::try_from(kind % 3).expect("small")];
                    let edge = format!("{kind},{string},{to}\n,");
                    let node = format!("{kind},{string},{to},16,{number},0,3\n,");
                    let written = place.of(string);
                    if edge.len() <= 24 {
                        assert_eq!(
                            taken::<3>(&format!("{edge}{edge}{behind}"), (3, 2)),
                            (
                                edge.len() * 2,
                                format!("{kind},{written},{to},").repeat(2),
                                vec![(kind, string, to); 2]
                            )
                        );
                    }
                    assert_eq!(
                        taken::<5>(&format!("{node}{behind}"), (7, 4)),
                        (
                            node.len(),
                            format!("{kind},{written},{to},16,{number},0,3,"),
                            vec![(kind, string, number)]
                        )
                    );
                }
            }
        }
    }

    #[test]
    fn all_else_is_left_alone() {
        let behind = " ".repeat(WINDOW);
        for text in [
            "1,2,3,\n",
            "1,2,3\n 4",
            "1,2,3\n4,",
            "1,2,\n,",
            ",1,2\n,",
            "1,,2\n,",
            "1,02,3\n,",
            "1,2,3,4\n,",
            "1,2\n,",
            "100,2,3\n,",
            "1,123456789,3\n,",
            "1,2,12345678901234567890\n,",
            "1,2;3\n,",
            "1, 2,3\n,",
            "1,-2,3\n,",
            "1,2,3\r,",
            "1,2:,3\n,",
            "1,2,/\n,",
            "1,2,3]",
            "1,2,\u{b3}\n,",
        ] {
            assert_eq!(taken::<3>(&format!("{text}{behind}"), (3, 2)).0, 0, "{text}");
        }
        let line = "1,2,3\n,";
        assert_eq!(taken::<3>(&line.repeat(WINDOW / line.len()), (3, 2)).0, line.len());
        assert_eq!(taken::<3>(line, (3, 2)).0, 0);
    }

    #[test]
    fn many_lines_are_one_text() {
        let (lines, expected): (String, String) = (0..20_000_u64)
            .map(|at| (format!("2,{at},{}\n,", at * 3), format!("2,{},{},", at * 2 + 1, at * 3)))
            .unzip();
        let (consumed, out, _) = taken::<3>(&format!("{lines}{}", " ".repeat(WINDOW)), (3, 2));
        assert_eq!((consumed, out), (lines.len(), expected));
    }
}
