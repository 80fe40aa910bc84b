//! What a file is, from its first bytes alone and never from its name.

use memchr::memmem;

use crate::ForeignFile;

/// How much of a file is looked at.
pub(super) const HEAD: usize = 64 << 10;
/// How much of what a file says of itself is repeated in an error.
const SAID: usize = 100;
/// The most keys of a JSON object that are looked at.
const KEYS: usize = 64;

/// Where to begin to read.
pub(super) enum Beginning {
    /// A snapshot.
    Snapshot,
    /// Perhaps a snapshot, whose parts are in another order or which `skip` bytes come before; if it
    /// cannot be read, it is the other.
    Doubtful { skip: usize, otherwise: (ForeignFile, String) },
    /// Surely something else, and what it says of itself.
    Foreign(ForeignFile, String),
}

/// Looks at the first bytes of a file; `all` says that there are no others.
pub(super) fn beginning(head: &[u8], all: bool) -> Beginning {
    let text = trim(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
    if starts_as_snapshot(text) {
        return Beginning::Snapshot;
    }
    // DevTools finds a snapshot behind anything: a log's line, curl's headers, a protocol's answer.
    let embedded = embedded(head);
    match certain(head, text, all, embedded.is_some()) {
        Some((found, said)) => Beginning::Foreign(found, said),
        None => Beginning::Doubtful { skip: embedded.unwrap_or(0), otherwise: otherwise(text) },
    }
}

/// What a file is that cannot be read as a snapshot.
fn otherwise(text: &[u8]) -> (ForeignFile, String) {
    match text.first() {
        Some(b'{' | b'[') => {
            let text = text.get(..text.len().min(1 << 10)).unwrap_or_default();
            let keys: Vec<&str> =
                keys(text).into_iter().filter(|k| k.0 == 1).map(|k| k.1).collect();
            let said =
                if keys.is_empty() { String::new() } else { format!("keys {}", keys.join(", ")) };
            (ForeignFile::Json, said_of(said.as_bytes()))
        }
        _ if is_text(text) => (ForeignFile::Text, first_line(text)),
        _ => (ForeignFile::Binary, String::new()),
    }
}

fn starts_as_snapshot(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"{") else { return false };
    let rest = trim(rest);
    rest.starts_with(b"\"snapshot\"") || b"\"snapshot\"".starts_with(rest)
}

fn certain(head: &[u8], text: &[u8], all: bool, embedded: bool) -> Option<(ForeignFile, String)> {
    let plain = |found| Some((found, String::new()));
    let enough = all || head.len() >= HEAD;
    if head.is_empty() && enough {
        return plain(ForeignFile::Empty);
    }
    if enough && head.iter().all(|byte| matches!(byte, 0 | b' ' | b'\n' | b'\r' | b'\t')) {
        return plain(ForeignFile::Blank);
    }
    by_magic(head).or_else(|| by_text(text, all && !embedded))
}

/// By the numbers that binary formats begin with.
fn by_magic(head: &[u8]) -> Option<(ForeignFile, String)> {
    let plain = |found| Some((found, String::new()));
    let half = |at: usize, little: bool| {
        let bytes: [u8; 2] = head.get(at..at + 2)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => {
            plain(ForeignFile::Utf16)
        }
        [b'P', b'K', 3, 4, ..] => {
            let length = usize::from(half(26, true).unwrap_or(0));
            Some((ForeignFile::Zip, entry(head.get(30..(30 + length).min(head.len())))))
        }
        [b'P', b'K', 5, 6, ..] => plain(ForeignFile::Zip),
        // The type of an ELF file: 4 is a core.
        [0x7f, b'E', b'L', b'F', _, order, ..] => plain(match half(16, *order != 2) {
            Some(4) => ForeignFile::CoreDump,
            _ => ForeignFile::Program,
        }),
        // Mach-O of 64 bits, whose core files have the type 4.
        [0xcf, 0xfa, 0xed, 0xfe, ..] => plain(match half(12, true) {
            Some(4) => ForeignFile::CoreDump,
            _ => ForeignFile::Program,
        }),
        [b'H', b'E', b'A', b'P', b'I', b'M', b'G', 0, ..] => plain(ForeignFile::HeapImage),
        [b'M', b'D', b'M', b'P', ..] => plain(ForeignFile::CoreDump),
        [b'M', b'Z', ..] => plain(ForeignFile::Program),
        [0x1f, 0x8b, ..] => compressed("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => compressed("xz"),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => compressed("7z"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => compressed("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] => compressed("lz4"),
        _ if head.starts_with(b"JAVA PROFILE ") => plain(ForeignFile::JavaHeap),
        // POSIX tar: the magic stands behind the first entry's name and mode.
        _ if head.get(257..262) == Some(b"ustar") => {
            Some((ForeignFile::Tar, entry(head.get(..100))))
        }
        _ => None,
    }
}

fn compressed(with: &str) -> Option<(ForeignFile, String)> {
    Some((ForeignFile::Compressed, with.to_owned()))
}

/// The name of an archive's first entry.
fn entry(name: Option<&[u8]>) -> String {
    let name = name.unwrap_or_default();
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    said_of(&name[..end])
}

fn by_text(text: &[u8], all: bool) -> Option<(ForeignFile, String)> {
    if text.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Some((ForeignFile::GitLfsPointer, String::new()));
    }
    if text.starts_with(b"eyJzbmFwc2hvdCI6") || text.starts_with(b"H4sI") {
        return Some((ForeignFile::Base64, String::new()));
    }
    match text.first()? {
        b'<' => Some(markup(text)),
        b'{' | b'[' => json(text, all),
        _ => None,
    }
}

fn markup(text: &[u8]) -> (ForeignFile, String) {
    let start = text.get(..text.len().min(1 << 10)).unwrap_or_default().to_ascii_lowercase();
    let html = [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<title"];
    if html.iter().any(|tag| memmem::find(&start, tag).is_some()) {
        return (ForeignFile::WebPage, within(text, b"<title", b"</title>"));
    }
    // S3, Google Cloud Storage and Azure answer `<Error><Code>…</Code><Message>…</Message>`.
    let said = [within(text, b"<Code", b"</Code>"), within(text, b"<Message", b"</Message>")];
    let said: Vec<String> = said.into_iter().filter(|part| !part.is_empty()).collect();
    (ForeignFile::Xml, said.join(": "))
}

/// What stands within the first element of a name.
fn within(text: &[u8], open: &[u8], close: &[u8]) -> String {
    let find = || {
        let from = memmem::find(text, open)? + open.len();
        let from = from + text.get(from..)?.iter().position(|&byte| byte == b'>')? + 1;
        let end = memmem::find(text.get(from..)?, close)?;
        text.get(from..from + end)
    };
    find().map(said_of).unwrap_or_default()
}

fn json(text: &[u8], all: bool) -> Option<(ForeignFile, String)> {
    let keys = keys(text);
    let top = |name: &str| keys.iter().any(|&(depth, key)| depth == 1 && key == name);
    let any = |name: &str| keys.iter().any(|&(_, key)| key == name);
    let plain = |found| Some((found, String::new()));
    if top("snapshot") {
        return None;
    }
    // V8's profiles, by Chrome's protocol: HeapProfiler.SamplingHeapProfile and Profiler.Profile, of
    // which old ones had a tree in `head`.
    if top("head") && any("functionName") {
        return plain(match any("hitCount") || any("callUID") {
            true => ForeignFile::CpuProfile,
            false => ForeignFile::SamplingProfile,
        });
    }
    if top("nodes") && any("callFrame") {
        return plain(ForeignFile::CpuProfile);
    }
    // JSC::HeapSnapshotBuilder::json: `version`, `type` ("Inspector" or "GCDebugging") and `nodes`.
    let start = text.get(..text.len().min(256)).unwrap_or_default();
    let of_jsc = [&b"\"Inspector\""[..], b"\"GCDebugging\""];
    let named = top("type") && of_jsc.iter().any(|name| memmem::find(start, name).is_some());
    if named || top("nodeClassNames") || (top("edgeNames") && top("edgeTypes")) {
        return plain(ForeignFile::JscSnapshot);
    }
    if top("traceEvents") || (text.starts_with(b"[") && any("ph") && any("ts") && any("pid")) {
        return plain(ForeignFile::Trace);
    }
    if top("header") && any("reportVersion") {
        return plain(ForeignFile::DiagnosticReport);
    }
    // A short answer. A snapshot's own parts may stand in any order, and are none of these.
    let parts = ["nodes", "edges", "strings"];
    if !all || parts.iter().any(|part| top(part)) {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let said =
        ["message", "Message", "error_description", "error", "detail", "title", "fault", "errors"]
            .iter()
            .find_map(|&key| value.get(key))?;
    let said = said.get("message").unwrap_or(said);
    let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
    Some((ForeignFile::JsonError, said_of(said.as_bytes())))
}

/// The first keys of a JSON text, with how deep each stands. Only for a look: it need not be whole.
fn keys(text: &[u8]) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut at) = (0usize, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let from = at;
                while text.get(at).is_some_and(|&byte| byte != b'"') {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                let key = text.get(from..at).and_then(|key| std::str::from_utf8(key).ok());
                at += 1;
                if trim(text.get(at..).unwrap_or_default()).starts_with(b":")
                    && let Some(key) = key
                    && (depth == 1 || found.len() < KEYS)
                {
                    found.push((depth, key));
                }
            }
            _ => {}
        }
    }
    found
}

/// Where a snapshot begins that something else comes before.
fn embedded(head: &[u8]) -> Option<usize> {
    memmem::find_iter(head, b"\"snapshot\"").find_map(|at| {
        let before = head.get(..at)?.trim_ascii_end();
        (before.last() == Some(&b'{') && before.len() > 1).then(|| before.len() - 1)
    })
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_start()
}

fn is_text(bytes: &[u8]) -> bool {
    let look = bytes.get(..bytes.len().min(1 << 10)).unwrap_or_default();
    let whole = match std::str::from_utf8(look) {
        Ok(_) => true,
        // The last character may be cut.
        Err(error) => error.error_len().is_none(),
    };
    whole && !look.iter().any(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127))
}

fn first_line(text: &[u8]) -> String {
    said_of(text.split(|&byte| byte == b'\n').next().unwrap_or_default())
}

/// A few words of a file, fit for a terminal.
fn said_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(4 * SAID)).unwrap_or_default());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean = |c: &char| !c.is_control();
    let mut short: String = words.chars().filter(clean).take(SAID).collect();
    if words.chars().filter(clean).nth(SAID).is_some() || bytes.len() > 4 * SAID {
        short.push('…');
    }
    short
}
