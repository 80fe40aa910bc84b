//! The file's string table, kept as the file has it and decoded when somebody looks.

use std::borrow::Cow;

use crate::load::input::reserve;
use crate::{Error, Result, Section, StringIndex};

/// What a string is shown as when the file ended before it.
const MISSING: &str = "(missing)";

/// Strings, still escaped, one after the other; four bytes a string to find it again.
#[derive(Debug, Default)]
pub struct StringTable {
    bytes: Vec<u8>,
    /// Where each string starts, modulo 2^32.
    starts: Vec<u32>,
    /// The first string at or beyond each further multiple of 2^32.
    wraps: Vec<u32>,
}

impl StringTable {
    /// How many strings the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether the file has no strings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// A string's text. Lone surrogates and bytes that are not UTF-8 become U+FFFD, as they do when
    /// a browser shows them. A string that a truncated file no longer has reads `(missing)`.
    #[must_use]
    pub fn get(&self, index: StringIndex) -> Cow<'_, str> {
        match self.raw(index) {
            Some(raw) => unescape(raw),
            None => Cow::Borrowed(MISSING),
        }
    }

    /// The bytes between the quotation marks in the file.
    #[must_use]
    pub fn raw(&self, index: StringIndex) -> Option<&[u8]> {
        let index = index.0 as usize;
        if index >= self.starts.len() {
            return None;
        }
        self.bytes.get(self.start(index)..self.end(index))
    }

    /// Whether a string is exactly this plain ASCII text; cheaper than decoding it.
    #[must_use]
    pub fn is(&self, index: StringIndex, text: &str) -> bool {
        self.raw(index) == Some(text.as_bytes())
    }

    /// Makes room in advance. That it cannot be had is no error yet: the strings may be few.
    pub(crate) fn reserve_bytes(&mut self, bytes: usize) {
        let _ = self.bytes.try_reserve_exact(bytes);
    }

    /// The strings that contain some text, in order. `text` must not hold what JSON escapes.
    pub(crate) fn containing(&self, text: &str) -> Vec<StringIndex> {
        let finder = memchr::memmem::Finder::new(text);
        let (mut found, mut from, mut index) = (Vec::new(), 0, 0);
        while let Some(at) = self.bytes.get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + at;
            index = self.at(at, index);
            let end = self.end(index);
            if at + text.len() <= end {
                found.push(StringIndex(u32::try_from(index).unwrap_or(u32::MAX)));
                from = end.max(at + 1);
            } else {
                // It begins in one string and ends in another.
                from = at + 1;
            }
        }
        found
    }

    /// The strings that are exactly one of these.
    pub(crate) fn all_that_are(&self, texts: &[&str]) -> Vec<StringIndex> {
        let found = texts.iter().flat_map(|text| {
            let mut found = self.containing(text);
            found.retain(|&index| self.is(index, text));
            found
        });
        found.collect()
    }

    /// Appends what `write` appends to the bytes as one more string.
    pub(crate) fn push_with(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<StringIndex> {
        let Ok(index) = u32::try_from(self.starts.len()) else {
            return Err(Error::TooLarge {
                section: Section::Strings,
                what: "the number of strings",
                found: self.starts.len() as u64,
                limit: u64::from(u32::MAX),
            });
        };
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        if let Err(error) = result {
            self.bytes.truncate(start);
            return Err(error);
        }
        reserve(&mut self.starts, 1, "strings")?;
        while self.wraps.len() < start >> 32 {
            self.wraps.push(index);
        }
        #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32; wraps has the rest")]
        self.starts.push(start as u32);
        Ok(StringIndex(index))
    }

    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
    }

    /// The string that the byte at an offset belongs to, looked for from one before it on.
    fn at(&self, offset: usize, before: usize) -> usize {
        let (mut low, mut high, mut step) = (before, before + 1, 1);
        while high < self.starts.len() && self.start(high) <= offset {
            low = high;
            high += step;
            step *= 2;
        }
        high = high.min(self.starts.len());
        while low + 1 < high {
            let middle = low.midpoint(high);
            if self.start(middle) <= offset {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn end(&self, index: usize) -> usize {
        if index + 1 >= self.starts.len() { self.bytes.len() } else { self.start(index + 1) }
    }

    fn start(&self, index: usize) -> usize {
        let low = self.starts.get(index).copied().unwrap_or(0) as usize;
        if self.wraps.is_empty() {
            return low;
        }
        low + (self.wraps.partition_point(|&first| first as usize <= index) << 32)
    }
}

/// Resolves JSON's escapes.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return String::from_utf8_lossy(raw);
    };
    let mut text = String::with_capacity(raw.len());
    text.push_str(&String::from_utf8_lossy(&raw[..first]));
    let mut rest = &raw[first..];
    while let Some((&b'\\', after)) = rest.split_first() {
        rest = escape(after, &mut text);
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        text.push_str(&String::from_utf8_lossy(&rest[..plain]));
        rest = &rest[plain..];
    }
    Cow::Owned(text)
}

/// Decodes the escape after a backslash; returns what follows it.
fn escape<'a>(after: &'a [u8], text: &mut String) -> &'a [u8] {
    let Some((&kind, rest)) = after.split_first() else {
        return after;
    };
    let plain = match kind {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => return unicode(rest, text),
        // A quotation mark, a slash, a backslash; anything else is no JSON and stands for itself.
        0..0x80 => char::from(kind),
        _ => {
            // The first byte of something longer: leave it to the UTF-8 decoder.
            return after;
        }
    };
    text.push(plain);
    rest
}

fn unicode<'a>(rest: &'a [u8], text: &mut String) -> &'a [u8] {
    let Some(unit) = hex4(rest) else {
        text.push_str("\\u");
        return rest;
    };
    let rest = &rest[4..];
    if let 0xd800..0xdc00 = unit
        && let Some(after) = rest.strip_prefix(b"\\u")
        && let Some(low @ 0xdc00..0xe000) = hex4(after)
    {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return &after[4..];
    }
    text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.first_chunk::<4>()?;
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_every_escape() {
        assert_eq!(unescape(br#"a\n\t\"\\\/\u0041\u00e9"#), "a\n\t\"\\/A\u{e9}");
        assert_eq!(unescape(br"\ud83d\ude00!"), "\u{1f600}!");
    }

    #[test]
    fn keeps_broken_text_readable() {
        assert_eq!(unescape(br"x\ud800y"), "x\u{fffd}y");
        assert_eq!(unescape(br"x\ud800\u0041"), "x\u{fffd}A");
        assert_eq!(unescape(b"x\xffy"), "x\u{fffd}y");
        assert_eq!(unescape(br"x\u12"), "x\\u12");
        assert_eq!(unescape(b"x\\"), "x");
        assert_eq!(unescape(b"\\\xc3\xa9"), "\u{e9}");
    }

    #[test]
    fn finds_strings_again() {
        let mut table = StringTable::default();
        for text in ["", "one", "two"] {
            let pushed = table.push_with(|bytes| {
                bytes.extend_from_slice(text.as_bytes());
                Ok(())
            });
            assert!(pushed.is_ok());
        }
        assert_eq!(table.get(StringIndex(0)), "");
        assert_eq!(table.get(StringIndex(2)), "two");
        assert_eq!(table.get(StringIndex(3)), "(missing)");
        assert!(table.is(StringIndex(1), "one"));
    }

    #[test]
    fn finds_what_a_string_contains() {
        let mut table = StringTable::default();
        for text in ["xa", "", "aay", "b", "baaab", "", "x"] {
            let _ = table.push_with(|bytes| {
                bytes.extend_from_slice(text.as_bytes());
                Ok(())
            });
        }
        let found = |text| table.containing(text).iter().map(|index| index.0).collect::<Vec<_>>();
        assert_eq!(found("aa"), [2, 4]);
        assert_eq!(found("b"), [3, 4]);
        assert_eq!(found("x"), [0, 6]);
        assert!(found("bb").is_empty());
    }
}
