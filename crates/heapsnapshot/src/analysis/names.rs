//! The names that DevTools shows: `{a, b, …}` for a plain object, its text for a joined string.

use std::borrow::Cow;

use crate::{EdgeIndex, EdgeKind, NodeKind, NodeOrdinal, Snapshot};

/// Joined strings are shown up to about this many characters.
const JOINED_LIMIT: usize = 1024;
/// Names of plain objects are about this long.
const OBJECT_LIMIT: usize = 100;

impl Snapshot {
    /// The name as DevTools shows it: a plain object's says which properties it has, a joined
    /// string's is its text; all others are as in the file.
    #[must_use]
    pub fn display_name(&self, node: NodeOrdinal) -> Cow<'_, str> {
        match self.kind(node) {
            NodeKind::ConsString => Cow::Owned(self.joined(node)),
            NodeKind::Object if self.is_plain_object(node) => Cow::Owned(self.object_name(node)),
            _ => self.name(node),
        }
    }

    pub(crate) fn is_plain_object(&self, node: NodeOrdinal) -> bool {
        self.kind(node) == NodeKind::Object && self.strings.is(self.nodes.name(node), "Object")
    }

    fn joined(&self, node: NodeOrdinal) -> String {
        let mut text = String::with_capacity(64);
        let mut length = 0;
        let mut open = vec![node];
        // Text may be empty for ever, in a file that lies: each part is looked at only so often.
        let mut steps = 1 << 16;
        while let Some(part) = open.pop()
            && length < JOINED_LIMIT
            && steps > 0
        {
            steps -= 1;
            if self.kind(part) != NodeKind::ConsString {
                let name = self.name(part);
                length += utf16_length(&name);
                text.push_str(&name);
                continue;
            }
            let (mut first, mut second) = (None, None);
            for edge in self.edges(part).filter(|edge| edge.kind == EdgeKind::Internal) {
                let Some(name) = self.edge_name_index(edge) else { continue };
                if self.strings.is(name, "first") {
                    first = first.or(Some(edge.to));
                } else if self.strings.is(name, "second") {
                    second = second.or(Some(edge.to));
                }
                if first.is_some() && second.is_some() {
                    break;
                }
            }
            open.extend(second);
            open.extend(first);
        }
        text
    }

    /// Properties from both ends in turn, until the name is long enough.
    fn object_name(&self, node: NodeOrdinal) -> String {
        let mut range = self.nodes.edges(node.0);
        let mut head = String::from("{");
        let mut tail = String::from("}");
        let mut from_end = false;
        let mut cut = false;
        while !range.is_empty() {
            let at = if from_end { range.end - 1 } else { range.start };
            if let Some(formatted) = self.formatted_property(at) {
                let length = [&head, &tail, &formatted].map(|part| utf16_length(part));
                if head.len() > 1 && length.iter().sum::<usize>() > OBJECT_LIMIT {
                    cut = true;
                    break;
                }
                if from_end {
                    if tail.len() > 1 {
                        tail.insert_str(0, ", ");
                    }
                    tail.insert_str(0, &formatted);
                } else {
                    if head.len() > 1 {
                        head.push_str(", ");
                    }
                    head.push_str(&formatted);
                }
                if from_end {
                    range.end -= 1;
                } else {
                    range.start += 1;
                }
                from_end = !from_end;
            } else if from_end {
                range.end -= 1;
            } else {
                range.start += 1;
            }
        }
        if cut {
            head.push_str(", …");
        }
        if tail.len() > 1 {
            head.push_str(", ");
        }
        head + &tail
    }

    /// A property's name as part of an object's; `None` for other edges and for `__proto__`.
    fn formatted_property(&self, edge: usize) -> Option<String> {
        let edge = self.edge(EdgeIndex(u32::try_from(edge).ok()?))?;
        if edge.kind != EdgeKind::Property {
            return None;
        }
        let name = self.edge_name(edge);
        (name != "__proto__").then(|| format_property(&name).into_owned())
    }
}

/// A property's name; quoted if it holds what separates names.
pub(crate) fn format_property(name: &str) -> Cow<'_, str> {
    if name.contains([',', '\'', '"', '{', '}']) {
        Cow::Owned(serde_json::Value::from(name).to_string())
    } else {
        Cow::Borrowed(name)
    }
}

/// The length that JavaScript sees.
pub(crate) fn utf16_length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_quoted_as_json() {
        assert_eq!(format_property("a b"), "a b");
        assert_eq!(format_property("a,b"), "\"a,b\"");
        assert_eq!(format_property("it's \"x\"\n"), "\"it's \\\"x\\\"\\n\"");
    }

    #[test]
    fn lengths_are_javascripts() {
        assert_eq!(utf16_length("abc"), 3);
        assert_eq!(utf16_length("\u{1f600}\u{e9}"), 3);
    }
}
