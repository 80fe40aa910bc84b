//! The `nodes` array.

use super::header::NodeLayout;
use super::input::{Input, reserve};
use crate::column::Column;
use crate::graph::Nodes;
use crate::{Error, NodeKind, Result, Section};

/// The fields of a record, by their place in it.
type Record = (u64, u64, u64, u64, u64);

pub(crate) struct NodeReader<'a> {
    layout: &'a NodeLayout,
    nodes: &'a mut Nodes,
    /// Edge counts, until they become positions.
    total_edges: u64,
}

impl<'a> NodeReader<'a> {
    /// `expected` is the header's count: it is believed only as far as the file is long enough.
    pub(crate) fn new(
        layout: &'a NodeLayout,
        nodes: &'a mut Nodes,
        expected: u64,
        remaining: Option<u64>,
    ) -> Result<Self> {
        let count = super::plausible(expected, layout.stride, remaining);
        nodes.kind.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { what: "nodes" })?;
        nodes.name.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { what: "nodes" })?;
        nodes.id.reserve_exact(count, "nodes")?;
        nodes.size.reserve_exact(count, "nodes")?;
        nodes
            .first_edge
            .try_reserve_exact(count + 1)
            .map_err(|_| Error::OutOfMemory { what: "nodes" })?;
        if nodes.first_edge.is_empty() {
            nodes.first_edge.push(0);
        }
        Ok(NodeReader { layout, nodes, total_edges: 0 })
    }

    pub(crate) fn read(&mut self, input: &mut Input<'_>) -> Result<usize> {
        input.numbers(|numbers| self.take(numbers))
    }

    /// Takes the whole records at the start of `numbers`; returns how many numbers those are.
    pub(crate) fn take(&mut self, numbers: &[u64]) -> Result<usize> {
        let layout = self.layout;
        let records = numbers.len() / layout.stride;
        self.make_room(records)?;
        let (seven, _) = numbers.as_chunks::<7>();
        let (six, _) = numbers.as_chunks::<6>();
        let usual = [layout.kind, layout.name, layout.id, layout.self_size, layout.edge_count]
            == [0, 1, 2, 3, 4];
        if usual && layout.stride == 7 && layout.detachedness == Some(6) {
            if self.take_usual(seven, Some(5), 6) {
                return Ok(records * layout.stride);
            }
            for r in seven {
                self.push((r[0], r[1], r[2], r[3], r[4]), r[6])?;
                self.push_trace(r[5]);
            }
        } else if usual && layout.stride == 6 && layout.detachedness == Some(5) {
            if self.take_usual(six, None, 5) {
                return Ok(records * layout.stride);
            }
            for r in six {
                self.push((r[0], r[1], r[2], r[3], r[4]), r[5])?;
            }
        } else {
            for r in numbers.chunks_exact(layout.stride) {
                let field = |at: usize| r.get(at).copied().unwrap_or(0);
                let record = (
                    field(layout.kind),
                    field(layout.name),
                    field(layout.id),
                    field(layout.self_size),
                    field(layout.edge_count),
                );
                self.push(record, layout.detachedness.map_or(0, field))?;
                if let Some(at) = layout.trace_node_id {
                    self.push_trace(field(at));
                }
            }
        }
        Ok(records * layout.stride)
    }

    /// Takes a batch in which every record is as they nearly all are; leaves it if one is not.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "taken only when all values are small")]
    fn take_usual<const STRIDE: usize>(
        &mut self,
        records: &[[u64; STRIDE]],
        trace: Option<usize>,
        detachedness: usize,
    ) -> bool {
        let kinds = &self.layout.kinds;
        let (mut wide, mut traced, mut unknown, mut total) = (0, 0, false, self.total_edges);
        for r in records {
            wide |= r[1] | r[2] | r[3];
            traced |= trace.map_or(0, |at| r[at]);
            unknown |= kinds.get(r[0].min(255) as usize).is_none_or(|&k| k == NodeKind::Other);
            total = total.saturating_add(r[4]);
        }
        if wide >= u64::from(u32::MAX)
            || traced != 0
            || unknown
            || total > u64::from(u32::MAX)
            || self.nodes.trace_node_id.is_some()
        {
            return false;
        }
        let mut first = self.total_edges;
        self.total_edges = total;
        let nodes = &mut *self.nodes;
        nodes.kind.extend(records.iter().map(|r| {
            let known = kinds.get(r[0] as usize).map_or(0, |&kind| kind as u8);
            known | (r[detachedness].min(3) as u8) << 4
        }));
        nodes.name.extend(records.iter().map(|r| r[1] as u32));
        nodes.id.extend_small(records.iter().map(|r| r[2] as u32));
        nodes.size.extend_small(records.iter().map(|r| r[3] as u32));
        nodes.first_edge.extend(records.iter().map(|r| {
            first += r[4];
            first as u32
        }));
        true
    }

    fn make_room(&mut self, records: usize) -> Result<()> {
        let nodes = &mut *self.nodes;
        let total = nodes.kind.len() + records;
        if total >= Nodes::LIMIT {
            return Err(Error::TooLarge {
                section: Section::Nodes,
                what: "the number of nodes",
                found: total as u64,
                limit: Nodes::LIMIT as u64,
            });
        }
        reserve(&mut nodes.kind, records, "nodes")?;
        reserve(&mut nodes.name, records, "nodes")?;
        reserve(&mut nodes.first_edge, records, "nodes")?;
        nodes.id.reserve(records, "nodes")?;
        nodes.size.reserve(records, "nodes")
    }

    #[inline]
    fn push(&mut self, (kind, name, id, size, edges): Record, detachedness: u64) -> Result<()> {
        self.total_edges = self.total_edges.saturating_add(edges);
        let (Ok(name), Ok(first), true) =
            (u32::try_from(name), u32::try_from(self.total_edges), id >> 63 == 0)
        else {
            return Err(self.wrong(name, id, edges));
        };
        let known = self.layout.kind_of(kind);
        if known == NodeKind::Other {
            self.keep_unknown_kind(kind);
        }
        let state = detachedness.min(3) as u8;
        let nodes = &mut *self.nodes;
        nodes.kind.push(known as u8 | state << 4);
        nodes.name.push(name);
        nodes.id.push(id);
        // DevTools does not read a sign.
        nodes.size.push(size.cast_signed().unsigned_abs());
        nodes.first_edge.push(first);
        Ok(())
    }

    /// Trace node ids are nearly always all 0: nothing is kept until the first that is not.
    #[inline]
    fn push_trace(&mut self, id: u64) {
        if id == 0 && self.nodes.trace_node_id.is_none() {
            return;
        }
        let before = self.nodes.kind.len() - 1;
        let traces = self.nodes.trace_node_id.get_or_insert_with(|| {
            let mut column = Column::default();
            (0..before).for_each(|_| column.push(0));
            column
        });
        traces.push(id);
    }

    #[cold]
    fn keep_unknown_kind(&mut self, kind: u64) {
        let ordinal = self.nodes.kind.len();
        let name = self.layout.kind_name(kind);
        if let Ok(ordinal) = u32::try_from(ordinal) {
            let names = &mut self.nodes.unknown_kinds;
            let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            self.nodes.unknown.push((ordinal, at));
        }
    }

    #[cold]
    fn wrong(&self, name: u64, id: u64, edges: u64) -> Error {
        let (expected, found) = if name > u64::from(u32::MAX) {
            ("a name's index in the string table".to_owned(), name)
        } else if id >> 63 != 0 {
            ("an id below 2^63".to_owned(), id)
        } else {
            ("edge counts that add up to less than 2^32".to_owned(), edges)
        };
        Error::Inconsistent {
            section: Section::Nodes,
            record: self.nodes.kind.len() as u64,
            expected,
            found: found.to_string(),
        }
    }
}
