//! Names that nobody chose: `heapdump-<ms>.<ns>.heapsnapshot`, as node-heapdump makes them, or what a pattern says.

use crate::process;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const EXTENSION: &str = ".heapsnapshot";
/// Of heap images.
pub(crate) const IMAGE_EXTENSION: &str = ".heapimage";

/// `heapdump-%lu.%lu` of the clock's whole milliseconds and nanoseconds modulo 10⁶ (node-heapdump's `heapdump.cc`), what
/// stands before the extension.
pub(crate) fn default_stem(clock: Duration) -> String {
    let nanoseconds = clock.as_nanos();
    format!("heapdump-{}.{}", nanoseconds / 1_000_000, nanoseconds % 1_000_000)
}

/// What an image is called where a snapshot would be `name`, as `lib/names.js` knows it too.
pub(crate) fn image_name(name: &Path) -> PathBuf {
    let bytes = name.as_os_str().as_encoded_bytes();
    if bytes.ends_with(IMAGE_EXTENSION.as_bytes()) {
        return name.to_owned();
    }
    // Otherwise a file called `.heapsnapshot` alone would lose its name.
    if bytes.ends_with(EXTENSION.as_bytes()) && name.extension().is_some() {
        return name.with_extension(IMAGE_EXTENSION.trim_start_matches('.'));
    }
    let mut name = name.as_os_str().to_owned();
    name.push(IMAGE_EXTENSION);
    name.into()
}

/// A pattern for names, `{host}-{pid}` for instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Value),
}

/// What a name may tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Pid,
    Host,
    Thread,
    Time,
    Reason,
    Title,
}

const VALUES: [(&str, Value); 6] = [
    ("pid", Value::Pid),
    ("host", Value::Host),
    ("thread", Value::Thread),
    ("time", Value::Time),
    ("reason", Value::Reason),
    ("title", Value::Title),
];

/// Bytes of a name without its extension: room for `.heapsnapshot.zst`, a number, and the names of temporary files.
const LONGEST: usize = 190;
/// Bytes of a host or a title.
const LONGEST_VALUE: usize = 64;

/// Besides slashes ("Naming Files, Paths, and Namespaces" of Windows); what is behind a colon is a stream of the file before it.
const NOT_IN_WINDOWS: [char; 7] = [':', '*', '?', '"', '<', '>', '|'];

impl NamePattern {
    /// Reads `text`; otherwise says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<NamePattern, String> {
        NamePattern::parse_for(text, cfg!(windows))
    }

    fn parse_for(text: &str, windows: bool) -> Result<NamePattern, String> {
        let without = |extension| text.strip_suffix(extension);
        let stem = without(EXTENSION).or(without(IMAGE_EXTENSION)).unwrap_or(text);
        if stem.is_empty() || stem.len() > LONGEST {
            return Err(format!("a name has 1 to {LONGEST} bytes"));
        }
        let wrong = |c: char| c.is_control() || matches!(c, '/' | '\\');
        let has_extension = stem.contains(EXTENSION) || stem.contains(IMAGE_EXTENSION);
        if stem.starts_with('.') || stem.contains(wrong) || has_extension {
            return Err(format!(
                "a name is one file's: no slash, no control character, no dot in front, no {EXTENSION} but at the end, \
                 nor {IMAGE_EXTENSION}"
            ));
        }
        if windows && stem.contains(NOT_IN_WINDOWS) {
            let characters = NOT_IN_WINDOWS.map(String::from).join(" ");
            return Err(format!("in Windows a file's name has none of {characters}"));
        }
        let mut parts = Vec::new();
        let mut rest = stem;
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, from) = rest.split_at(brace);
            let word = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let known = word.and_then(|(word, after)| {
                VALUES.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value, after))
            });
            let Some((value, after)) = known else {
                let allowed = VALUES.map(|(name, _)| format!("{{{name}}}")).join(" ");
                return Err(format!("between braces there may be {allowed}"));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(Part::Value(value));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(NamePattern { text: text.to_owned(), parts })
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What each name of it begins with.
    pub(crate) fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The name of a snapshot that is taken now, without its extension.
    pub(crate) fn expand(&self, reason: &str, thread: u32) -> String {
        let mut stem = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => stem.push_str(text),
                Part::Value(value) => stem.push_str(&value.now(reason, thread)),
            }
        }
        // The end of the name proper: the JSON beside it is found by it.
        let mut stem =
            stem.replace(EXTENSION, "-heapsnapshot").replace(IMAGE_EXTENSION, "-heapimage");
        cut(&mut stem, LONGEST);
        stem
    }
}

impl Value {
    fn now(self, reason: &str, thread: u32) -> String {
        match self {
            Value::Pid => std::process::id().to_string(),
            Value::Host => safe(&process::host_name().unwrap_or_default()),
            Value::Thread => thread.to_string(),
            Value::Time => chrono::Utc::now().format("%Y%m%dT%H%M%S%3fZ").to_string(),
            Value::Reason => reason.to_owned(),
            Value::Title => {
                let title = process::title().unwrap_or_default();
                // As it is until somebody sets it: the path of Node.js.
                let short = title.strip_prefix('/').and_then(|path| path.rsplit('/').next());
                safe(short.unwrap_or(&title))
            }
        }
    }
}

/// `stem`, then `stem-2`, …
pub(crate) fn numbered(stem: &str) -> impl Iterator<Item = String> {
    let first = std::iter::once(stem.to_owned());
    first.chain((2..100_000).map(move |number| format!("{stem}-{number}")))
}

/// A part of a file's name, whatever somebody called a machine or a process.
fn safe(value: &str) -> String {
    let mut text: String = value
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .collect();
    cut(&mut text, LONGEST_VALUE);
    if text.is_empty() || text.starts_with('.') {
        text.replace_range(..text.len().min(1), "_");
    }
    text
}

/// `text` as far as so many bytes, at a character's end.
fn cut(text: &mut String, most: usize) {
    while text.len() > most {
        text.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        NamePattern::parse(text).expect("a pattern").expand("rss", 3)
    }

    #[test]
    fn values_stand_for_their_placeholders() {
        let pid = std::process::id();
        assert_eq!(expand("a-{pid}.{thread}-{reason}"), format!("a-{pid}.3-rss"));
        assert_eq!(expand("plain.heapsnapshot"), "plain");
        assert_eq!(expand("plain.heapimage"), "plain");
        let time = expand("{time}");
        assert!(time.len() == "20261126T205841123Z".len() && time.ends_with('Z'), "{time}");
        assert!(!expand("{host}").is_empty() && !expand("{title}").contains('/'));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("{hots}", "{pid} {host} {thread} {time} {reason} {title}"),
            ("a{", "between braces"),
            ("a}", "between braces"),
            ("", "1 to 190 bytes"),
            (".heapsnapshot", "1 to 190 bytes"),
            ("../a", "no slash"),
            (".a", "no dot in front"),
            ("a.heapsnapshot.gz", "no .heapsnapshot but at the end"),
            ("a.heapimage.zst", "nor .heapimage"),
        ] {
            let said = NamePattern::parse(text).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
        assert!(NamePattern::parse(&"x".repeat(191)).is_err());
    }

    #[test]
    fn what_windows_does_not_allow_is_said_there_alone() {
        for character in NOT_IN_WINDOWS {
            let text = format!("a{character}{{pid}}");
            let said = NamePattern::parse_for(&text, true).expect_err(&text);
            assert_eq!(said, "in Windows a file's name has none of : * ? \" < > |");
            assert!(NamePattern::parse_for(&text, false).is_ok());
        }
        assert!(NamePattern::parse_for("{host}-{pid} (1)", true).is_ok());
        for value in VALUES.map(|(_, value)| value.now("call", 0)) {
            assert!(!value.contains(NOT_IN_WINDOWS), "{value}");
        }
    }

    #[test]
    fn values_are_made_safe_and_short() {
        assert_eq!(safe("api: GET /x\u{0}"), "api__GET__x_");
        assert_eq!((safe(""), safe(".."), safe("é")), ("_".into(), "_.".into(), "é".into()));
        assert!(safe(&"ä".repeat(100)).len() <= LONGEST_VALUE);
    }

    #[test]
    fn equal_names_are_numbered() {
        let names: Vec<_> = numbered("a").take(2).collect();
        assert_eq!(names, ["a", "a-2"]);
    }

    #[test]
    fn is_milliseconds_and_the_rest() {
        assert_eq!(default_stem(Duration::new(12, 345_678_901)), "heapdump-12345.678901");
    }

    #[test]
    fn the_rest_is_not_padded() {
        assert_eq!(default_stem(Duration::new(1, 42)), "heapdump-1000.42");
    }

    #[test]
    fn an_image_is_never_called_a_snapshot() {
        for (name, image) in [
            ("/d/a.heapsnapshot", "/d/a.heapimage"),
            ("a.b.heapsnapshot", "a.b.heapimage"),
            ("/d/a.heapimage", "/d/a.heapimage"),
            ("evidence", "evidence.heapimage"),
            ("a.heapsnapshot.gz", "a.heapsnapshot.gz.heapimage"),
            ("/d/.heapsnapshot", "/d/.heapsnapshot.heapimage"),
        ] {
            assert_eq!(image_name(Path::new(name)), Path::new(image), "{name}");
        }
    }
}
