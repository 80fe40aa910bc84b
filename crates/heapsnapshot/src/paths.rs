//! The way from the roots to an object, as edges and in words that lead to code.

mod keeper;
mod script;
mod starts;
mod variables;
mod ways;

use std::borrow::Cow;
use std::collections::HashMap;

use starts::{Start, StartKind};
pub(crate) use ways::Ways;

pub use script::{ScriptOwner, file_name};

use crate::{Edge, EdgeKind, Location, NodeKind, NodeOrdinal, Snapshot, StringIndex};

/// What a variable that an ES module exports is in.
const CELL: &str = "system / Cell";
/// So many words at either end of a long way are shown.
const ENDS: usize = 10;

/// One step of a way: over an edge to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node that holds the edge.
    pub from: NodeOrdinal,
    /// The edge.
    pub edge: Edge,
}

/// A place in the source, with the script's name if the snapshot tells it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourcePlace {
    /// The script's name: a path or a URL.
    pub script: Option<String>,
    /// V8's number of the script.
    pub script_id: u32,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    pub column: u32,
}

/// The names of scripts, by V8's numbers.
#[derive(Debug)]
pub(crate) struct Scripts {
    names: HashMap<u32, String>,
}

impl Snapshot {
    /// A way from a root to a node, root first; empty if nothing leads to it. It is one through the
    /// application's variables where there is one, else through a package's, else through Node's, else
    /// the shortest.
    #[must_use]
    pub fn path_from_root(&self, node: NodeOrdinal) -> Vec<Step> {
        let named = self.ways().path(self, node);
        named.unwrap_or_else(|| self.distances().path(self, node))
    }

    /// Where in the source a function, or an object's constructor, is, with the script's name.
    #[must_use]
    pub fn source_place(&self, node: NodeOrdinal) -> Option<SourcePlace> {
        self.location(node).map(|location| self.name_place(location))
    }

    /// A way in words: the variable or property that holds, and what is between it and the object,
    /// such as `server.js: sessions → Map → [key] → Session`. V8's own parts are left out.
    #[must_use]
    pub fn describe_path(&self, path: &[Step]) -> String {
        let (start, anchor) = self.anchor(path);
        let mut words: Vec<Cow<'_, str>> = Vec::new();
        for (index, step) in path.iter().enumerate().skip(start) {
            let last = index + 1 == path.len();
            let exported = self.exported_name(&path[..=index]);
            if let Some(label) = exported.or_else(|| self.label(step))
                && !(label == "[key]" && words.last().is_some_and(|word| word == "[key]"))
            {
                words.push(label);
            }
            if last || self.is_worth_naming(step.edge.to) {
                words.push(Cow::Owned(self.short_name(step.edge.to)));
            }
        }
        words.dedup();
        let mut words = fold(words);
        // Through a long way, only its ends say something.
        if words.len() > 2 * ENDS {
            words.splice(ENDS..words.len() - ENDS, [Cow::Borrowed("…")]);
        }
        format!("{anchor}{}", words.join(" → "))
    }

    /// What a program calls the last object of a way: `` `compiled` in app.js `` for a variable,
    /// `` `children` of a Module `` for a property; `None` if it has no name of its own.
    #[must_use]
    pub fn name_in_code(&self, path: &[Step]) -> Option<String> {
        let (last, before) = path.split_last()?;
        if let Some(name) = self.exported_name(before) {
            let start = path.iter().rev().find_map(|step| self.ways().start(step.from))?;
            return Some(format!("`{name}` in {}", file_name(start.script.as_deref()?)));
        }
        let name = self.label(last).filter(|name| name != "[key]")?;
        match last.edge.kind {
            EdgeKind::Context | EdgeKind::Hidden => {
                let script = self.script_of_context(before, last.from);
                let place = script.map(|script| format!(" in {}", file_name(&script)));
                Some(format!("`{name}`{}", place.unwrap_or_default()))
            }
            EdgeKind::Property if self.is_global(last.from) => Some(format!("`globalThis.{name}`")),
            EdgeKind::Property if self.module_file(last.from).is_some() => {
                let file = self.module_file(last.from)?;
                Some(format!("`module.{name}` of {}", file_name(file)))
            }
            EdgeKind::Property => {
                let of = self.short_name(last.from);
                let a = if of.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
                Some(format!("`{name}` of {a} {of}"))
            }
            _ => None,
        }
    }

    /// What a program calls an object, as [`Snapshot::name_in_code`] does for the end of a way to it; of a function's variables, the file
    /// that declares them.
    #[must_use]
    pub fn name_of(&self, node: NodeOrdinal) -> Option<String> {
        let path = self.path_from_root(node);
        if self.is_context(node) {
            let script = self.script_of_context(&path, node)?;
            return Some(format!("variables of {}", file_name(&script)));
        }
        self.name_in_code(&path)
    }

    /// The file of a module of CommonJS that is one of a kind.
    fn module_file(&self, node: NodeOrdinal) -> Option<&str> {
        let start = self.ways().start(node).filter(|start| start.kind == StartKind::Module)?;
        start.script.as_deref()
    }

    fn name_place(&self, location: Location) -> SourcePlace {
        self.original(SourcePlace {
            script: self.scripts().names.get(&location.script_id).cloned(),
            script_id: location.script_id,
            line: location.line.saturating_add(1),
            column: location.column.saturating_add(1),
        })
    }

    /// The names of all scripts that a function in the snapshot is of.
    pub(crate) fn script_names(&self) -> impl Iterator<Item = &str> {
        self.scripts().names.values().map(String::as_str)
    }

    fn scripts(&self) -> &Scripts {
        self.scripts.get_or_init(|| {
            let mut names = HashMap::new();
            for &(node, location) in &self.locations {
                if self.kind(node) == NodeKind::Closure
                    && !names.contains_key(&location.script_id)
                    && let Some(name) = self.script_of(node)
                {
                    names.insert(location.script_id, name);
                }
            }
            Scripts { names }
        })
    }

    /// The name of the script that a function is in.
    fn script_of(&self, closure: NodeOrdinal) -> Option<String> {
        let shared = self.internal(closure, "shared")?;
        // Up to Node 20 the field is shared with the debugger's own data.
        let script = self
            .internal(shared, "script")
            .or_else(|| self.internal(shared, "script_or_debug_info"))?;
        let name = self.name(script);
        (!name.is_empty() && !name.starts_with("system / ")).then(|| name.into_owned())
    }

    /// The script of a function, or of a generator or a suspended async function, which know theirs.
    pub(crate) fn script_of_function(&self, node: NodeOrdinal) -> Option<String> {
        let named = |node| self.original_script(node).or_else(|| self.script_of(node));
        named(node).or_else(|| named(self.internal(node, "function")?))
    }

    pub(crate) fn internal(&self, node: NodeOrdinal, name: &str) -> Option<NodeOrdinal> {
        self.edges(node)
            .find(|&edge| edge.kind == EdgeKind::Internal && self.edge_name(edge) == name)
            .map(|edge| edge.to)
    }

    pub(crate) fn ways(&self) -> &Ways {
        self.ways.get_or_init(|| Ways::search(self))
    }

    /// Where the words begin: at the last start, else at the last variable of a function's context,
    /// else at the last thing that hangs from the roots. Gives that step and what stands before.
    fn anchor(&self, path: &[Step]) -> (usize, String) {
        let mut starts = path.iter().enumerate().rev();
        if let Some((at, start)) =
            starts.find_map(|(at, step)| Some((at, self.ways().start(step.from)?)))
        {
            return (at, self.start_in_words(start, &path[..at], path[at]));
        }
        let variable = path.iter().rposition(|step| self.variable(step).is_some());
        if let Some(at) = variable {
            let script = self.script_of_context(&path[..at], path[at].from);
            return (at, script.map_or(String::new(), |name| format!("{}: ", file_name(&name))));
        }
        let synthetic = path.iter().rposition(|step| self.kind(step.from) == NodeKind::Synthetic);
        let Some(at) = synthetic else { return (0, String::new()) };
        (at, format!("{}: ", self.name(path[at].from)))
    }

    fn start_in_words(&self, start: &Start, before: &[Step], step: Step) -> String {
        let script = match start.kind {
            StartKind::Global => return "global: ".to_owned(),
            StartKind::Variables => self.script_of_context(before, start.node),
            StartKind::Module => start.script.clone(),
        };
        let Some(script) = script else { return String::new() };
        let exports = start.kind == StartKind::Variables || self.edge_name(step.edge) == "exports";
        format!("{}: {}", file_name(&script), if exports { "" } else { "module → " })
    }

    pub(crate) fn is_global(&self, node: NodeOrdinal) -> bool {
        let name = self.name(node);
        // Node 26 writes "global (global*)".
        ["global / ", "global (", "Window"].iter().any(|start| name.starts_with(start))
            || name == "global"
    }

    pub(crate) fn is_context(&self, node: NodeOrdinal) -> bool {
        self.strings
            .raw(self.name_index(node))
            .is_some_and(|name| name.starts_with(b"system / Context"))
    }

    /// The name of the script that declares a context's variables. `path` leads to the context.
    fn script_of_context(&self, path: &[Step], context: NodeOrdinal) -> Option<String> {
        if let Some(script) = self.ways().start(context).and_then(|start| start.script.clone()) {
            return Some(script);
        }
        // A row of contexts is of one script, which the function that it begins at is in.
        let entry = path.iter().rev().find(|step| !self.is_context(step.from));
        let holder = entry.map(|step| step.from).filter(|&node| self.is_of_function(node));
        let named = |node| self.original_script(node).or_else(|| self.script_of(node));
        holder.and_then(|node| self.script_of_function(node)).or_else(|| {
            // What V8's own table of top-level variables holds, some function uses.
            let owners = self.retainers(context).map(|edge| self.edge_owner(edge.index));
            owners.filter(|&node| self.kind(node) == NodeKind::Closure).find_map(named)
        })
    }

    fn is_of_function(&self, node: NodeOrdinal) -> bool {
        matches!(self.kind(node), NodeKind::Closure | NodeKind::Object)
    }

    /// What an edge is called in words; `None` for V8's own links.
    pub(crate) fn label(&self, step: &Step) -> Option<Cow<'_, str>> {
        match step.edge.kind {
            EdgeKind::Element => Some(Cow::Borrowed("[key]")),
            // The global object has many properties too, but they are variables.
            EdgeKind::Property
                if self.has_many_properties(step.from) && !self.is_global(step.from) =>
            {
                Some(Cow::Borrowed("[key]"))
            }
            EdgeKind::Property | EdgeKind::Context | EdgeKind::Shortcut => {
                Some(self.edge_name(step.edge))
            }
            EdgeKind::Hidden => self.variable(step),
            EdgeKind::Internal => {
                if self.name(step.from) == CELL {
                    return None;
                }
                let name = self.edges.name(step.edge.index.index());
                let index = u32::try_from(name).map(StringIndex).ok()?;
                if self.ephemerons.get(index).is_some() {
                    return Some(Cow::Borrowed("[weak key]"));
                }
                self.kind(step.from).is_store().then_some(Cow::Borrowed("[key]"))
            }
            _ => None,
        }
    }

    /// What an ES module exports is in a cell. The last step of a way leads from a table of the module's
    /// to the cell; in its table of exports, the name stands before it.
    fn exported_name(&self, path: &[Step]) -> Option<Cow<'_, str>> {
        let [.., to_table, to_cell] = path else { return None };
        if self.name(to_cell.edge.to) != CELL
            || self.name(to_table.from) != "system / SourceTextModule"
        {
            return None;
        }
        let tables = self.edges(to_table.from).filter(|edge| self.kind(edge.to) == NodeKind::Array);
        tables.map(|edge| edge.to).find_map(|table| {
            let mut before: Option<Edge> = None;
            self.edges(table).find_map(|edge| {
                let name = before.replace(edge)?.to;
                let is_name = edge.to == to_cell.edge.to && self.kind(name) == NodeKind::String;
                is_name.then(|| self.name(name))
            })
        })
    }

    /// Whether an object is used as a dictionary.
    #[must_use]
    pub fn has_many_properties(&self, node: NodeOrdinal) -> bool {
        const MANY: usize = 32;
        self.nodes.edges(node.0).len() > MANY
            && self.kind(node) == NodeKind::Object
            && self.edges(node).filter(|edge| edge.kind == EdgeKind::Property).count() > MANY
    }

    fn is_worth_naming(&self, node: NodeOrdinal) -> bool {
        match self.kind(node) {
            NodeKind::Object | NodeKind::Native | NodeKind::Closure => {
                let name = self.strings.raw(self.name_index(node)).unwrap_or_default();
                !name.starts_with(b"system / ")
            }
            NodeKind::RegExp => true,
            _ => false,
        }
    }

    /// A node's name, not too long; a function's with brackets.
    #[must_use]
    pub fn short_name(&self, node: NodeOrdinal) -> String {
        const LIMIT: usize = 60;
        let name = match self.kind(node) {
            NodeKind::Object => Cow::Borrowed(self.class_name(node)),
            NodeKind::String | NodeKind::ConsString | NodeKind::SlicedString => {
                Cow::Borrowed("(string)")
            }
            _ => self.display_name(node),
        };
        let mut text: String = name.chars().take(LIMIT).collect();
        if text.len() < name.len() {
            text.push('…');
        }
        match self.kind(node) {
            NodeKind::Closure if text.is_empty() => "(anonymous function)".to_owned(),
            NodeKind::Closure => text + "()",
            _ => text,
        }
    }
}

impl NodeKind {
    /// Whether a node only stores what belongs to another.
    pub(crate) fn is_store(self) -> bool {
        matches!(self, NodeKind::Array | NodeKind::Hidden)
    }
}

/// Folds steps that repeat: `next → Item → next → Item` is `next → Item (2 times)`.
fn fold(words: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    /// The most words of a step that repeats.
    const PERIOD: usize = 4;
    let mut folded: Vec<Cow<'_, str>> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let times = |period: usize| {
            let step = words.get(at..at + period).unwrap_or_default();
            words[at..].chunks_exact(period).take_while(|&other| other == step).count()
        };
        let found =
            (2..=PERIOD).map(|period| (period, times(period))).find(|&(_, times)| times > 1);
        let (period, times) = found.unwrap_or((1, 1));
        folded.extend_from_slice(&words[at..at + period]);
        if times > 1
            && let Some(last) = folded.last_mut()
        {
            *last = Cow::Owned(format!("{last} ({times} times)"));
        }
        at += period * times;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_repeat_are_folded() {
        let folded = |text: &str| fold(text.split(' ').map(Cow::Borrowed).collect()).join(" ");
        assert_eq!(
            folded("list List next Item next Item next Item end"),
            "list List next Item (3 times) end"
        );
        assert_eq!(folded("a b c a b c"), "a b c (2 times)");
        assert_eq!(folded("a b c a b"), "a b c a b");
        assert_eq!(folded("a"), "a");
    }
}
