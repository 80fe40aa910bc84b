//! The parts of a file, for error messages.

/// A part of a `.heapsnapshot` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Section {
    /// The file as a whole: what stands between its parts.
    File,
    /// The `snapshot` object with the meta and the counts.
    Header,
    /// The nodes.
    Nodes,
    /// The edges.
    Edges,
    /// The functions that allocated.
    TraceFunctionInfos,
    /// The stacks that allocated.
    TraceTree,
    /// The moments of a recording.
    Samples,
    /// Where objects and functions are in the source.
    Locations,
    /// The string table.
    Strings,
    /// A part that this version does not know, and skips.
    Other,
}

impl Section {
    /// The part that a key at the top of the file stands for.
    pub(crate) fn of_key(key: &[u8]) -> Section {
        match key {
            b"snapshot" => Section::Header,
            b"nodes" => Section::Nodes,
            b"edges" => Section::Edges,
            b"trace_function_infos" => Section::TraceFunctionInfos,
            b"trace_tree" => Section::TraceTree,
            b"samples" => Section::Samples,
            b"locations" => Section::Locations,
            b"strings" => Section::Strings,
            _ => Section::Other,
        }
    }
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Section::File => "the file",
            Section::Header => "section 'snapshot'",
            Section::Nodes => "section 'nodes'",
            Section::Edges => "section 'edges'",
            Section::TraceFunctionInfos => "section 'trace_function_infos'",
            Section::TraceTree => "section 'trace_tree'",
            Section::Samples => "section 'samples'",
            Section::Locations => "section 'locations'",
            Section::Strings => "section 'strings'",
            Section::Other => "an unknown section",
        })
    }
}
