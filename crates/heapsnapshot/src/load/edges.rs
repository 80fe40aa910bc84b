//! The `edges` array.

use super::header::EdgeLayout;
use super::input::{Input, reserve, reserve_exact};
use crate::graph::Edges;
use crate::{EdgeKind, Error, Result, Section};

/// A kind that needs a closer look, by its place in `tags`.
const UNUSUAL: u32 = 8;

pub(crate) struct EdgeReader<'a> {
    layout: &'a EdgeLayout,
    edges: &'a mut Edges,
    /// By how much `to_node` is more than an ordinal.
    node_stride: u64,
    /// Targets must be below this.
    node_count: u64,
    tags: [u32; 256],
    /// The largest string index that an edge's name is.
    pub(crate) largest_name: Option<u64>,
}

impl<'a> EdgeReader<'a> {
    pub(crate) fn new(
        layout: &'a EdgeLayout,
        edges: &'a mut Edges,
        (node_stride, node_count): (usize, u64),
        expected: u64,
        remaining: Option<u64>,
    ) -> Result<Self> {
        let count = super::plausible(expected, layout.stride, remaining);
        reserve_exact(&mut edges.packed, count, "edges")?;
        reserve_exact(&mut edges.to, count, "edges")?;
        let mut tags = [UNUSUAL; 256];
        for (tag, kind) in tags.iter_mut().zip(&layout.kinds) {
            *tag = if *kind == EdgeKind::Other { UNUSUAL } else { u32::from(*kind as u8) };
        }
        let node_stride = node_stride as u64;
        Ok(EdgeReader { layout, edges, node_stride, node_count, tags, largest_name: None })
    }

    pub(crate) fn read(&mut self, input: &mut Input<'_>) -> Result<usize> {
        input.numbers(|numbers| self.take(numbers))
    }

    pub(crate) fn take(&mut self, numbers: &[u64]) -> Result<usize> {
        let records = numbers.len() / self.layout.stride;
        let total = self.edges.to.len() + records;
        if total >= Edges::LIMIT {
            return Err(Error::TooLarge {
                section: Section::Edges,
                what: "the number of edges",
                found: total as u64,
                limit: Edges::LIMIT as u64,
            });
        }
        reserve(&mut self.edges.packed, records, "edges")?;
        reserve(&mut self.edges.to, records, "edges")?;
        let layout = self.layout;
        if layout.stride == 3 && [layout.kind, layout.name, layout.to] == [0, 1, 2] {
            let (chunks, _) = numbers.as_chunks::<3>();
            if !self.take_usual(chunks) {
                for &[kind, name, to] in chunks {
                    self.push(kind, name, to)?;
                }
            }
        } else {
            for record in numbers.chunks_exact(layout.stride) {
                let field = |at: usize| record.get(at).copied().unwrap_or(0);
                self.push(field(layout.kind), field(layout.name), field(layout.to))?;
            }
        }
        Ok(records * layout.stride)
    }

    /// Takes a batch in which every record is as they nearly all are; leaves it if one is not.
    fn take_usual(&mut self, records: &[[u64; 3]]) -> bool {
        match self.node_stride {
            // Dividing by a constant is a multiplication.
            6 => self.take_strided(records, |to| to / 6),
            7 => self.take_strided(records, |to| to / 7),
            stride => self.take_strided(records, |to| to / stride),
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "kept only if all values are small")]
    fn take_strided(&mut self, records: &[[u64; 3]], ordinal: impl Fn(u64) -> u64) -> bool {
        if records.is_empty() {
            return true;
        }
        let (mut largest, mut wide, mut unusual, mut left_over, mut furthest) = (0, 0, 0, 0, 0);
        let before = self.edges.to.len();
        self.edges.packed.resize(before + records.len(), 0);
        self.edges.to.resize(before + records.len(), 0);
        let slots = self.edges.packed[before..].iter_mut().zip(&mut self.edges.to[before..]);
        for (&[kind, name, to], (packed, target)) in records.iter().zip(slots) {
            let tag = self.tags[kind.min(255) as usize];
            let node = ordinal(to);
            let indexed =
                tag == EdgeKind::Element as u8 as u32 || tag == EdgeKind::Hidden as u8 as u32;
            largest = largest.max(if indexed { 0 } else { name });
            wide |= name;
            unusual |= tag;
            left_over |= (node * self.node_stride) ^ to;
            furthest = furthest.max(node);
            *packed = tag << Edges::NAME_BITS | name as u32;
            *target = node as u32;
        }
        if unusual >= UNUSUAL
            || wide >= u64::from(Edges::WIDE)
            || left_over != 0
            || furthest >= self.node_count
        {
            self.edges.packed.truncate(before);
            self.edges.to.truncate(before);
            return false;
        }
        self.largest_name = self.largest_name.max(Some(largest));
        true
    }

    #[cold]
    fn push(&mut self, kind: u64, name: u64, to: u64) -> Result<()> {
        let known = self.layout.kind_of(kind);
        let node = to / self.node_stride;
        let node = match u32::try_from(node) {
            Ok(small) if node < self.node_count && node * self.node_stride == to => small,
            _ => {
                let expected = format!(
                    "a target that is a multiple of {} and below {}",
                    self.node_stride,
                    self.node_count.saturating_mul(self.node_stride)
                );
                return Err(self.wrong(expected, to));
            }
        };
        let name = match known.is_indexed() {
            // V8 prints the element indices from 2^31 on as negative numbers.
            true if name >> 63 == 1 => {
                let wrapped = name.wrapping_add(1 << 32);
                match u32::try_from(wrapped) {
                    Ok(index) => u64::from(index),
                    Err(_) => return Err(self.wrong("an index of 32 bits".to_owned(), name)),
                }
            }
            true => name,
            false if u32::try_from(name).is_err() => {
                return Err(self.wrong("a name's index in the string table".to_owned(), name));
            }
            false => {
                self.largest_name = self.largest_name.max(Some(name));
                name
            }
        };
        self.edges.push(known, name, node, Some(self.layout.kind_name(kind)));
        Ok(())
    }

    fn wrong(&self, expected: String, found: u64) -> Error {
        Error::Inconsistent {
            section: Section::Edges,
            record: self.edges.to.len() as u64,
            expected,
            found: found.cast_signed().to_string(),
        }
    }
}
