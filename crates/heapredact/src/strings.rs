//! The array of strings, each of which becomes two: its name, and its text.

use crate::marks::{Usages, usage};
use crate::names::{self, About, Part};
use crate::pseudonym::Pseudonyms;
use crate::secrets::is_plain_identifier;
use crate::{Error, Options, units};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use wide::u8x16;

pub(crate) struct Strings {
    pseudonyms: Pseudonyms,
    hides_paths: bool,
    /// The string that is being read, still escaped.
    raw: Vec<u8>,
    inside: bool,
    escaped: bool,
    /// A comma came, or nothing yet.
    wanted: bool,
    count: usize,
    units: Vec<u16>,
    /// Hashes of names that stayed: an accessor's name stays with its property's.
    kept: HashSet<u64, BuildHasherDefault<Hashed>>,
}

impl Strings {
    pub(crate) fn new(options: &Options) -> Strings {
        Strings {
            pseudonyms: Pseudonyms::new(options.key.clone()),
            hides_paths: options.hide_paths,
            raw: Vec::new(),
            inside: false,
            escaped: false,
            wanted: true,
            count: 0,
            units: Vec::new(),
            kept: HashSet::default(),
        }
    }

    /// Consumes up to and with the closing bracket; says how much, and whether it was there.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        usages: &Usages,
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), Error> {
        let malformed = |what| Err(Error::Malformed { what });
        let mut at = 0;
        while at < chunk.len() {
            if self.inside {
                if std::mem::take(&mut self.escaped) {
                    self.keep(&chunk[at..=at])?;
                    at += 1;
                    continue;
                }
                let text = &chunk[at..];
                let Some(length) = next_sign(text) else {
                    self.keep(text)?;
                    return Ok((chunk.len(), false));
                };
                at += length + 1;
                if text[length] == b'\\' {
                    self.escaped = true;
                    self.keep(&text[..=length])?;
                    continue;
                }
                self.inside = false;
                if self.raw.is_empty() {
                    self.write(&text[..length], usages, out)?;
                } else {
                    self.keep(&text[..length])?;
                    let raw = std::mem::take(&mut self.raw);
                    self.write(&raw, usages, out)?;
                    self.raw = raw;
                    self.raw.clear();
                }
                continue;
            }
            if !self.wanted {
                at += self.whole(&chunk[at..], usages, out)?;
                if at == chunk.len() {
                    break;
                }
            }
            let byte = chunk[at];
            at += 1;
            match byte {
                b'"' if self.wanted => (self.inside, self.wanted) = (true, false),
                b',' if !self.wanted => self.wanted = true,
                b']' if !self.wanted || self.count == 0 => {
                    if self.count < usages.len() {
                        return malformed("fewer strings than it refers to");
                    }
                    out.extend_from_slice(if self.count == 0 { b"]" } else { b"\"]" });
                    return Ok((at, true));
                }
                b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => return malformed("an array of strings with something else in it"),
            }
        }
        Ok((at, false))
    }

    /// Strings as V8 writes them, a comma before each, that are here as a whole and have no escapes; says how much they were.
    fn whole(&mut self, chunk: &[u8], usages: &Usages, out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut rest = chunk;
        while let Some(text) = rest.strip_prefix(b",\"").or_else(|| rest.strip_prefix(b",\n\""))
            && let Some(length) = next_sign(text)
            && text[length] == b'"'
        {
            self.write(&text[..length], usages, out)?;
            rest = &text[length + 1..];
        }
        Ok(chunk.len() - rest.len())
    }

    /// A piece of a string that is not whole yet, or has escapes.
    fn keep(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.raw.try_reserve(piece.len()).map_err(|_| Error::Memory)?;
        self.raw.extend_from_slice(piece);
        Ok(())
    }

    /// Each string ends where the next one begins, or all do.
    fn write(&mut self, raw: &[u8], usages: &Usages, out: &mut Vec<u8>) -> Result<(), Error> {
        let usage = usages.of(self.count);
        let is_first = self.count == 0;
        self.count += 1;
        if is_first {
            out.extend_from_slice(b"\"");
            if raw == b"<dummy>" {
                out.extend_from_slice(raw);
            } else if usage & usage::NAME != 0 {
                self.write_name(raw, usage, out)?;
            }
            out.extend_from_slice(b"\",\"");
        } else if usage & usage::NAME != 0 {
            out.extend_from_slice(b"\",\n\"");
            self.write_name(raw, usage, out)?;
            out.extend_from_slice(b"\",\"");
        } else {
            out.extend_from_slice(b"\",\n\"\",\"");
        }
        if usage & usage::TEXT != 0 {
            self.pseudonyms.write(raw, &mut self.units, out);
        }
        Ok(())
    }

    fn write_name(&mut self, raw: &[u8], usage: u8, out: &mut Vec<u8>) -> Result<(), Error> {
        let is_made = usage & usage::MADE != 0;
        // Most names by far, and what the rest of this function does for them, and no more.
        if is_made && names::is_number(raw) {
            out.extend_from_slice(raw);
            return Ok(());
        }
        if is_plain_identifier(raw) && (is_made || usage & usage::PATH == 0) {
            let name = std::str::from_utf8(raw).unwrap_or_default();
            if is_made
                || usage & usage::WORD != 0 && names::is_word(name)
                || names::is_known_property(name)
            {
                self.stay(name)?;
                out.extend_from_slice(raw);
            } else {
                self.pseudonyms.write(raw, &mut self.units, out);
            }
            return Ok(());
        }
        if raw.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
            && let Ok(name) = std::str::from_utf8(raw)
            && name.len() <= LONGEST_NAME
        {
            return self.write_parts(name, usage, out);
        }
        units::decode(raw, &mut self.units);
        let name = String::from_utf16(&self.units).ok().filter(|name| name.len() <= LONGEST_NAME);
        if let Some(name) = name {
            return self.write_parts(&name, usage, out);
        }
        self.pseudonyms.replace_name(&mut self.units);
        units::encode(&self.units, out);
        Ok(())
    }

    /// What stays of a name, and pseudonyms for the rest.
    fn write_parts(&mut self, name: &str, usage: u8, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut parts = Vec::new();
        let stays = |name: &str| name.is_empty() || self.kept.contains(&hash(name));
        let about = About {
            of_text: usage & usage::OF_TEXT != 0,
            hides_paths: self.hides_paths,
            stays: &stays,
        };
        if usage & usage::PATH != 0 && (usage & usage::MADE == 0 || names::is_path(name)) {
            names::script_path(name, self.hides_paths, &mut parts);
        } else if usage & usage::MADE != 0 {
            names::parts(name, about, &mut parts);
        } else if usage & usage::WORD != 0 && names::is_word(name)
            || usage & usage::SYMBOL != 0 && names::is_private(name)
            || names::is_known_property(name)
            || names::accessor(name).is_some_and(stays)
        {
            parts.push(Part::Keep(name));
        } else {
            parts.push(Part::Hide(name));
        }
        if let [Part::Keep(_)] = parts[..] {
            self.stay(name)?;
        }
        for part in parts {
            let (Part::Keep(text) | Part::Hide(text)) = part;
            if let Part::Keep(text) = part
                && is_literal(text)
            {
                out.extend_from_slice(text.as_bytes());
                continue;
            }
            if let Part::Hide(_) = part
                && is_literal(text)
            {
                self.pseudonyms.write_name(text.as_bytes(), &mut self.units, out);
                continue;
            }
            self.units.clear();
            self.units.extend(text.encode_utf16());
            if let Part::Hide(_) = part {
                self.pseudonyms.replace_name(&mut self.units);
            }
            units::encode(&self.units, out);
        }
        Ok(())
    }

    fn stay(&mut self, name: &str) -> Result<(), Error> {
        self.kept.try_reserve(1).map_err(|_| Error::Memory)?;
        self.kept.insert(hash(name));
        Ok(())
    }
}

/// V8 writes no more than a kilobyte of any name.
const LONGEST_NAME: usize = 4096;

/// How far it is to the next quotation mark or backslash.
#[inline]
fn next_sign(text: &[u8]) -> Option<usize> {
    // Most strings are short.
    if let Some(start) = text.first_chunk() {
        let start = u8x16::new(*start);
        let are = |sign: u8| start.cmp_eq(u8x16::splat(sign));
        let signs = (are(b'"') | are(b'\\')).move_mask();
        if signs != 0 {
            return Some(signs.trailing_zeros() as usize);
        }
    }
    memchr::memchr2(b'"', b'\\', text)
}

/// Names outside of a snapshot, as the snapshot has them.
pub struct Names {
    pseudonyms: Pseudonyms,
    hides_paths: bool,
}

impl Names {
    /// As a snapshot with these options.
    #[must_use]
    pub fn new(options: Options) -> Names {
        Names { pseudonyms: Pseudonyms::new(options.key), hides_paths: options.hide_paths }
    }

    /// A function's name.
    #[must_use]
    pub fn name(&mut self, name: &str) -> String {
        let mut parts = Vec::new();
        names::parts(
            name,
            About { of_text: false, hides_paths: self.hides_paths, stays: &|_| false },
            &mut parts,
        );
        self.shown(&parts)
    }

    /// The path of a script.
    #[must_use]
    pub fn path(&mut self, path: &str) -> String {
        let mut parts = Vec::new();
        names::script_path(path, self.hides_paths, &mut parts);
        self.shown(&parts)
    }

    fn shown(&mut self, parts: &[Part<'_>]) -> String {
        let mut shown = String::new();
        for part in parts {
            match part {
                Part::Keep(text) => shown.push_str(text),
                Part::Hide(text) => {
                    let mut units: Vec<u16> = text.encode_utf16().collect();
                    self.pseudonyms.replace_name(&mut units);
                    shown.push_str(&String::from_utf16_lossy(&units));
                }
            }
        }
        shown
    }
}

/// Whether it stands in JSON as it is.
fn is_literal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// A hash is hashed enough.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Of names that are public: eight bytes at once, each multiplied by an odd number of no pattern (2^64 by the golden ratio).
fn hash(name: &str) -> u64 {
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    };
    let (words, rest) = name.as_bytes().as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash =
        words.iter().fold(name.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, u64::from_le_bytes(last))
}
