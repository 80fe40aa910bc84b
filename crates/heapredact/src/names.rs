//! Which names stay, and which part of one: what code and V8 gave them, unless it looks like data.

use crate::secrets::is_innocent;

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Keep(&'a str),
    Hide(&'a str),
}

/// What else is known of it.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    /// What it names, at an edge, is a text.
    pub(crate) of_text: bool,
    /// The paths of scripts are to be hidden.
    pub(crate) hides_paths: bool,
    /// Whether a name stays where it is that of a node.
    pub(crate) stays: &'a dyn Fn(&str) -> bool,
}

const SCRIPT: &str = "system / Script / ";
/// V8's own words around a function's name.
const AROUND_FUNCTIONS: [(&str, &str); 4] = [
    ("system / SharedFunctionInfo / ", ""),
    ("(code for ", ")"),
    ("(instruction stream for ", ")"),
    ("bound ", ""),
];

/// Splits a name that code or V8 made into what stays and what does not.
pub(crate) fn parts<'a>(name: &'a str, about: About<'_>, parts: &mut Vec<Part<'a>>) {
    parts.clear();
    if ephemeron(name, about, parts) {
        return;
    }
    parts.clear();
    if let Some(path) = name.strip_prefix(SCRIPT) {
        parts.push(Part::Keep(&name[..SCRIPT.len()]));
        return script_path(path, about.hides_paths, parts);
    }
    for (before, after) in AROUND_FUNCTIONS {
        let inner = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
            parts.push(Part::Keep(&name[..before.len()]));
            parts.push(judged(inner, is_of_code(inner)));
            parts.push(Part::Keep(&name[name.len() - after.len()..]));
            return;
        }
    }
    parts.push(judged(name, is_of_code(name) || is_of_v8(name)));
}

/// Whether it is the path of a script, and no function is called so.
pub(crate) fn is_path(name: &str) -> bool {
    let is_drive = |name: &[u8]| {
        name.len() > 3 && name[0].is_ascii_alphabetic() && name[1..].starts_with(b":\\")
    };
    ["/", "file://", "node:", "evalmachine.<"].iter().any(|start| name.starts_with(start))
        || is_drive(name.as_bytes())
}

/// Splits the path of a script: it stays, but for what looks like data.
pub(crate) fn script_path<'a>(path: &'a str, hides: bool, parts: &mut Vec<Part<'a>>) {
    if path.starts_with("node:") && path.bytes().all(is_path_byte) {
        parts.push(judged(path, is_innocent(path)));
        return;
    }
    // A query, a fragment, and all of a URL that is no file are data.
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let is_other =
        path.split_once(':').is_some_and(|(scheme, _)| scheme != "file" && scheme.len() > 1);
    if hides || is_other {
        parts.push(Part::Hide(path));
        return;
    }
    let (file, query) = path.split_at(end);
    let mut start = 0;
    for (at, separator) in file.match_indices(['/', '\\']).chain([(file.len(), "")]) {
        let segment = &file[start..at];
        let stays = segment.bytes().all(is_path_byte)
            && segment.split(['-', '.', '@', '+', '~', ' ']).all(is_innocent)
            && is_innocent(segment);
        parts.push(judged(segment, stays));
        parts.push(Part::Keep(&file[at..at + separator.len()]));
        start = at + separator.len();
    }
    parts.push(Part::Hide(query));
}

/// What V8 writes at an edge of a `WeakMap`, in which the names of both ends are repeated:
/// `5 / part of key (Foo @1) -> value (text @3) pair in WeakMap (table @5)`.
fn ephemeron<'a>(name: &'a str, about: About<'_>, parts: &mut Vec<Part<'a>>) -> bool {
    const KEY: &str = "part of key (";
    if !name.starts_with(['p', '/', ' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        return false;
    }
    let start = name.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ' ' | '/'));
    if !start.starts_with(KEY) {
        return false;
    }
    let at = name.len() - start.len();
    let key_at = at + KEY.len();
    let rest = &name[key_at..];
    let found = || {
        let arrow = rest
            .match_indices(") -> value (")
            .map(|(at, _)| at)
            .find(|&at| before_id(&rest[..at]).is_some())?;
        let key_end = before_id(&rest[..arrow])?;
        let value_at = arrow + ") -> value (".len();
        let table = rest.rfind(") pair in WeakMap (table @").filter(|&at| at >= value_at)?;
        let id = rest[table..].strip_prefix(") pair in WeakMap (table @")?.strip_suffix(')')?;
        let value_end = value_at + before_id(&rest[value_at..table])?;
        // As in DevTools, such a name is one line.
        let is_whole = id.bytes().all(|byte| byte.is_ascii_digit())
            && !name.contains(['\n', '\r', '\u{2028}', '\u{2029}']);
        is_whole.then_some((key_end, value_at, value_end))
    };
    let Some((key_end, value_at, value_end)) = found() else {
        // V8 cuts such names off at a kilobyte.
        parts.push(Part::Hide(name));
        return true;
    };
    // The key may be a regular expression, whose name is a text: what stays is known from the nodes, which come first.
    let end = |name: &'a str, is_text: bool| judged(name, !is_text && (about.stays)(name));
    parts.push(Part::Keep(&name[..key_at]));
    parts.push(end(&rest[..key_end], false));
    parts.push(Part::Keep(&rest[key_end..value_at]));
    parts.push(end(&rest[value_at..value_end], about.of_text));
    parts.push(Part::Keep(&rest[value_end..]));
    true
}

/// The length of what stands before ` @123` at the end.
fn before_id(text: &str) -> Option<usize> {
    let (name, id) = text.rsplit_once(" @")?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(name.len())
}

fn judged(text: &str, stays: bool) -> Part<'_> {
    if stays { Part::Keep(text) } else { Part::Hide(text) }
}

/// `name`, `#name`, `Intl.Collator`, `get name`, `Array Iterator`, `<symbol name>`, `[Symbol.iterator]`, `global (global*)`.
fn is_of_code(name: &str) -> bool {
    if !is_innocent(name) {
        return false;
    }
    if let Some(inner) = symbol(name) {
        return is_symbol_name(inner);
    }
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return is_symbol_name(inner);
    }
    // What Node.js calls the functions around its own modules.
    if let Some(module) = name.strip_prefix("node:") {
        return module.split(['/', '-']).all(is_identifier);
    }
    if !name.contains(' ') {
        return name.split('.').all(|word| is_identifier(word.strip_prefix('#').unwrap_or(word)))
            || name == "<anonymous>";
    }
    for accessor in ["get ", "set ", "static ", "async "] {
        if let Some(inner) = name.strip_prefix(accessor) {
            return is_of_code(inner);
        }
    }
    if let Some(inner) = name.strip_suffix(" Iterator").or_else(|| name.strip_suffix(" Helper")) {
        return inner.split(' ').all(|word| word.split('-').all(is_identifier));
    }
    if let Some((global, rest)) = name.split_once(" (") {
        let inner = rest.strip_suffix(')').map(|inner| inner.trim_end_matches('*'));
        return is_global(global) && inner.is_some_and(is_identifier);
    }
    if let Some((global, rest)) = name.split_once(" / ") {
        return is_global(global) && (rest.is_empty() || is_identifier(rest));
    }
    if let Some((global, rest)) = name.split_once(" [") {
        return is_global(global) && rest.strip_suffix(']').is_some_and(is_identifier);
    }
    name.split('.').all(|word| is_identifier(word.strip_prefix('#').unwrap_or(word)))
        || name == "<anonymous>"
}

fn is_global(name: &str) -> bool {
    matches!(name, "global" | "Object" | "Window")
}

/// The description in the name of a property that has a symbol for a key.
pub(crate) fn symbol(name: &str) -> Option<&str> {
    name.strip_prefix("<symbol ")?.strip_suffix('>')
}

fn is_symbol_name(name: &str) -> bool {
    is_innocent(name) && name.split(['.', ':', ' ']).all(is_identifier)
}

/// Whether a property's name is a symbol's, or one that V8 gives every object.
pub(crate) fn is_known_property(name: &str) -> bool {
    matches!(name, "__proto__" | "prototype" | "constructor" | "<symbol>")
        || symbol(name).is_some_and(is_symbol_name)
}

/// The property of an accessor's edge: `size` of `get size`.
pub(crate) fn accessor(name: &str) -> Option<&str> {
    name.strip_prefix("get ").or_else(|| name.strip_prefix("set "))
}

/// The name of a private field.
pub(crate) fn is_private(name: &str) -> bool {
    name.strip_prefix('#').is_some_and(is_identifier) && is_innocent(name)
}

/// What V8 calls nodes that have no name.
pub(crate) fn is_word(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "heap number",
        "smi number",
        "int",
        "bool",
        "number",
        "bigint",
        "symbol",
        "private symbol",
        "(concatenated string)",
        "(sliced string)",
    ];
    WORDS.contains(&name)
}

/// Numbers, `12 / description`, `system / …`, `(…)`, `Node / …`, `C++ roots`.
fn is_of_v8(name: &str) -> bool {
    let words = |text: &str, also: &[u8]| {
        let belongs = |byte: u8| {
            byte.is_ascii_alphanumeric() || b" _-".contains(&byte) || also.contains(&byte)
        };
        text.bytes().all(belongs)
            && text.split([' ', '@']).all(|word| is_innocent(word) || is_number(word.as_bytes()))
    };
    if name.is_empty() || is_number(name.as_bytes()) {
        return true;
    }
    if let Some((number, rest)) =
        name.split_once(" / ").filter(|(number, _)| is_number(number.as_bytes()))
    {
        return !number.is_empty() && (is_of_code(rest) || is_of_v8(rest) || words(rest, b"():"));
    }
    for start in ["system / ", "Node / "] {
        if let Some(rest) = name.strip_prefix(start) {
            return words(rest, b"()/<>:,@.*");
        }
    }
    if let Some(inner) = name.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return words(inner, b".+/");
    }
    name.starts_with("C++ ") && words(&name[4..], b"")
        || matches!(
            name,
            "heap number" | "smi number" | "private symbol" | "non-instance prototype tuple"
        )
}

/// No array has more than 2^32 elements.
#[inline]
pub(crate) fn is_number(text: &[u8]) -> bool {
    let value = || text.iter().fold(0, |number, digit| number * 10 + u64::from(digit & 15));
    (1..=10).contains(&text.len())
        && text.iter().all(u8::is_ascii_digit)
        && (text.len() < 10 || value() <= u64::from(u32::MAX))
}

fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_' || first == b'$')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/\\:._-@+~$()[]<> ".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &dyn Fn(&str) -> bool = &|name| ["Foo", "Object", "hunter"].contains(&name);
    const ABOUT: About<'static> = About { of_text: false, hides_paths: false, stays: KNOWN };

    fn shown(name: &str, about: About<'_>) -> String {
        let mut found = Vec::new();
        parts(name, about, &mut found);
        let whole: String = found
            .iter()
            .map(|part| match part {
                Part::Keep(text) | Part::Hide(text) => *text,
            })
            .collect();
        assert_eq!(whole, name);
        found
            .iter()
            .map(|part| match part {
                Part::Keep(text) => (*text).to_owned(),
                Part::Hide(text) => "·".repeat(text.chars().count()),
            })
            .collect()
    }

    #[test]
    fn names_of_code_and_of_v8_stay() {
        for name in [
            "Foo",
            "_a$1",
            "#field",
            "Intl.Collator",
            "get size",
            "Array Iterator",
            "Async-from-Sync Iterator",
            "[Symbol.iterator]",
            "<symbol nodejs.util.inspect.custom>",
            "<symbol node:module_parent>",
            "global (global*)",
            "global / ",
            "12",
            "3 / DevTools console",
            "system / Context / scope @123",
            "system / Map (ConsOneByteString)",
            "(GC roots)",
            "node:internal/streams/end-of-stream",
            "(code for Module._load)",
            "system / SharedFunctionInfo / emit",
            "Node / std::basic_string",
            "C++ roots",
            "",
            "(CallFunction_ReceiverIsAny builtin handle)",
            "system / Script / node:internal/util",
            "heap number",
            "system / Script / /srv/app/src/index.js",
            "system / Script / file:///srv/a-b/x.mjs",
            "system / Script / evalmachine.<anonymous>",
        ] {
            assert_eq!(shown(name, ABOUT), name);
        }
    }

    #[test]
    fn what_looks_like_data_goes() {
        for (name, expected) in [
            ("John Smith", "··········"),
            ("content-type", "············"),
            ("m0f1e2d3c4b5a6978", "·················"),
            ("(code for x0f1e2d3c4b5a6978)", "(code for ·················)"),
            ("system / SharedFunctionInfo / a b", "system / SharedFunctionInfo / ···"),
            (
                "system / Script / /srv/0f1e2d3c4b5a6978/x.js",
                "system / Script / /srv/················/x.js",
            ),
            ("system / Script / file:///a.mjs?token=1", "system / Script / file:///a.mjs········"),
            (
                "system / Script / data:text/javascript,1",
                "system / Script / ······················",
            ),
            ("<symbol ann@example.org>", "························"),
            ("Müller", "······"),
            ("12345678901", "···········"),
        ] {
            assert_eq!(shown(name, ABOUT), expected);
        }
    }

    #[test]
    fn both_ends_of_a_weak_map_entry_are_looked_at() {
        let name = "5 / part of key (Foo @1) -> value (hunter @3) pair in WeakMap (table @5)";
        assert_eq!(shown(name, ABOUT), name);
        let text = About { of_text: true, ..ABOUT };
        assert_eq!(
            shown(name, text),
            "5 / part of key (Foo @1) -> value (······ @3) pair in WeakMap (table @5)"
        );
        let expression = "5 / part of key (secret @1) -> value (Foo @3) pair in WeakMap (table @5)";
        assert_eq!(
            shown(expression, ABOUT),
            "5 / part of key (······ @1) -> value (Foo @3) pair in WeakMap (table @5)"
        );
        let nested = "5 / part of key (Foo @1) -> value (a @1) pair in WeakMap (table @2) @3) pair in WeakMap (table @5)";
        assert!(shown(nested, text).starts_with("5 / part of key (Foo @1) -> value (·"));
        assert!(shown(nested, text).ends_with("· @3) pair in WeakMap (table @5)"));
        let cut = "5 / part of key (Foo @1) -> value (hunter";
        assert_eq!(shown(cut, text), "·".repeat(cut.len()));
    }

    #[test]
    fn paths_can_be_hidden() {
        let about = About { hides_paths: true, ..ABOUT };
        assert_eq!(shown("system / Script / /a/b.js", about), "system / Script / ·······");
        assert_eq!(shown("system / Script / node:fs", about), "system / Script / node:fs");
    }
}
