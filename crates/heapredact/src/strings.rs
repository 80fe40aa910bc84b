//! The array of strings, each of which becomes two: its name, and its text.

use crate::marks::{Usages, usage};
use crate::names::{self, About, Part};
use crate::pseudonym::Pseudonyms;
use crate::secrets::is_plain_identifier;
use crate::{Error, Options, units};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

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
        while let Some(&byte) = chunk.get(at) {
            if self.inside {
                let start = at;
                while let Some(&byte) = chunk.get(at) {
                    if self.escaped {
                        self.escaped = false;
                    } else if byte == b'"' || byte == b'\\' {
                        if byte == b'"' {
                            self.inside = false;
                            break;
                        }
                        self.escaped = true;
                    } else if let Some(next) = memchr::memchr2(b'"', b'\\', &chunk[at..]) {
                        at += next;
                        continue;
                    } else {
                        at = chunk.len();
                        break;
                    }
                    at += 1;
                }
                let piece = &chunk[start..at];
                self.raw.try_reserve(piece.len()).map_err(|_| Error::Memory)?;
                self.raw.extend_from_slice(piece);
                if !self.inside {
                    at += 1;
                    self.write(usages, out)?;
                }
                continue;
            }
            at += 1;
            match byte {
                b'"' if self.wanted => (self.inside, self.wanted) = (true, false),
                b',' if !self.wanted => self.wanted = true,
                b']' if !self.wanted || self.count == 0 => {
                    if self.count < usages.len() {
                        return malformed("fewer strings than it refers to");
                    }
                    out.push(b']');
                    return Ok((at, true));
                }
                b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => return malformed("an array of strings with something else in it"),
            }
        }
        Ok((at, false))
    }

    fn write(&mut self, usages: &Usages, out: &mut Vec<u8>) -> Result<(), Error> {
        let usage = usages.of(self.count);
        out.extend_from_slice(if self.count == 0 { b"\"" } else { b",\n\"" });
        if self.count == 0 && self.raw == b"<dummy>" {
            out.extend_from_slice(&self.raw);
        } else if usage & usage::NAME != 0 {
            self.write_name(usage, out)?;
        }
        out.extend_from_slice(b"\",\"");
        if usage & usage::TEXT != 0 {
            self.pseudonyms.write(&self.raw, &mut self.units, out);
        }
        out.push(b'"');
        self.count += 1;
        self.raw.clear();
        Ok(())
    }

    fn write_name(&mut self, usage: u8, out: &mut Vec<u8>) -> Result<(), Error> {
        if is_plain_identifier(&self.raw) && usage & (usage::MADE | usage::PATH) != usage::PATH {
            // Most names by far. What the rest of this function does for them, and no more.
            let name = std::str::from_utf8(&self.raw).unwrap_or_default();
            if usage & usage::MADE != 0
                || usage & usage::WORD != 0 && names::is_word(name)
                || names::is_known_property(name)
            {
                self.kept.try_reserve(1).map_err(|_| Error::Memory)?;
                self.kept.insert(hash(name));
                out.extend_from_slice(&self.raw);
            } else {
                self.pseudonyms.write(&self.raw, &mut self.units, out);
            }
            return Ok(());
        }
        units::decode(&self.raw, &mut self.units);
        // V8 writes no more than a kilobyte of any name.
        let name = String::from_utf16(&self.units).ok().filter(|name| name.len() <= 4096);
        let Some(name) = name.as_deref() else {
            self.pseudonyms.replace(&mut self.units);
            units::encode(&self.units, out);
            return Ok(());
        };
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
            self.kept.try_reserve(1).map_err(|_| Error::Memory)?;
            self.kept.insert(hash(name));
        }
        for part in parts {
            let (Part::Keep(text) | Part::Hide(text)) = part;
            if let Part::Keep(text) = part
                && is_literal(text)
            {
                out.extend_from_slice(text.as_bytes());
                continue;
            }
            self.units.clear();
            self.units.extend(text.encode_utf16());
            if let Part::Hide(_) = part {
                self.pseudonyms.replace(&mut self.units);
            }
            units::encode(&self.units, out);
        }
        Ok(())
    }
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
                    self.pseudonyms.replace(&mut units);
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

/// FNV: of names that are public.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
