//! Reads a file into a graph. Strict unless told to salvage: what is wrong is an error that says where.

pub(crate) mod digits;
mod edges;
pub(crate) mod extras;
pub(crate) mod header;
pub(crate) mod input;
mod nodes;
mod recognise;
mod resolve;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use self::edges::EdgeReader;
use self::extras::Extras;
use self::header::Header;
use self::input::Input;
use self::nodes::NodeReader;
use self::recognise::Beginning;
use crate::graph::{Edges, Nodes};
use crate::source::{self, Opening, Source};
use crate::strings::StringTable;
use crate::{Error, Result, Section, Snapshot};

/// How a snapshot is read.
///
/// ```no_run
/// # fn main() -> heapsnapshot::Result<()> {
/// let snapshot = heapsnapshot::LoadOptions::new().salvage(true).open("cut-off.heapsnapshot")?;
/// for missing in snapshot.missing() {
///     eprintln!("{missing}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct LoadOptions {
    salvage: bool,
    opening: Opening,
}

impl LoadOptions {
    /// Strict, and without a limit for plain files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to keep what is whole of a file that ends too early or whose counts disagree.
    /// [`Snapshot::missing`] then says what is not there.
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// The longest that the uncompressed file may be. By default a compressed file may expand 250
    /// times, and others are not limited.
    #[must_use]
    pub fn max_bytes(mut self, limit: u64) -> Self {
        self.opening.limit = Some(limit);
        self
    }

    /// What is told, now and then, how many bytes of a file [`LoadOptions::open`] has read: of the
    /// file as it is, compressed or not.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.opening.progress = Some(Arc::new(progress));
        self
    }

    /// What opens files that are encrypted in the age format.
    #[must_use]
    pub fn identities(mut self, identities: Option<Arc<heapcrypt::Identities>>) -> Self {
        self.opening.identities = identities;
        self
    }

    /// The bytes of a file, decrypted and unpacked.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn unpacked(&self, path: impl AsRef<Path>) -> Result<Box<dyn Read>> {
        Ok(source::open(path.as_ref(), &self.opening)?.reader)
    }

    /// Reads a `.heapsnapshot` file, which may be compressed with gzip or zstd and encrypted with age.
    ///
    /// # Errors
    /// When the file cannot be read or is not a whole snapshot.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Snapshot> {
        self.load(source::open(path.as_ref(), &self.opening)?)
    }

    /// Reads a snapshot, which may be compressed, from any reader.
    ///
    /// # Errors
    /// When the reader fails or does not give a whole snapshot.
    pub fn read(&self, reader: impl Read) -> Result<Snapshot> {
        let Opening { limit, identities, .. } = &self.opening;
        self.load(source::from_reader(reader, *limit, identities.as_deref())?)
    }

    fn load(&self, source: Source<'_>) -> Result<Snapshot> {
        let mut parts = Parts::default();
        let packed = source.packed;
        let mut input = Input::new(source);
        let outcome = parts.read_whole(&mut input).map_err(|mut error| {
            if let Error::NotASnapshot { packed: within, .. } = &mut error {
                *within = packed;
            }
            error
        });
        parts.file_size = input.offset();
        drop(input);
        match outcome {
            Ok(()) => {}
            Err(error @ (Error::Truncated { .. } | Error::Syntax { .. })) if self.salvage => {
                parts.problems.push(error);
            }
            Err(error) => return Err(error),
        }
        resolve::resolve(parts, self.salvage)
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadOptions { salvage, opening } = self;
        let mut options = f.debug_struct("LoadOptions");
        options.field("salvage", salvage).field("limit", &opening.limit).finish_non_exhaustive()
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parts {
    header: Option<Header>,
    nodes: Option<Nodes>,
    edges: Option<Edges>,
    largest_edge_name: Option<u64>,
    strings: Option<StringTable>,
    extras: Extras,
    /// Arrays that came before the meta that says how to read them.
    early: Vec<(Section, Vec<u64>)>,
    problems: Vec<Error>,
    file_size: u64,
}

impl Parts {
    /// Reads a file, unless its first bytes say that it is something else.
    fn read_whole(&mut self, input: &mut Input<'_>) -> Result<()> {
        let (head, all) = input.look_ahead(recognise::HEAD);
        let not = |found, said| Error::NotASnapshot { found, said, packed: false };
        let (skip, otherwise) = match recognise::beginning(head, all) {
            Beginning::Snapshot => (0, None),
            Beginning::Doubtful { skip, otherwise } => (skip, Some(otherwise)),
            Beginning::Foreign(found, said) => return Err(not(found, said)),
        };
        input.skip(skip);
        let outcome = self.read(input);
        match (outcome, otherwise) {
            (
                Err(
                    Error::Syntax { section: Section::File | Section::Other, .. }
                    | Error::Missing { section: Section::Header },
                ),
                Some((found, said)),
            ) if self.is_empty() => Err(not(found, said)),
            (outcome, _) => outcome,
        }
    }

    fn read(&mut self, input: &mut Input<'_>) -> Result<()> {
        input.skip_byte_order_mark()?;
        input.expect(b'{', "a JSON object")?;
        let mut first = true;
        while !input.accept(b'}')? {
            input.section = Section::File;
            if !first {
                input.expect(b',', "',' or '}' between the parts")?;
            }
            first = false;
            let mut key = Vec::new();
            input.string(&mut key, 256)?;
            input.expect(b':', "':' after a key")?;
            self.part(&key, input)?;
            input.section = Section::File;
            if self.is_complete() && input.peek_token()?.is_none() {
                // Cut, but of nothing: DevTools reads it too.
                self.problems.push(input.unexpected("'}' after the last part"));
                return Ok(());
            }
        }
        if !self.is_empty() && input.peek_token()?.is_some() {
            // As in DevTools, whatever comes after the strings is of no interest, unless it goes on
            // like a snapshot.
            let error = input.unexpected("the end of the file");
            if input.rest_has(b']')? {
                return Err(error);
            }
        }
        self.late()
    }

    /// Whether nothing of a snapshot has been met.
    fn is_empty(&self) -> bool {
        self.header.is_none() && self.strings.is_none() && self.early.is_empty()
    }

    /// Whether everything that a snapshot must have has been read.
    fn is_complete(&self) -> bool {
        self.early.is_empty()
            && self.header.is_some()
            && self.nodes.is_some()
            && self.edges.is_some()
            && self.strings.is_some()
    }

    fn part(&mut self, key: &[u8], input: &mut Input<'_>) -> Result<()> {
        let section = Section::of_key(key);
        input.section = section;
        let twice = match section {
            Section::Header => self.header.is_some(),
            Section::Nodes => self.nodes.is_some(),
            Section::Edges => self.edges.is_some(),
            Section::Strings => self.strings.is_some(),
            _ => false,
        } || self.early.iter().any(|(early, _)| *early == section);
        if twice {
            return Err(input.unexpected("each part only once"));
        }
        if section == Section::Header {
            self.header = Some(header::read(input)?);
            return Ok(());
        }
        if section == Section::Strings {
            return self.read_strings(input);
        }
        if section == Section::TraceTree {
            return self.extras.read_trace_tree(input);
        }
        if section == Section::Other {
            return input.skip_value();
        }
        input.expect(b'[', "an array of numbers")?;
        let Some(header) = &self.header else {
            let mut numbers = Vec::new();
            input.numbers(|batch| {
                input::reserve(&mut numbers, batch.len(), "numbers before the meta")?;
                numbers.extend_from_slice(batch);
                Ok(batch.len())
            })?;
            self.early.push((section, numbers));
            return Ok(());
        };
        let remaining = input.remaining();
        let left = match section {
            Section::Nodes => {
                let nodes = self.nodes.insert(Nodes::default());
                NodeReader::new(&header.node, nodes, header.node_count, remaining)?.read(input)?
            }
            Section::Edges => {
                let target = target(header, self.nodes.as_ref());
                let edges = self.edges.insert(Edges::default());
                let mut reader =
                    EdgeReader::new(&header.edge, edges, target, header.edge_count, remaining)?;
                let left = reader.read(input);
                self.largest_edge_name = reader.largest_name;
                left?
            }
            _ => self.extras.read(section, header, input)?,
        };
        whole_records(section, left)
    }

    /// Reads the arrays that came too early. The nodes first: the edges are checked against them.
    fn late(&mut self) -> Result<()> {
        let mut early = std::mem::take(&mut self.early);
        early.sort_by_key(|(section, _)| *section != Section::Nodes);
        let Some(header) = &self.header else {
            return Err(Error::Missing { section: Section::Header });
        };
        for (section, numbers) in early {
            let taken = match section {
                Section::Nodes => {
                    let nodes = self.nodes.insert(Nodes::default());
                    let known = Some(numbers.len() as u64 * 2);
                    NodeReader::new(&header.node, nodes, header.node_count, known)?
                        .take(&numbers)?
                }
                Section::Edges => {
                    let target = target(header, self.nodes.as_ref());
                    let edges = self.edges.insert(Edges::default());
                    let known = Some(numbers.len() as u64 * 2);
                    let mut reader =
                        EdgeReader::new(&header.edge, edges, target, header.edge_count, known)?;
                    let taken = reader.take(&numbers)?;
                    self.largest_edge_name = reader.largest_name;
                    taken
                }
                _ => self.extras.take(section, header, &numbers),
            };
            whole_records(section, numbers.len() - taken)?;
        }
        Ok(())
    }

    fn read_strings(&mut self, input: &mut Input<'_>) -> Result<()> {
        input.expect(b'[', "an array of strings")?;
        let strings = self.strings.insert(StringTable::default());
        if let Some(Ok(remaining)) = input.remaining().map(usize::try_from) {
            // Nearly everything that is left is strings. Memory that is never written costs nothing.
            strings.reserve_bytes(remaining);
        }
        if !input.accept(b']')? {
            loop {
                strings.push_with(|bytes| input.string(bytes, usize::MAX))?;
                if input.accept(b']')? {
                    break;
                }
                input.expect(b',', "',' or ']' after a string")?;
            }
        }
        strings.shrink();
        Ok(())
    }
}

/// How many records to make room for: what the header claims, but no more than the file can hold.
/// Without a known length, growth follows what is really read.
fn plausible(claimed: u64, stride: usize, remaining: Option<u64>) -> usize {
    let fits = remaining.map_or(1 << 16, |bytes| bytes / (2 * stride.max(1) as u64) + 1);
    usize::try_from(claimed.min(fits)).unwrap_or(0)
}

/// What `to_node` must be a multiple of, and how many nodes there are.
fn target(header: &Header, nodes: Option<&Nodes>) -> (usize, u64) {
    (header.node.stride, nodes.map_or(header.node_count, |nodes| nodes.len() as u64))
}

fn whole_records(section: Section, left: usize) -> Result<()> {
    if left == 0 {
        return Ok(());
    }
    Err(Error::Inconsistent {
        section,
        record: 0,
        expected: "whole records".to_owned(),
        found: format!("{left} numbers more than that"),
    })
}
