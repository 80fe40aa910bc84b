//! The filter as a whole: what comes out of snapshots that are made here.
#![allow(clippy::expect_used, reason = "a test may panic")]

use heapredact::{Error, Key, Options, Redactor};
use proptest::prelude::*;
use serde_json::Value;

const META: &str = r#"{"node_fields":["type","name","id","self_size","edge_count","detachedness"],"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],"trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],"trace_node_fields":["id","function_info_index","count","size","children"],"sample_fields":["timestamp_us","last_assigned_id"],"location_fields":["object_index","script_id","line","column"]}"#;

const KINDS: [&str; 15] = [
    "hidden",
    "array",
    "string",
    "object",
    "code",
    "closure",
    "regexp",
    "number",
    "native",
    "synthetic",
    "concatenated string",
    "sliced string",
    "symbol",
    "bigint",
    "object shape",
];
const EDGES: [&str; 7] =
    ["context", "element", "property", "internal", "hidden", "shortcut", "weak"];

/// Kind, name, and edges: kind, name or index, target.
type Node = (usize, usize, Vec<(usize, usize, usize)>);

/// A snapshot of nodes and edges that are named by texts.
#[derive(Default)]
struct Made {
    strings: Vec<String>,
    nodes: Vec<Node>,
}

impl Made {
    fn string(&mut self, text: &str) -> usize {
        if self.strings.is_empty() {
            self.strings.push("<dummy>".to_owned());
        }
        let found = self.strings.iter().skip(1).position(|string| string == text);
        found.map_or_else(
            || {
                self.strings.push(text.to_owned());
                self.strings.len() - 1
            },
            |at| at + 1,
        )
    }

    fn node(&mut self, kind: &str, name: &str) -> usize {
        let name = self.string(name);
        let kind = KINDS.iter().position(|known| *known == kind).expect("a kind");
        self.nodes.push((kind, name, Vec::new()));
        self.nodes.len() - 1
    }

    fn edge(&mut self, from: usize, kind: &str, name: &str, to: usize) {
        let name = if matches!(kind, "element" | "hidden") {
            name.parse().expect("an index")
        } else {
            self.string(name)
        };
        let kind = EDGES.iter().position(|known| *known == kind).expect("a kind");
        self.nodes[from].2.push((kind, name, to));
    }

    fn json(&self) -> String {
        let nodes: Vec<String> = (self.nodes.iter().enumerate())
            .map(|(at, (kind, name, edges))| {
                format!("{kind},{name},{},16,{},0", at * 2 + 1, edges.len())
            })
            .collect();
        let edges: Vec<String> = (self.nodes.iter().flat_map(|node| &node.2))
            .map(|(kind, name, to)| format!("{kind},{name},{}", to * 6))
            .collect();
        let strings: Vec<String> =
            self.strings.iter().map(|text| Value::from(text.as_str()).to_string()).collect();
        format!(
            "{{\"snapshot\":{{\"meta\":{META},\"node_count\":{},\"edge_count\":{},\"trace_function_count\":0}},\n\"nodes\":[{}\n],\n\"edges\":[{}\n],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[0,1,2,3],\n\"strings\":[{}]}}",
            self.nodes.len(),
            edges.len(),
            nodes.join("\n,"),
            edges.join("\n,"),
            strings.join(",\n"),
        )
    }
}

fn options(key: &[u8]) -> Options {
    Options { key: Key::new(key), given_key: true, hide_paths: false }
}

fn redact(json: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Error> {
    let mut redactor = Redactor::new(options(b"a key for tests"));
    let mut out = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&json.len()]) {
        let cut = cut.clamp(start, json.len());
        redactor.push(&json[start..cut], &mut out)?;
        start = cut;
    }
    redactor.finish()?;
    Ok(out)
}

/// The names of nodes and edges that come out, in their order.
fn names(out: &[u8]) -> (Vec<String>, Vec<String>) {
    let file: Value = serde_json::from_slice(out).expect("JSON");
    let text = |at: &Value| {
        file["strings"][usize::try_from(at.as_u64().expect("an index")).expect("small")]
            .as_str()
            .expect("a string")
            .to_owned()
    };
    let numbers = |key: &str| file[key].as_array().expect("an array").clone();
    let nodes = numbers("nodes").chunks(6).map(|node| text(&node[1])).collect();
    let edges = numbers("edges")
        .chunks(3)
        .map(|edge| {
            match EDGES[usize::try_from(edge[0].as_u64().expect("a kind")).expect("small")] {
                "element" | "hidden" => edge[1].to_string(),
                _ => text(&edge[1]),
            }
        })
        .collect();
    (nodes, edges)
}

/// What one of each kind looks like when it comes out.
fn example() -> Made {
    let mut made = Made::default();
    let root = made.node("synthetic", "");
    let global = made.node("object", "global");
    let closure = made.node("closure", "handler");
    let shape = made.node("object shape", "system / DescriptorArray");
    let object = made.node("object", "Session");
    let dictionary = made.node("object", "Object");
    let key = made.node("string", "token");
    let text = made.node("string", "handler");
    let expression = made.node("regexp", "se[c]ret");
    let symbol = made.node("symbol", "symbol");
    let field = made.node("string", "#cache");
    made.node("code", "/srv/app/src/index.js");
    made.edge(root, "shortcut", "1", global);
    made.edge(global, "property", "sessions", dictionary);
    made.edge(closure, "context", "counter", object);
    made.edge(shape, "internal", "0", key);
    made.edge(object, "property", "token", text);
    made.edge(object, "property", "get token", closure);
    made.edge(object, "property", "#cache", expression);
    made.edge(dictionary, "property", "alice", text);
    made.edge(dictionary, "property", "get alice", text);
    made.edge(dictionary, "property", "handler", text);
    made.edge(dictionary, "element", "7", text);
    made.edge(symbol, "internal", "name", field);
    made.edge(
        object,
        "internal",
        "3 / part of key (Session @9) -> value (handler @15) pair in WeakMap (table @21)",
        text,
    );
    made
}

/// Since V8 14 the root leads to the native context that the global object is of.
#[test]
fn global_variables_keep_their_names_behind_a_native_context() {
    let mut made = Made::default();
    let root = made.node("synthetic", "");
    let context = made.node("hidden", "system / NativeContext");
    let scope = made.node("code", "system / ScopeInfo");
    let global = made.node("object", "global (global*)");
    let proxy = made.node("object", "global (global)");
    let data = made.node("object", "Object");
    made.edge(root, "shortcut", "2", context);
    made.edge(context, "internal", "scope_info", scope);
    made.edge(context, "internal", "global_object", global);
    made.edge(context, "internal", "global_proxy_object", proxy);
    made.edge(context, "internal", "embedder_data", data);
    made.edge(global, "property", "sessions", data);
    made.edge(data, "property", "alice", proxy);
    let (_, edges) = names(&redact(made.json().as_bytes(), &[]).expect("redacted"));
    assert_eq!(edges[5], "sessions");
    assert_ne!(edges[6], "alice");
}

#[test]
fn a_global_variable_keeps_its_name_when_objects_have_had_it() {
    let mut made = Made::default();
    let root = made.node("synthetic", "");
    let objects: [usize; 3] = std::array::from_fn(|_| made.node("object", "Object"));
    let global = made.node("object", "global");
    made.edge(root, "shortcut", "1", global);
    for owner in objects.into_iter().chain([global]) {
        made.edge(owner, "property", "alice", root);
    }
    // The last edge of a file has no comma behind it.
    made.edge(global, "element", "0", root);
    let json = made.json();
    let whole = redact(json.as_bytes(), &[]).expect("redacted");
    assert_eq!(names(&whole).1[1..5], ["alice"; 4]);
    let each: Vec<usize> = (0..json.len()).collect();
    assert_eq!(redact(json.as_bytes(), &each).expect("redacted"), whole);
}

#[test]
fn names_stay_and_texts_go() {
    let (nodes, edges) = names(&redact(example().json().as_bytes(), &[]).expect("redacted"));
    let kept: Vec<&str> = nodes.iter().map(String::as_str).take(6).collect();
    assert_eq!(kept, ["", "global", "handler", "system / DescriptorArray", "Session", "Object"]);
    assert_eq!(nodes[9], "symbol");
    assert_eq!(nodes[11], "/srv/app/src/index.js");
    for (at, text) in [(6, "token"), (7, "handler"), (8, "se[c]ret"), (10, "#cache")] {
        assert_ne!(nodes[at], text);
        assert_eq!(nodes[at].chars().count(), text.len());
    }
    assert_eq!(
        edges[..7],
        ["1", "sessions", "counter", "0", "token", "get token", "#cache"].map(String::from)
    );
    assert_eq!(
        edges[7],
        format!(
            "3 / part of key (Session @9) -> value ({} @15) pair in WeakMap (table @21)",
            nodes[7]
        )
    );
    assert_ne!(edges[8], "alice");
    assert_eq!(edges[8].chars().count(), 5);
    assert!(!edges[9].contains("alice") && !edges[9].contains("get"));
    // Code named a function so; that the dictionary has it for a key says nothing more.
    assert_eq!(edges[10..13], ["handler", "7", "name"].map(String::from));
}

#[test]
fn all_but_names_is_as_it_was() {
    let json = example().json();
    let before: Value = serde_json::from_str(&json).expect("JSON");
    let after: Value =
        serde_json::from_slice(&redact(json.as_bytes(), &[]).expect("redacted")).expect("JSON");
    assert_eq!(before["snapshot"]["meta"], after["snapshot"]["meta"]);
    assert_eq!(before["locations"], after["locations"]);
    assert_eq!(after["snapshot"]["redacted"]["by"], "heapdump-rs");
    for (key, stride, name) in [("nodes", 6, 1), ("edges", 3, 1)] {
        let numbers = |file: &Value| file[key].as_array().expect("numbers").clone();
        let (before, after) = (numbers(&before), numbers(&after));
        assert_eq!(before.len(), after.len());
        for at in (0..before.len()).filter(|at| at % stride != name) {
            assert_eq!(before[at], after[at], "{key} {at}");
        }
    }
}

#[test]
fn what_is_not_v8s_is_refused_and_nothing_of_it_is_put_out() {
    let json = example().json();
    let changed = |from: &str, to: &str| {
        assert!(json.contains(from), "{from}");
        redact(json.replacen(from, to, 1).as_bytes(), &[])
    };
    assert_eq!(redact(&json.as_bytes()[..json.len() - 1], &[]), Err(Error::Truncated));
    for (from, to) in [
        ("\"samples\":[]", "\"samples\":[\"secret\"]"),
        ("\"nodes\":", "\"nodez\":"),
        ("\"hidden\",\"shortcut\"", "\"hidden\",\"new\""),
        ("\"trace_tree\":[]", "\"trace_tree\":{}"),
        ("\"trace_tree\"", "\"nodes\""),
        ("\"name_or_index\"", "\"label\""),
    ] {
        assert!(matches!(changed(from, to), Err(Error::Malformed { .. })), "{from}");
    }
    let again = redact(json.as_bytes(), &[]).expect("redacted");
    assert_eq!(redact(&again, &[]), Err(Error::AlreadyRedacted));
    // A header may say more than V8's; it is left out.
    let more =
        changed("\"trace_function_count\":0", "\"trace_function_count\":0,\"title\":\"secret\"")
            .expect("redacted");
    assert!(!String::from_utf8(more).expect("text").contains("secret"));
}

/// Every text that one unit or two can make, and many longer ones: each has a pseudonym of its own, as long and as wide.
#[test]
fn no_two_texts_meet() {
    let mut made = Made::default();
    made.node("synthetic", "");
    let mut texts: Vec<String> =
        (1..=0x2ff_u32).filter_map(char::from_u32).map(String::from).collect();
    texts.extend(
        [
            "😀",
            "😁",
            "x😀",
            "привет",
            "привет мир",
            "日本語",
            "ab",
            "Ab",
            "a1",
            "a-",
            "é",
            "aé",
            "4111111111111111",
        ]
        .map(String::from),
    );
    texts.extend((0..3000).map(|n| format!("{n}")));
    texts.extend((0..3000).map(|n| format!("k{n}-")));
    texts.extend((0..500).map(|n| format!("a text that is longer, number {n}")));
    texts.extend((0..500).map(|n| format!("длинный текст, номер {n}")));
    texts.sort();
    texts.dedup();
    for text in &texts {
        made.strings.push(text.clone());
    }
    made.strings.clear();
    for text in &texts {
        if made.strings.is_empty() {
            made.string("");
        }
        made.strings.push(text.clone());
        made.nodes.push((2, made.strings.len() - 1, Vec::new()));
    }
    let (nodes, _) = names(&redact(made.json().as_bytes(), &[]).expect("redacted"));
    let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
    let mut seen = std::collections::HashMap::new();
    for (text, pseudonym) in texts.iter().zip(&nodes[1..]) {
        let (before, after) = (units(text), units(pseudonym));
        assert_eq!(before.len(), after.len(), "{text:?} {pseudonym:?}");
        let wide = |units: &[u16]| units.iter().any(|&unit| unit > 0xff);
        assert_eq!(wide(&before), wide(&after), "{text:?} {pseudonym:?}");
        assert_eq!(seen.insert(pseudonym.clone(), text), None, "{text:?} {pseudonym:?}");
        assert!(heapredact::family(pseudonym).is_none(), "{text:?} {pseudonym:?}");
    }
}

/// How long DevTools shows the name of a property (`JSHeapSnapshot.formatPropertyName`), which decides where it cuts off that of an
/// object, and so which objects make a class.
fn shown(name: &str) -> usize {
    let is_quoted = name.contains([',', '\'', '"', '{', '}']);
    let shown = if is_quoted { Value::from(name).to_string() } else { name.to_owned() };
    shown.encode_utf16().count()
}

/// Dictionaries have any text for a key.
#[test]
fn names_are_shown_as_long_as_they_were_and_do_not_meet() {
    let signs = ['a', 'Z', '7', '-', ' ', '<', '@', '\\', ',', '\'', '"', '{', '}', '\n', '\u{1}'];
    let signs = signs.into_iter().chain(['\u{7f}', 'é', 'ñ', 'Ω', '\u{2028}', '日', '😀']);
    let signs: Vec<String> = signs.map(String::from).collect();
    let mut names_of: Vec<String> = signs.clone();
    for first in &signs {
        for second in &signs {
            names_of.push(format!("{first}{second}"));
            names_of.extend(signs.iter().map(|third| format!("{first}{second}{third}")));
            for length in [3, 5, 11, 14, 15, 16, 20, 40] {
                names_of.push(format!("{}{first}k{second}", "x".repeat(length)));
                names_of.push(format!("{first}{}{second}\u{1}", "y".repeat(length)));
            }
        }
    }
    names_of.extend((0..20_000).map(|n| format!("user-{n}")));
    names_of.extend((0..2_000).map(|n| format!("{{\"user\":\"ann\",\"order\":{n}}}")));
    let mut made = Made::default();
    let dictionary = made.node("object", "Object");
    for name in &names_of {
        // None of them is there twice, and to look for that takes long.
        made.strings.push(name.clone());
        made.nodes[dictionary].2.push((2, made.strings.len() - 1, 0));
    }
    let (_, edges) = names(&redact(made.json().as_bytes(), &[]).expect("redacted"));
    let mut seen = std::collections::HashMap::new();
    for (name, pseudonym) in names_of.iter().zip(&edges) {
        assert_eq!(shown(name), shown(pseudonym), "{name:?} {pseudonym:?}");
        assert_eq!(name.encode_utf16().count(), pseudonym.encode_utf16().count(), "{name:?}");
        let wide = |name: &str| name.encode_utf16().any(|unit| unit > 0xff);
        assert_eq!(wide(name), wide(pseudonym), "{name:?} {pseudonym:?}");
        assert_eq!(seen.insert(pseudonym, name), None, "{name:?} {pseudonym:?}");
    }
}

/// What V8 writes at an edge of a `WeakMap` is one of a pair if it is one line: for DevTools, and so for us.
#[test]
fn a_pair_of_a_weak_map_stays_one_and_nothing_else_becomes_one() {
    let mut made = Made::default();
    let table = made.node("object", "WeakMap");
    let text = made.node("string", "a text");
    let name = |key: &str| {
        format!("5 / part of key ({key} @1) -> value (a text @3) pair in WeakMap (table @5)")
    };
    for key in ["Müller", "a\nb", "日\u{2028}", "é, ñ"] {
        made.edge(table, "internal", &name(key), text);
    }
    let (_, edges) = names(&redact(made.json().as_bytes(), &[]).expect("redacted"));
    let is_pair = |name: &String| {
        name.contains(" pair in WeakMap (table @5)")
            && !name.contains(['\n', '\r', '\u{2028}', '\u{2029}'])
    };
    assert_eq!(edges.iter().map(is_pair).collect::<Vec<_>>(), [true, false, false, true]);
}

#[test]
fn the_key_decides() {
    let json = example().json();
    let with = |key: &[u8]| {
        let mut redactor = Redactor::new(options(key));
        let mut out = Vec::new();
        redactor.push(json.as_bytes(), &mut out).expect("redacted");
        names(&out).0
    };
    assert_eq!(with(b"one key"), with(b"one key"));
    assert_ne!(with(b"one key")[6..9], with(b"another key")[6..9]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_give_the_same_bytes(cuts in prop::collection::vec(0_usize..6000, 0..40), texts in prop::collection::vec(any::<String>(), 0..6)) {
        let mut made = example();
        for text in &texts {
            made.node("string", text);
        }
        let json = made.json();
        let whole = redact(json.as_bytes(), &[]).expect("redacted");
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(&redact(json.as_bytes(), &cuts).expect("redacted"), &whole);
        let each: Vec<usize> = (0..json.len()).collect();
        prop_assert_eq!(&redact(json.as_bytes(), &each).expect("redacted"), &whole);
        // Since Node.js 24 V8 writes no line feeds.
        let bare = json.replace("\n,", ",").replace(",\n", ",");
        prop_assert_eq!(&redact(bare.as_bytes(), &[]).expect("redacted"), &whole);
    }

    #[test]
    fn bad_input_is_an_error_wherever_it_is_cut(at in 0_usize..6000, byte in any::<u8>(), cut in 0_usize..6000) {
        let mut json = example().json().into_bytes();
        let at = at % json.len();
        json[at] = byte;
        prop_assert_eq!(redact(&json, &[]), redact(&json, &[cut]));
    }
}
