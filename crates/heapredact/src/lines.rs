//! Records as V8 writes them, each on a line of its own until Node.js 22, taken whole and eight bytes at a time: nearly all of a
//! snapshot. What is not exactly so is left to [`crate::numbers::Numbers`], which writes the same.

use crate::Error;
use crate::digits::{Digits, digits, doubled, value};
use crate::memo::Memo;
use wide::u8x16;

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
    type Kind: Copy;

    /// A record begins. `last`: the third number that matters.
    fn begin(&mut self, kind: u64, last: impl Fn() -> u64) -> Result<Self::Kind, Error>;

    /// Whether it uses its string as all records of its kind do, so that the memo may answer.
    fn may_recall(&self) -> bool;

    /// What its string is used for. Says where the string's number leads, and whether it was used so before: only that is remembered.
    fn string(
        &mut self,
        kind: Self::Kind,
        string: u64,
        last: impl Fn() -> u64,
    ) -> Result<(Place, bool), Error>;
}

/// Takes edges: kind, string, target. They come out without the line feed. Says how much was consumed.
pub(crate) fn edges(
    chunk: &[u8],
    records: &mut impl Lines,
    memo: &mut Memo,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    memo.prepare()?;
    take::<EDGE>(chunk, others::<4>, Line::edge, records, Some(memo), out)
}

/// Takes nodes of so many numbers: kind, string, id, size, number of edges and what follows.
pub(crate) fn nodes<const STRIDE: usize>(
    chunk: &[u8],
    records: &mut impl Lines,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    take::<NODE>(chunk, others::<3>, Line::node::<STRIDE>, records, None, out)
}

/// `TAIL`: the most words behind a string.
#[inline(always)]
fn take<const TAIL: usize>(
    chunk: &[u8],
    look: impl Fn(&[u8; WINDOW]) -> u64,
    parse: impl Fn(&[u8; WINDOW], u64) -> Option<Line>,
    records: &mut impl Lines,
    mut memo: Option<&mut Memo>,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    let mut rest = chunk;
    loop {
        let start = out.len();
        out.try_reserve(BATCH + WINDOW).map_err(|_| Error::Memory)?;
        out.resize(start + BATCH + WINDOW, 0);
        let mut written = 0;
        let mut error = None;
        // What was seen of the lines behind the last one.
        let mut seen = 0;
        while written < BATCH
            && let Some(text) = rest.first_chunk::<WINDOW>()
            && let Some(line) = parse(text, seen).or_else(|| {
                seen = look(text);
                parse(text, seen)
            })
            && let Some(space) = out.get_mut(start + written..).and_then(<[u8]>::first_chunk_mut)
        {
            match line.place(text, records, memo.as_deref_mut()) {
                Ok(digits) => written += line.write::<TAIL>(text, digits, space),
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
            seen >>= line.next & LAST;
            rest = &rest[line.next & LAST..];
        }
        out.truncate(start + written);
        match error {
            Some(error) => return Err(error),
            None if written < BATCH => return Ok(chunk.len() - rest.len()),
            None => {}
        }
    }
}

/// What is looked at of a line, and what may be written of one. No place in it needs a check.
const WINDOW: usize = 64;
const LAST: usize = WINDOW - 1;
/// Where a string's number begins and ends at most, and the words of a node's line behind it: a line ends within forty-eight bytes.
const STRING: usize = 3;
const STRING_END: usize = 15;
const NODE: usize = 6;
/// Those of an edge, and the digits of its target that are in them behind a comma.
const EDGE: usize = 2;
const TARGET: usize = 8 * EDGE - 1;
/// Which of a node's numbers is that of edges.
const EDGES: usize = 4;
const MOST_FIELDS: usize = 8;
const BATCH: usize = 4096;

/// Behind this many digits other paths begin.
const DIGITS: usize = 8;
/// What a number of 64 bits surely holds.
const MOST_DIGITS: usize = 19;

/// Numbers are known by where they begin and end.
struct Line {
    kind: u64,
    /// Those of the string's number.
    digits: u64,
    string: (usize, usize),
    last: (usize, usize),
    /// Where the last number ends, and the next record begins.
    end: usize,
    next: usize,
}

impl Line {
    #[inline(always)]
    fn edge(text: &[u8; WINDOW], others: u64) -> Option<Line> {
        let head = word_at(text, 0);
        // A digit, a comma, and a digit.
        if others & 7 != 2 || head & 0xff00 != u64::from(b',') << 8 {
            return None;
        }
        let mut rest = others ^ 2;
        let string = (2, next_of(&mut rest));
        let last = (string.1 + 1, next_of(&mut rest));
        let is_short = last.1.wrapping_sub(last.0 + 1) < TARGET;
        if !is_short || text[string.1 & LAST] != b',' {
            return None;
        }
        Line::of(text, head & 15, string, last, last.1)
    }

    #[inline(always)]
    fn node<const STRIDE: usize>(text: &[u8; WINDOW], others: u64) -> Option<Line> {
        const { assert!(EDGES < STRIDE && STRIDE <= MOST_FIELDS) };
        let mut rest = others;
        let mut ends = [0; MOST_FIELDS];
        for end in ends.iter_mut().take(STRIDE) {
            *end = next_of(&mut rest);
        }
        let end = ends[STRIDE - 1];
        // There is a digit before each comma, and there are not too many. Of short lines this is known.
        let is_short = end <= MOST_DIGITS + 2 * (STRIDE - 1)
            || ends[..STRIDE].windows(2).all(|ends| ends[1] - ends[0] <= MOST_DIGITS);
        // No two of them are side by side, and none is anything else.
        let wrong = others & (others << 1 | 1) | (others ^ commas::<3>(text)) << 1;
        if end > LAST || !is_short || wrong << (LAST - (end & LAST)) != 0 {
            return None;
        }
        let head = word_at(text, 0);
        let kind = match ends[0] {
            1 => head & 15,
            2 => (head & 15) * 10 + (head >> 8 & 15),
            _ => return None,
        };
        Line::of(text, kind, (ends[0] + 1, ends[1]), (ends[EDGES - 1] + 1, ends[EDGES]), end)
    }

    #[inline(always)]
    fn of(
        text: &[u8; WINDOW],
        kind: u64,
        string: (usize, usize),
        last: (usize, usize),
        end: usize,
    ) -> Option<Line> {
        let length = string.1 - string.0;
        let word = word_at(text, string.0 & STRING);
        // Twice the number has no more than eight digits, and it is written as V8 does.
        let first = (word & 0xff) as u8;
        let is_string =
            length + usize::from(first >= b'5') <= DIGITS && (first != b'0' || length == 1);
        if !is_string {
            return None;
        }
        // A comma comes before the next record, perhaps after a line feed.
        let comma = match text[end & LAST] {
            b',' => end,
            b'\n' if text[(end + 1) & LAST] == b',' => end + 1,
            _ => return None,
        };
        Some(Line { kind, digits: digits(word, length), string, last, end, next: comma + 1 })
    }

    /// Where its string stands in the file that comes out.
    #[inline(always)]
    fn place(
        &self,
        text: &[u8; WINDOW],
        records: &mut impl Lines,
        memo: Option<&mut Memo>,
    ) -> Result<Digits, Error> {
        let (start, end) = (self.string.0 & STRING, self.string.1 & STRING_END);
        let (from, to) = self.last;
        let last = || number(text, from, to);
        // Of each byte the upper half is free.
        let key = self.digits | self.kind << 4;
        let kind = records.begin(self.kind, last)?;
        let entry = memo.filter(|_| records.may_recall()).and_then(|memo| memo.entry(key));
        if let Some((found, digits)) = &entry
            && *found == key
        {
            return Ok(*digits);
        }
        let (place, was_so) = records.string(kind, value(self.digits), last)?;
        let digits = match place {
            Place::Same => Digits { word: word_at(text, start), carry: 0 },
            _ => doubled(self.digits, end - start, place == Place::Text),
        };
        if was_so && let Some(entry) = entry {
            *entry = (key, digits);
        }
        Ok(digits)
    }

    /// The record with its string in another place, and a comma behind it; says how long it is.
    #[inline(always)]
    fn write<const TAIL: usize>(
        &self,
        text: &[u8; WINDOW],
        Digits { word, carry }: Digits,
        line: &mut [u8; WINDOW],
    ) -> usize {
        let (start, end) = (self.string.0 & STRING, self.string.1 & STRING_END);
        line[..8].copy_from_slice(&text[..8]);
        line[start..start + 8].copy_from_slice(&word.to_le_bytes());
        let at = (end + carry) & STRING_END;
        line[at..at + 8 * TAIL].copy_from_slice(&text[end..end + 8 * TAIL]);
        line[(self.end + carry) & LAST] = b',';
        self.end + carry + 1
    }
}

/// Of each of so many times sixteen bytes a bit: those that are no digits.
#[inline(always)]
fn others<const LENGTH: usize>(text: &[u8; WINDOW]) -> u64 {
    // Digits become 0 to 9, and what is added leaves them without the highest bit.
    bits::<LENGTH>(text, |bytes| (bytes ^ u8x16::splat(b'0')).saturating_add(u8x16::splat(0x76)))
}

#[inline(always)]
fn commas<const LENGTH: usize>(text: &[u8; WINDOW]) -> u64 {
    bits::<LENGTH>(text, |bytes| bytes.cmp_eq(u8x16::splat(b',')))
}

#[inline(always)]
fn bits<const LENGTH: usize>(text: &[u8; WINDOW], highest: impl Fn(u8x16) -> u8x16) -> u64 {
    let (lanes, _) = text.as_chunks();
    lanes.iter().take(LENGTH).enumerate().fold(0, |bits, (at, lane)| {
        let mask = highest(u8x16::new(*lane)).move_mask().cast_unsigned();
        bits | u64::from(mask) << (16 * at)
    })
}

/// Where the lowest bit stands, which goes; 64 where there is none.
#[inline(always)]
fn next_of(bits: &mut u64) -> usize {
    let at = bits.trailing_zeros() as usize;
    *bits &= bits.wrapping_sub(1);
    at
}

#[inline(always)]
fn word_at(text: &[u8; WINDOW], at: usize) -> u64 {
    text.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word))
}

#[inline(always)]
fn number(text: &[u8; WINDOW], from: usize, to: usize) -> u64 {
    if to - from > DIGITS {
        long_number(&text[from..to])
    } else {
        value(digits(word_at(text, from), to - from))
    }
}

#[cold]
fn long_number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit & 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        records: Vec<(u64, u64, u64)>,
        /// Strings were used so before.
        was_so: bool,
        is_unlike: bool,
    }

    impl Lines for Seen {
        type Kind = u64;

        fn begin(&mut self, kind: u64, _: impl Fn() -> u64) -> Result<u64, Error> {
            Ok(kind)
        }

        fn may_recall(&self) -> bool {
            !self.is_unlike
        }

        fn string(
            &mut self,
            kind: u64,
            string: u64,
            last: impl Fn() -> u64,
        ) -> Result<(Place, bool), Error> {
            self.records.push((kind, string, last()));
            let place = [Place::Same, Place::Name, Place::Text];
            Ok((place[usize::try_from(kind % 3).expect("small")], self.was_so))
        }
    }

    type Taken = (usize, String, Vec<(u64, u64, u64)>);

    fn taken(take: impl Fn(&mut Seen, &mut Vec<u8>) -> Result<usize, Error>) -> Taken {
        let (mut seen, mut out) = (Seen::default(), Vec::new());
        let consumed = take(&mut seen, &mut out).expect("memory");
        (consumed, String::from_utf8(out).expect("text"), seen.records)
    }

    fn edges(text: &str) -> Taken {
        taken(|seen, out| super::edges(text.as_bytes(), seen, &mut Memo::default(), out))
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
                    // Twice the number has eight digits.
                    let string = number % 10_u64.pow(length).min(50_000_000);
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
    fn the_longest_line_is_written_whole() {
        let node = "1,2,123456789012345678,123456789012345678,1,0,3,";
        let text = format!("{node}{node}{}", " ".repeat(WINDOW));
        let (taken, out, _) = nodes(&text);
        assert_eq!((taken, out), (2 * node.len(), node.replacen(",2,", ",4,", 1).repeat(2)));
    }

    #[test]
    fn a_target_is_written_whole_or_left_alone() {
        for length in 1..=20 {
            let edge = format!("1,4999,{},", &"12345678901234567890"[..length]);
            let (taken, out, _) = edges(&format!("{edge}{}", " ".repeat(WINDOW)));
            let whole = (edge.len(), edge.replace("4999", "9998"));
            let expected = if length <= TARGET { whole } else { (0, String::new()) };
            assert_eq!((taken, out), expected);
        }
    }

    #[test]
    fn a_string_that_is_remembered_is_not_asked_for_again() {
        let strings = [7, 70, 700, 4999, 5000, 50_000, 4_999_999];
        let (lines, expected): (String, String) = (0..3)
            .flat_map(|to| strings.map(|string| (to, string)))
            .map(|(to, string)| {
                let line = |first, second| format!("1,{first},{to},2,{second},{to},");
                (line(string, string), line(string * 2, string * 2 + 1))
            })
            .unzip();
        let text = format!("{lines}{}", " ".repeat(WINDOW));
        let mut memo = Memo::default();
        for (is_unlike, asked) in [(true, 6), (false, 2), (false, 0), (true, 6)] {
            let mut seen = Seen { was_so: true, is_unlike, ..Seen::default() };
            let mut out = Vec::new();
            super::edges(text.as_bytes(), &mut seen, &mut memo, &mut out).expect("memory");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
            assert_eq!(seen.records.len(), asked * strings.len());
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
            // Twice this has nine digits.
            "1,50000000,3\n,",
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
        assert_eq!(edges(&line.repeat(WINDOW)[..WINDOW]).0, line.len());
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
