//! The filter: a snapshot's bytes in, in chunks, and those of the redacted one out.

use crate::functions::FunctionRecords;
use crate::header::{self, Header};
use crate::marks::Usages;
use crate::numbers::Numbers;
use crate::records::{EdgeRecords, Edges, NodeRecords, Nodes};
use crate::strings::Strings;
use crate::{Error, Options};
use wide::u8x16;

/// Redacts one snapshot.
///
/// ```
/// use heapredact::{Error, Key, Options, Redactor};
///
/// let key = Key::new(b"thirty-two random bytes, say");
/// let mut redactor = Redactor::new(Options { key, given_key: true, hide_paths: false });
/// let mut out = Vec::new();
/// redactor.push(b"{\"snapshot\":{\"me", &mut out)?;
/// assert_eq!(redactor.finish(), Err(Error::Truncated));
/// # Ok::<(), Error>(())
/// ```
pub struct Redactor {
    options: Options,
    place: Place,
    /// A key or the header, until it is whole.
    held: Vec<u8>,
    header: Header,
    nodes: Nodes,
    edges: Edges,
    usages: Usages,
    numbers: Numbers,
    strings: Strings,
    /// Of the parts that have been met.
    met: Vec<Part>,
    failed: Option<Error>,
}

/// Where in the file the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// Before a key; whether a comma has come.
    Before {
        comma: bool,
    },
    Key,
    AfterKey,
    Value(Part),
    /// Inside the header: how deep, in a string, after a backslash.
    Header {
        depth: u32,
        string: bool,
        escaped: bool,
    },
    Inside(Part),
    After,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Header,
    Nodes,
    Edges,
    Functions,
    /// Numbers and brackets alone: how deep.
    Other(u32),
    Strings,
}

const HEADER_LIMIT: usize = 1 << 20;

impl Redactor {
    /// For one snapshot.
    #[must_use]
    pub fn new(options: Options) -> Redactor {
        let strings = Strings::new(&options);
        Redactor {
            options,
            place: Place::Start,
            held: Vec::new(),
            header: Header::default(),
            nodes: Nodes::default(),
            edges: Edges::default(),
            usages: Usages::default(),
            numbers: Numbers::default(),
            strings,
            met: Vec::new(),
            failed: None,
        }
    }

    /// Takes the next bytes and appends what can be said by now.
    ///
    /// # Errors
    ///
    /// [`Error`]; the same from then on. What has been appended is redacted.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        // What is written is about as long as what was read.
        let pushed = out
            .try_reserve(chunk.len())
            .map_err(|_| Error::Memory)
            .and_then(|()| self.take(chunk, out));
        pushed.inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// The input is over.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where it was not whole; what [`Redactor::push`] failed with.
    pub fn finish(&mut self) -> Result<(), Error> {
        match (&self.failed, self.place) {
            (Some(error), _) => Err(error.clone()),
            (None, Place::End) => Ok(()),
            (None, _) => Err(Error::Truncated),
        }
    }

    fn take(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while let Some((&byte, rest)) = chunk.split_first() {
            chunk = match self.place {
                Place::Inside(part) => {
                    let (taken, ended) = self.inside(part, chunk, out)?;
                    if ended {
                        self.place = Place::After;
                    }
                    &chunk[taken..]
                }
                Place::Header { .. } => {
                    self.in_header(byte, out)?;
                    rest
                }
                _ => {
                    self.between(byte, out)?;
                    rest
                }
            };
        }
        Ok(())
    }

    /// What stands between the parts.
    fn between(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Error> {
        let malformed = |what| Err(Error::Malformed { what });
        let is_space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.place = match (self.place, byte) {
            // V8 and others write no byte order mark, but editors do.
            (Place::Start, 0xef | 0xbb | 0xbf) => Place::Start,
            (Place::Key, b'"') => Place::AfterKey,
            (Place::Key, byte) => {
                if self.held.len() >= 64 || byte == b'\\' {
                    return malformed("a part with a strange name");
                }
                self.held.push(byte);
                Place::Key
            }
            (place, _) if is_space => place,
            (Place::Start, b'{') => {
                out.push(b'{');
                Place::Before { comma: true }
            }
            (Place::Before { comma: true }, b'"') => {
                self.held.clear();
                Place::Key
            }
            (Place::AfterKey, b':') => Place::Value(self.part()?),
            (Place::Value(Part::Header), b'{') => {
                self.held.clear();
                self.held.push(b'{');
                Place::Header { depth: 1, string: false, escaped: false }
            }
            (Place::Value(part), b'[') if part != Part::Header => {
                self.begin(part, out);
                Place::Inside(part)
            }
            (Place::After, b',') => Place::Before { comma: true },
            (Place::After, b'}') => {
                if !self.met.contains(&Part::Strings) {
                    return malformed("no strings");
                }
                out.push(b'}');
                Place::End
            }
            // As in DevTools, what comes after is of no interest; here it is not written either.
            (Place::End, _) => Place::End,
            _ => return malformed("something else between its parts than V8 writes"),
        };
        Ok(())
    }

    /// The part that the key stands for. V8 writes the strings after all that refers to them, and what refers to nodes
    /// after those.
    fn part(&mut self) -> Result<Part, Error> {
        let part = match &self.held[..] {
            b"snapshot" => Part::Header,
            b"nodes" => Part::Nodes,
            b"edges" => Part::Edges,
            b"trace_function_infos" => Part::Functions,
            b"strings" => Part::Strings,
            key if key.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_') => {
                Part::Other(1)
            }
            _ => return Err(Error::Malformed { what: "a part with a strange name" }),
        };
        let has = |part| self.met.contains(&part);
        let in_order = match part {
            Part::Header => self.met.is_empty(),
            Part::Nodes => has(Part::Header),
            Part::Edges => has(Part::Nodes),
            Part::Strings => has(Part::Edges),
            Part::Functions | Part::Other(_) => has(Part::Header),
        };
        let is_new = matches!(part, Part::Other(_)) || !has(part);
        if !in_order || !is_new || has(Part::Strings) {
            return Err(Error::Malformed {
                what: "its parts in another order than V8 writes them",
            });
        }
        self.met.push(part);
        Ok(part)
    }

    fn begin(&mut self, part: Part, out: &mut Vec<u8>) {
        if self.met.len() > 1 {
            out.extend_from_slice(b",\n");
        }
        out.push(b'"');
        out.extend_from_slice(&self.held);
        out.extend_from_slice(b"\":[");
        self.numbers = Numbers::default();
        self.place = Place::Inside(part);
    }

    fn in_header(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), Error> {
        let Place::Header { mut depth, mut string, mut escaped } = self.place else {
            return Ok(());
        };
        if self.held.len() >= HEADER_LIMIT {
            return Err(Error::Malformed { what: "a header of more than a megabyte" });
        }
        self.held.push(byte);
        if string {
            (string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
        } else {
            match byte {
                b'"' => string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        self.place = Place::Header { depth, string, escaped };
        if depth == 0 {
            out.extend_from_slice(b"\"snapshot\":{");
            self.header = header::read(&self.held, &self.options, out)?;
            out.push(b'}');
            self.held = Vec::new();
            self.place = Place::After;
        }
        Ok(())
    }

    fn inside(
        &mut self,
        part: Part,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), Error> {
        let Redactor { header, nodes, edges, usages, numbers, .. } = self;
        match part {
            Part::Nodes => numbers.push(chunk, &mut NodeRecords { header, nodes, usages }, out),
            Part::Edges => {
                numbers.push(chunk, &mut EdgeRecords { header, nodes, edges, usages }, out)
            }
            Part::Functions => numbers.push(chunk, &mut FunctionRecords { header, usages }, out),
            Part::Strings => self.strings.push(chunk, &self.usages, out),
            Part::Other(depth) => self.other(depth, chunk, out),
            Part::Header => Ok((chunk.len(), true)),
        }
    }

    /// Copies numbers, whatever they say; texts are not let through.
    fn other(
        &mut self,
        mut depth: u32,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, bool), Error> {
        let mut at = 0;
        while let Some(byte) = chunk.get(at) {
            // Most of it.
            if let Some(lane) = chunk[at..].first_chunk()
                && are_numbers(*lane)
            {
                at += lane.len();
                continue;
            }
            match byte {
                b'[' => depth += 1,
                b']' => depth -= 1,
                b'0'..=b'9' | b',' | b'-' | b'.' | b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => {
                    return Err(Error::Malformed {
                        what: "a part that is not known and has texts",
                    });
                }
            }
            if depth == 0 {
                out.extend_from_slice(&chunk[..=at]);
                return Ok((at + 1, true));
            }
            at += 1;
        }
        out.extend_from_slice(chunk);
        self.place = Place::Inside(Part::Other(depth));
        Ok((chunk.len(), false))
    }
}

/// Whether these are digits, commas and line feeds alone.
#[inline]
fn are_numbers(bytes: [u8; 16]) -> bool {
    let bytes = u8x16::new(bytes);
    let digits = bytes ^ u8x16::splat(b'0');
    let are_digits = digits.min(u8x16::splat(9)).cmp_eq(digits);
    let are = |sign: u8| bytes.cmp_eq(u8x16::splat(sign));
    (are_digits | are(b',') | are(b'\n')).move_mask() == 0xffff
}
