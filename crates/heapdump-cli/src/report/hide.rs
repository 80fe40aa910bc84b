//! Takes the contents of strings out of answers, and the keys of objects that are used as dictionaries.

use heapsnapshot::{NodeOrdinal, Snapshot};
use serde::Serialize;
use serde_json::Value;

use super::heap::is_text;
use super::{
    HeapReport, LeaksReport, ObjectPage, ObjectRef, PathReport, Reference, StringsReport,
    TrendReport,
};

/// Longer names are cut: a report is to be read, and passed on.
const LONGEST: usize = 160;
/// V8 has no more of a text in a snapshot (`v8_flags.heap_snapshot_string_limit`).
const CUT_BY_V8: usize = 1024;

/// What becomes of answers about one snapshot before they are passed on.
#[derive(Clone, Copy, Debug)]
pub struct Hide<'a> {
    snapshot: &'a Snapshot,
    /// Whether contents may be seen: then only what is too long is cut.
    values: bool,
}

impl<'a> Hide<'a> {
    /// For answers about a snapshot.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, values: bool) -> Self {
        Hide { snapshot, values }
    }

    /// In all that is said of a heap.
    pub fn heap(&self, heap: &mut HeapReport) {
        for suspect in &mut heap.suspects.suspects {
            self.object(&mut suspect.object);
            suspect.accumulation_point.iter_mut().for_each(|point| self.object(point));
            self.path(&mut suspect.path);
        }
        heap.objects.iter_mut().for_each(|page| self.page(page));
        self.strings(&mut heap.strings);
    }

    /// On an object's page.
    pub fn page(&self, page: &mut ObjectPage) {
        let report = &mut page.report;
        self.object(&mut report.object);
        self.object(&mut report.dominator);
        let node = report.object.node;
        report.references.iter_mut().for_each(|reference| self.reference(node, reference));
        for retainer in &mut report.retainers {
            self.reference(retainer.object.node, retainer);
        }
        self.path(&mut report.path);
    }

    /// In what grows and is still held.
    pub fn leaks(&self, leaks: &mut LeaksReport) {
        for suspect in &mut leaks.suspects {
            self.object(&mut suspect.example);
            suspect.holder.iter_mut().for_each(|holder| self.object(holder));
            self.path(&mut suspect.path);
        }
    }

    /// In what grows over many snapshots; this is the last of them.
    pub fn trend(&self, trend: &mut TrendReport) {
        for group in &mut trend.groups {
            self.object(&mut group.example);
            self.path(&mut group.path);
        }
    }

    /// The answers as JSON, without contents that have come into them in any other place: every object that is a text, and the words about
    /// texts that are there often.
    ///
    /// # Errors
    /// When the answers are no JSON.
    pub fn json(values: bool, answers: &impl Serialize) -> serde_json::Result<Value> {
        let mut json = serde_json::to_value(answers)?;
        if !values {
            hide_json(&mut json);
        }
        Ok(json)
    }

    fn strings(&self, strings: &mut StringsReport) {
        for row in &mut strings.strings {
            self.text(&mut row.text);
        }
    }

    fn path(&self, path: &mut PathReport) {
        let mut holder = self.snapshot.root();
        for step in &mut path.steps {
            let next = step.object.node;
            self.reference(holder, step);
            holder = next;
        }
    }

    /// `holder` has the name of the reference.
    fn reference(&self, holder: NodeOrdinal, reference: &mut Reference) {
        if !self.values && reference.kind == "property" && self.is_dictionary(holder) {
            "[key]".clone_into(&mut reference.name);
        }
        shorten(&mut reference.name);
        self.object(&mut reference.object);
    }

    fn object(&self, object: &mut ObjectRef) {
        if is_text(self.snapshot.kind(object.node)) {
            self.text(&mut object.name);
        } else if !self.values && object.name.starts_with('{') && self.is_dictionary(object.node) {
            "{…}".clone_into(&mut object.name);
        }
        shorten(&mut object.name);
        shorten(&mut object.class);
    }

    fn is_dictionary(&self, node: NodeOrdinal) -> bool {
        self.snapshot.has_many_properties(node)
    }

    fn text(&self, text: &mut String) {
        if self.values {
            shorten(text);
            return;
        }
        *text = length_of(text);
    }
}

fn length_of(text: &str) -> String {
    match text.encode_utf16().count() {
        0 => "an empty string".to_owned(),
        1 => "a string of 1 character".to_owned(),
        length if length >= CUT_BY_V8 => format!("a string of {CUT_BY_V8} characters or more"),
        length => format!("a string of {length} characters"),
    }
}

fn hide_json(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(hide_json),
        Value::Object(fields) => {
            let is = |field: &str, words: &[&str]| {
                fields.get(field).and_then(Value::as_str).is_some_and(|word| words.contains(&word))
            };
            let is_text = is("type", &["string", "concatenated string", "sliced string"]);
            let is_about_text = is("kind", &["duplicate-strings"]);
            if is_text || is_about_text {
                if let Some(Value::String(name)) = fields.get_mut("name")
                    && !(name.starts_with("a string of ") || name == "an empty string")
                {
                    *name = length_of(name);
                }
                // What follows is the text itself.
                if is_about_text
                    && let Some(Value::String(what)) = fields.get_mut("what")
                    && let Some(at) = what.find(", most of all")
                {
                    what.truncate(at);
                }
            }
            fields.values_mut().for_each(hide_json);
        }
        _ => {}
    }
}

fn shorten(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(at);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::report::{HeapLimits, heap};

    /// The root holds a Config, an object with a text, and a dictionary of forty keys.
    fn snapshot() -> Snapshot {
        let keys: Vec<String> = (0..40).map(|i| format!("\"key-of-somebody-{i}\"")).collect();
        let edges: Vec<String> = (0..40).map(|i| format!("2,{},15", 7 + i)).collect();
        let text = format!(
            r#"{{"snapshot":{{"meta":{{
            "node_fields":["type","name","id","self_size","edge_count"],
            "node_types":[["synthetic","object","string"],"string","number","number","number"],
            "edge_fields":["type","name_or_index","to_node"],
            "edge_types":[["internal","element","property"],"string_or_number","node"]}},"node_count":4,"edge_count":43}},
            "nodes":[0,0,1,0,2, 1,1,3,40,1, 1,2,5,40,40, 2,3,7,500,0],
            "edges":[2,4,5, 2,5,10, 2,6,15, {}],
            "strings":["","Config","Object","a secret","config","users","password",{}]}}"#,
            edges.join(", "),
            keys.join(", ")
        );
        Snapshot::read(text.as_bytes()).unwrap()
    }

    fn shown(values: bool) -> String {
        let snapshot = snapshot();
        let limits = HeapLimits { threshold: 0.0, ..HeapLimits::default() };
        let mut heap = heap(&snapshot, &limits).unwrap();
        Hide::new(&snapshot, values).heap(&mut heap);
        serde_json::to_string(&heap).unwrap()
    }

    #[test]
    fn texts_and_keys_are_hidden_and_names_are_not() {
        let hidden = shown(false);
        assert!(!hidden.contains("secret") && !hidden.contains("somebody"), "{hidden}");
        assert!(hidden.contains("a string of 8 characters") && hidden.contains("\"[key]\""));
        assert!(hidden.contains("Config") && hidden.contains("password"));
    }

    #[test]
    fn texts_in_any_other_place_are_hidden_too() {
        let answers = serde_json::json!({"inspections": [{
            "kind": "duplicate-strings", "name": "a secret", "what": "9 strings waste 1 kB, most of all \"a secret\"",
            "example": {"type": "concatenated string", "name": "a secret"}, "path": {"steps": [{"type": "property",
            "name": "kept", "object": {"type": "string", "name": "a string of 8 characters"}}]}
        }]});
        let hidden = Hide::json(false, &answers).unwrap().to_string();
        assert!(!hidden.contains("secret") && hidden.contains("9 strings waste 1 kB"), "{hidden}");
        assert_eq!(hidden.matches("a string of 8 characters").count(), 3);
        assert_eq!(Hide::json(true, &answers).unwrap(), answers);
    }

    #[test]
    fn who_asks_sees_them() {
        let shown = shown(true);
        assert!(shown.contains("a secret") && shown.contains("key-of-somebody-3"), "{shown}");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let mut text = "é".repeat(LONGEST + 1);
        shorten(&mut text);
        assert_eq!(text, format!("{}…", "é".repeat(LONGEST)));
    }
}
