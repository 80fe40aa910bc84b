//! What is left in a snapshot that looks like a secret.

use crate::secrets::{Family, family};
use std::collections::BTreeMap;

/// Counts what it is shown, by family.
#[derive(Default)]
pub struct Audit {
    found: BTreeMap<(Family, &'static str), Finding>,
    looked_at: u64,
}

/// What was found of one family in one place.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How many different strings.
    pub strings: u64,
    /// How many of their UTF-16 units there are.
    pub units: u64,
    /// The first few, of which only the beginning is shown.
    pub samples: Vec<String>,
}

const SAMPLES: usize = 3;

impl Audit {
    /// Nothing looked at.
    #[must_use]
    pub fn new() -> Audit {
        Audit::default()
    }

    /// Looks at one string, which the file has in this place (`text`, `name`).
    pub fn look(&mut self, text: &str, place: &'static str) {
        self.looked_at += 1;
        let Some(family) = family(&without_numbers(text)) else { return };
        let finding = self.found.entry((family, place)).or_default();
        finding.strings += 1;
        finding.units += text.encode_utf16().count() as u64;
        if finding.samples.len() < SAMPLES {
            finding.samples.push(masked(text));
        }
    }

    /// What was found, by family and place.
    pub fn findings(&self) -> impl Iterator<Item = (Family, &'static str, &Finding)> {
        self.found.iter().map(|((family, place), finding)| (*family, *place, finding))
    }

    /// How many strings looked like a secret.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.found.values().map(|finding| finding.strings).sum()
    }

    /// How many strings it was shown.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        self.looked_at
    }
}

/// Ids (`@123456789`), which V8 has in names, and the numbers of elements say nothing.
fn without_numbers(text: &str) -> String {
    if text.len() <= 10
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok()
    {
        return String::new();
    }
    if !text.contains(" @") || !(text.starts_with("system / ") || text.contains("part of key (")) {
        return text.to_owned();
    }
    let mut pieces = text.split(" @");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown.push(' ');
        shown.push_str(piece.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    shown
}

/// Two characters and the length.
fn masked(text: &str) -> String {
    let shown: String = text.chars().take(2).filter(|c| !c.is_control()).collect();
    format!("{shown}… ({} units)", text.encode_utf16().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_more_than_it_must() {
        let mut audit = Audit::new();
        for text in [
            "ann@example.org",
            "bob@example.org",
            "hello",
            "system / Context / scope @1234567890123",
        ] {
            audit.look(text, "text");
        }
        let findings: Vec<_> = audit.findings().collect();
        assert_eq!(findings.len(), 1);
        let (family, place, finding) = findings[0];
        assert_eq!((family, place, finding.strings, finding.units), (Family::Mail, "text", 2, 30));
        assert_eq!(finding.samples, ["an… (15 units)", "bo… (15 units)"]);
        assert_eq!((audit.total(), audit.looked_at()), (2, 4));
    }
}
