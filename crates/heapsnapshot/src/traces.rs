//! Where objects were allocated, in snapshots made while allocations were tracked.

use std::borrow::Cow;

use crate::paths::SourcePlace;
use crate::{NodeOrdinal, Snapshot, StringIndex, TraceFunction};

/// A function that was on the stack when an object was allocated.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// The function's name; empty for an anonymous one.
    pub function: String,
    /// The script's name: a path or a URL; empty for V8's own functions.
    pub script: String,
    /// V8's number of the script; 0 for V8's own functions.
    pub script_id: u32,
    /// The line, counted from 1; 0 if it is not known.
    pub line: u32,
    /// The column, counted from 1; 0 if it is not known.
    pub column: u32,
}

impl Snapshot {
    /// The stack that allocated a node, the innermost function first, up to V8's `(root)`. Empty if
    /// allocations were not tracked, or not yet.
    ///
    /// ```no_run
    /// # fn main() -> heapsnapshot::Result<()> {
    /// let snapshot = heapsnapshot::Snapshot::open("tracked.heapsnapshot")?;
    /// for frame in snapshot.allocation_stack(snapshot.root()) {
    ///     println!("{} {}:{}", frame.function, frame.script, frame.line);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn allocation_stack(&self, node: NodeOrdinal) -> Vec<Frame> {
        let wanted = self.trace_node_id(node);
        let tree = self.trace_tree();
        let mut frames = Vec::new();
        let mut at = wanted.and_then(|id| tree.iter().find(|trace| trace.id == id));
        while let Some(trace) = at {
            let function = usize::try_from(trace.function).ok();
            if let Some(function) = function.and_then(|index| self.trace_functions().get(index)) {
                frames.push(self.frame(function));
            }
            // Parents come before their children, so this ends.
            at = trace.parent.and_then(|parent| tree.get(parent as usize));
        }
        frames
    }

    fn frame(&self, function: &TraceFunction) -> Frame {
        let text = |index: u64| match u32::try_from(index) {
            Ok(index) => self.strings().get(StringIndex(index)),
            Err(_) => Cow::default(),
        };
        let small = |value: u64| u32::try_from(value).unwrap_or(0);
        let place = self.original(SourcePlace {
            script: Some(text(function.script_name).into_owned()),
            script_id: small(function.script_id),
            line: small(function.line),
            column: small(function.column),
        });
        Frame {
            function: text(function.name).into_owned(),
            script: place.script.unwrap_or_default(),
            script_id: place.script_id,
            line: place.line,
            column: place.column,
        }
    }
}
