//! The parts that only some snapshots have: locations, samples and allocation traces.

use super::header::Header;
use super::input::{Input, reserve};
use crate::{Error, Result, Section};

/// Where in the source an object's constructor, or a function, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// V8's number of the script.
    pub script_id: u32,
    /// The line, counted from 0.
    pub line: u32,
    /// The column, counted from 0.
    pub column: u32,
}

/// A moment in a recording of allocations on a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Microseconds since the recording began.
    pub timestamp_us: u64,
    /// The last id that an object had been given by then.
    pub last_assigned_id: u64,
}

/// A function that allocated, in a snapshot made while allocations were tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceFunction {
    /// V8's number of the function.
    pub function_id: u64,
    /// Its name, an index into the strings.
    pub name: u64,
    /// Its script's name, an index into the strings.
    pub script_name: u64,
    /// V8's number of the script.
    pub script_id: u64,
    /// The line, counted from 1; 0 if V8 does not know it.
    pub line: u64,
    /// The column, counted from 1; 0 if V8 does not know it.
    pub column: u64,
}

/// A node in the tree of stacks that allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceNode {
    /// What [`crate::Snapshot::trace_node_id`] refers to.
    pub id: u64,
    /// The function, an index into [`crate::Snapshot::trace_functions`].
    pub function: u64,
    /// How many objects were allocated right here.
    pub count: u64,
    /// How many bytes those had.
    pub size: u64,
    /// The caller's position in [`crate::Snapshot::trace_tree`].
    pub parent: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// By `object_index` as in the file, until `resolve` makes ordinals of them.
    pub(crate) locations: Vec<(u64, Location)>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) functions: Vec<TraceFunction>,
    pub(crate) trace_tree: Vec<TraceNode>,
}

impl Extras {
    pub(crate) fn read(
        &mut self,
        section: Section,
        header: &Header,
        input: &mut Input<'_>,
    ) -> Result<usize> {
        input.numbers(|numbers| {
            reserve(&mut self.locations, numbers.len() / 4 + 1, "locations")?;
            Ok(self.take(section, header, numbers))
        })
    }

    /// Takes whole records; returns how many numbers those are.
    pub(crate) fn take(&mut self, section: Section, header: &Header, numbers: &[u64]) -> usize {
        let stride = match section {
            Section::Locations => header.location.as_ref().map(|layout| layout.stride),
            Section::Samples => header.sample.as_ref().map(|layout| layout.stride),
            Section::TraceFunctionInfos => header.function_info.as_ref().map(|l| l.stride),
            _ => None,
        };
        // Without a meta for it, an array says nothing.
        let Some(stride) = stride else { return numbers.len() };
        for record in numbers.chunks_exact(stride) {
            let field = |at: usize| record.get(at).copied().unwrap_or(0);
            match section {
                Section::Locations => {
                    if let Some(layout) = &header.location {
                        let location = Location {
                            script_id: magnitude(field(layout.script_id)),
                            line: magnitude(field(layout.line)),
                            column: magnitude(field(layout.column)),
                        };
                        self.locations.push((field(layout.object_index), location));
                    }
                }
                Section::Samples => {
                    if let Some(layout) = &header.sample {
                        self.samples.push(Sample {
                            timestamp_us: field(layout.timestamp),
                            last_assigned_id: field(layout.last_assigned_id),
                        });
                    }
                }
                _ => {
                    if let Some(layout) = &header.function_info {
                        self.functions.push(TraceFunction {
                            function_id: field(layout.function_id),
                            name: field(layout.name),
                            script_name: field(layout.script_name),
                            script_id: field(layout.script_id),
                            line: field(layout.line),
                            column: field(layout.column),
                        });
                    }
                }
            }
        }
        numbers.len() / stride * stride
    }

    /// Reads `[id, function_info_index, count, size, [children]]`, which nest as deep as stacks do.
    pub(crate) fn read_trace_tree(&mut self, input: &mut Input<'_>) -> Result<()> {
        input.expect(b'[', "a tree of arrays")?;
        // The nodes whose lists of children are open, and the numbers of the one being read.
        let mut open: Vec<Option<u32>> = vec![None];
        let mut fields = Vec::with_capacity(4);
        loop {
            let Some(byte) = input.peek_token()? else {
                return Err(input.unexpected("the end of the tree"));
            };
            match byte {
                b',' => input.advance(),
                b'[' if fields.len() == 4 => {
                    input.advance();
                    let parent = open.last().copied().flatten();
                    open.push(Some(self.trace_node(&mut fields, parent)?));
                }
                b']' if fields.is_empty() => {
                    input.advance();
                    open.pop();
                    if open.is_empty() {
                        return Ok(());
                    }
                }
                b'0'..=b'9' if fields.len() < 4 => fields.push(input.number()?),
                _ => return Err(input.unexpected("a node of the trace tree")),
            }
        }
    }

    fn trace_node(&mut self, fields: &mut Vec<u64>, parent: Option<u32>) -> Result<u32> {
        let field = |at: usize| fields.get(at).copied().unwrap_or(0);
        let node =
            TraceNode { id: field(0), function: field(1), count: field(2), size: field(3), parent };
        fields.clear();
        let index = u32::try_from(self.trace_tree.len()).map_err(|_| Error::TooLarge {
            section: Section::TraceTree,
            what: "the number of nodes",
            found: self.trace_tree.len() as u64,
            limit: u64::from(u32::MAX),
        })?;
        reserve(&mut self.trace_tree, 1, "the trace tree")?;
        self.trace_tree.push(node);
        Ok(index)
    }
}

/// V8 writes -1 for what it does not know; DevTools reads it without the sign, and so must we, since
/// the location is part of a class's key.
fn magnitude(value: u64) -> u32 {
    u32::try_from(value.cast_signed().unsigned_abs()).unwrap_or(u32::MAX)
}
