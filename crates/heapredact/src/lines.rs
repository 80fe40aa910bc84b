//! Records as V8 writes them, each on a line of its own until Node.js 22, taken whole and eight bytes at a time: nearly all of a
//! snapshot. What is not exactly so is left to [`crate::numbers::Numbers`], which writes the same.

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

/// Takes edges: kind, string, target. They come out without the line feed. Says how much was consumed.
pub(crate) fn edges(
    chunk: &[u8],
    records: &mut impl Lines,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    take::<2>(chunk, Line::edge, records, out)
}

/// Takes nodes of so many numbers: kind, string, id, size, number of edges and what follows.
pub(crate) fn nodes<const STRIDE: usize>(
    chunk: &[u8],
    records: &mut impl Lines,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    take::<NODE>(chunk, Line::node::<STRIDE>, records, out)
}

/// `TAIL`: the most words behind a string.
#[inline(always)]
fn take<const TAIL: usize>(
    chunk: &[u8],
    parse: impl Fn(&[u8; WINDOW]) -> Option<Line>,
    records: &mut impl Lines,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    let mut batch = [0; BATCH + LINE];
    let (mut consumed, mut written) = (0, 0);
    while let Some(text) = chunk[consumed..].first_chunk::<WINDOW>()
        && let Some(line) = parse(text)
    {
        let (from, to) = line.last;
        let place = records.record(line.kind, line.number, || number(text, from, to))?;
        let Some(space) = batch.get_mut(written..).and_then(<[u8]>::first_chunk_mut::<LINE>) else {
            break;
        };
        written += line.write::<TAIL>(text, place, space);
        consumed += line.next;
        if written >= BATCH {
            out.extend_from_slice(&batch[..written]);
            written = 0;
        }
    }
    out.extend_from_slice(&batch[..written]);
    Ok(consumed)
}

const MOST_FIELDS: usize = 8;
/// Words of a node's line.
const NODE: usize = 5;
/// Which of its numbers is that of edges.
const EDGES: usize = 4;
/// The words of a line, and as many again behind its string.
const WINDOW: usize = 56;
/// The same with another digit.
const LINE: usize = 64;
const BATCH: usize = 4096;

const ONES: u64 = 0x0101_0101_0101_0101;
/// Behind this many digits other paths begin.
const DIGITS: usize = 8;
/// What a number of 64 bits surely holds.
const MOST_DIGITS: usize = 19;

/// Numbers are known by where they begin and end.
struct Line {
    kind: u64,
    number: u64,
    /// The digits of the string's number, and what follows.
    word: u64,
    string: (usize, usize),
    last: (usize, usize),
    /// Where the last number ends, and the next record begins.
    end: usize,
    next: usize,
}

impl Line {
    /// One number after the other, because there are few.
    #[inline(always)]
    fn edge(text: &[u8; WINDOW]) -> Option<Line> {
        let word = word_at(text, 2);
        let string = (2, 2 + digits_at(text, 2));
        let last = (string.1 + 1, string.1 + 1 + digits_at(text, string.1 + 1));
        let end = last.1;
        let next = next(text, end)?;
        let is_record =
            text[0].is_ascii_digit() && text[1] == b',' && text.get(string.1) == Some(&b',');
        let is_short = last.0 < end && end - last.0 < 2 * DIGITS;
        if !is_record || !is_short || !is_string(word, string.1 - string.0) {
            return None;
        }
        let (kind, number) = (u64::from(text[0] & 15), value(word, string.1 - string.0));
        Some(Line { kind, number, word, string, last, end, next })
    }

    /// All numbers at once.
    #[inline(always)]
    fn node<const STRIDE: usize>(text: &[u8; WINDOW]) -> Option<Line> {
        const { assert!(EDGES < STRIDE && STRIDE <= MOST_FIELDS) };
        let mut others = 0;
        for (at, word) in text.as_chunks::<8>().0.iter().take(NODE).enumerate() {
            let bits = no_digits(u64::from_le_bytes(*word)) >> 7;
            others |= (bits.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at);
        }
        let mut ends = [0; MOST_FIELDS];
        let mut start = 0;
        for (field, end) in ends.iter_mut().enumerate().take(STRIDE) {
            // 64 where there is none, which is too far.
            *end = others.trailing_zeros() as usize;
            others &= others.wrapping_sub(1);
            if end.wrapping_sub(start).wrapping_sub(1) >= MOST_DIGITS
                || field + 1 < STRIDE && text.get(*end) != Some(&b',')
            {
                return None;
            }
            start = *end + 1;
        }
        let end = start - 1;
        let next = next(text, end)?;
        let kind = match ends[0] {
            1 => u64::from(text[0] & 15),
            2 => u64::from(text[0] & 15) * 10 + u64::from(text[1] & 15),
            _ => return None,
        };
        let string = (ends[0] + 1, ends[1]);
        let length = string.1 - string.0;
        let word = word_at(text, string.0);
        if !is_string(word, length) {
            return None;
        }
        let last = (ends[EDGES - 1] + 1, ends[EDGES]);
        Some(Line { kind, number: value(word, length), word, string, last, end, next })
    }

    /// The record with its string in another place, and a comma behind it; says how long it is.
    #[inline(always)]
    fn write<const TAIL: usize>(
        &self,
        text: &[u8; WINDOW],
        place: Place,
        line: &mut [u8; LINE],
    ) -> usize {
        let (start, end) = self.string;
        line[..8].copy_from_slice(&text[..8]);
        let (carry, doubled) = doubled(self.word, end - start, place == Place::Text);
        let (carry, word) = if place == Place::Same { (0, self.word) } else { (carry, doubled) };
        line[start] = b'1';
        let mut at = start + carry;
        line[at..at + 8].copy_from_slice(&word.to_le_bytes());
        at += end - start;
        line[at..at + 8 * TAIL].copy_from_slice(&text[end..end + 8 * TAIL]);
        at += self.end - end;
        line[at] = b',';
        at + 1
    }
}

/// The highest bit of each byte that is no digit.
#[inline(always)]
fn no_digits(word: u64) -> u64 {
    let word = word ^ (ONES * 0x30);
    (((word & (ONES * 0x7f)) + ONES * 0x76) | word) & (ONES * 0x80)
}

/// The record behind a number that ends here: a comma comes before it, perhaps after a line feed.
#[inline(always)]
fn next(text: &[u8; WINDOW], end: usize) -> Option<usize> {
    let comma = end + usize::from(text.get(end) == Some(&b'\n'));
    (text.get(comma) == Some(&b',')).then_some(comma + 1)
}

/// How many digits stand here, up to sixteen.
#[inline(always)]
fn digits_at(text: &[u8; WINDOW], at: usize) -> usize {
    let digits = |at| no_digits(word_at(text, at)).trailing_zeros() as usize / 8;
    match digits(at) {
        DIGITS => DIGITS + digits(at + DIGITS),
        few => few,
    }
}

/// Whether a number of so many digits can be doubled here, which are written as V8 does.
#[inline(always)]
fn is_string(word: u64, length: usize) -> bool {
    (1..=DIGITS).contains(&length) && (word & 0xff != u64::from(b'0') || length == 1)
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

#[inline]
fn number(text: &[u8; WINDOW], from: usize, to: usize) -> u64 {
    if to - from > DIGITS {
        long_number(&text[from..to])
    } else {
        value(word_at(text, from), to - from)
    }
}

#[cold]
fn long_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit & 15))
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

    type Taken = (usize, String, Vec<(u64, u64, u64)>);

    fn taken(take: impl Fn(&mut Seen, &mut Vec<u8>) -> Result<usize, Error>) -> Taken {
        let (mut seen, mut out) = (Seen(Vec::new()), Vec::new());
        let consumed = take(&mut seen, &mut out).expect("memory");
        (consumed, String::from_utf8(out).expect("text"), seen.0)
    }

    fn edges(text: &str) -> Taken {
        taken(|seen, out| super::edges(text.as_bytes(), seen, out))
    }

    fn nodes(text: &str) -> Taken {
        taken(|seen, out| super::nodes::<7>(text.as_bytes(), seen, out))
    }

    #[test]
    fn numbers_of_all_lengths_are_read_and_doubled() {
        let behind = " ".repeat(WINDOW);
        for (kind, feed) in (0..15_u64).flat_map(|kind| [(kind, ""), (kind, "\n")]) {
            for length in 0..=8_u32 {
                for number in [0, 1, 4, 5, 49, 50, 12_345_678, 98_765_432, 99_999_999] {
                    let string = number % 10_u64.pow(length).max(1);
                    let to = string.wrapping_mul(7919) % 10_000_000_000;
                    let place = [Place::Same, Place::Name, Place::Text]
                        [usize::try_from(kind % 3).expect("small")];
                    let edge = format!("{kind},{string},{to}{feed},");
                    let node = format!("{kind},{string},{to},16,{number},0,3{feed},");
                    let written = place.of(string);
                    if kind < 10 {
                        assert_eq!(
                            edges(&format!("{edge}{edge}{behind}")),
                            (
                                edge.len() * 2,
                                format!("{kind},{written},{to},").repeat(2),
                                vec![(kind, string, to); 2]
                            )
                        );
                    }
                    assert_eq!(
                        nodes(&format!("{node}{behind}")),
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
            "1,2,3\n 4",
            "1,2,3\n4,",
            "1,2,\n,",
            ",1,2\n,",
            "1,,2\n,",
            "1,02,3\n,",
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
            assert_eq!(edges(&format!("{text}{behind}")).0, 0, "{text}");
        }
        let line = "1,2,3\n,";
        assert_eq!(edges(&line.repeat(WINDOW / line.len())).0, line.len());
        assert_eq!(edges(line).0, 0);
    }

    #[test]
    fn many_lines_are_one_text() {
        let (lines, expected): (String, String) = (0..20_000_u64)
            .map(|at| (format!("2,{at},{}\n,", at * 3), format!("2,{},{},", at * 2 + 1, at * 3)))
            .unzip();
        let (consumed, out, _) = edges(&format!("{lines}{}", " ".repeat(WINDOW)));
        assert_eq!((consumed, out), (lines.len(), expected));
    }
}
