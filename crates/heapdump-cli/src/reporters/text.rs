//! Answers for people.

use std::borrow::Cow;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::error::Result;
use crate::report::ObjectRef;

pub(crate) const TITLE: Style = Style::new().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();

/// A name that does not end is cut after so many characters.
const NAME_LIMIT: usize = 80;

/// A table whose first column is text; the others are numbers.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

pub(crate) fn title(out: &mut dyn Write, text: &str) -> Result<()> {
    writeln!(out, "{TITLE}{text}{TITLE:#}")?;
    Ok(())
}

pub(crate) fn warning(out: &mut dyn Write, text: &str) -> Result<()> {
    writeln!(out, "{WARNING}{text}{WARNING:#}")?;
    Ok(())
}

/// An object by its name, if it has one, and its id.
pub(crate) fn object(object: &ObjectRef) -> String {
    match (object.name.as_str(), object.kind.as_str()) {
        ("", "synthetic") => format!("(root) @{}", object.id),
        ("", _) => format!("@{}", object.id),
        (name, _) => format!("{} @{}", self::name(name), object.id),
    }
}

/// A heap's string on a terminal: no control characters, and not too long.
pub(crate) fn name(text: &str) -> String {
    let text = escape(text);
    match text.char_indices().nth(NAME_LIMIT) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.into_owned(),
    }
}

/// Escapes what would move a terminal's cursor, change its colours, or the order of its characters.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let dangerous = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if dangerous(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// A size as DevTools writes it: 1 kB is 1000 bytes.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A change of a size, with its sign.
pub(crate) fn size_delta(bytes: i64) -> String {
    match bytes {
        0 => "0 B".to_owned(),
        1.. => format!("+{}", size(bytes.unsigned_abs())),
        _ => format!("-{}", size(bytes.unsigned_abs())),
    }
}

/// A number with its thousands apart.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn number_delta(value: i64) -> String {
    let sign = if value > 0 {
        "+"
    } else if value < 0 {
        "-"
    } else {
        ""
    };
    format!("{sign}{}", number(value.unsigned_abs()))
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.1}%", 100.0 * part as f64 / whole.max(1) as f64)
}

pub(crate) fn distance(value: Option<u32>) -> String {
    match value {
        Some(far @ 100_000_000..) => format!("system+{}", far - 100_000_000),
        Some(near) => near.to_string(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1000), "1.0 kB");
        assert_eq!(size(999_999), "1.0 MB");
        assert_eq!(size(5_400_000_000), "5.4 GB");
        assert_eq!(size_delta(-1500), "-1.5 kB");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number_delta(-12), "-12");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_controls_it() {
        assert_eq!(escape("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        assert_eq!(escape("\u{202e}x"), "\\u{202e}x");
        assert_eq!(escape("plain é"), "plain é");
    }
}
