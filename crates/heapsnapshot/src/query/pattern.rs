//! What a text must be: itself, or what a regular expression finds.

use regex_lite::{Regex, RegexBuilder};

/// A pattern for names: a text that is meant exactly, or `/expression/` with the flag `i` for any case.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Is(String),
    Contains(String),
    Matches(Regex),
}

impl Pattern {
    /// A text as it is.
    #[must_use]
    pub fn is(text: &str) -> Self {
        Pattern(Kind::Is(text.to_owned()))
    }

    /// A text with this in it.
    #[must_use]
    pub fn contains(text: &str) -> Self {
        Pattern(Kind::Contains(text.to_owned()))
    }

    /// What a regular expression finds, with flags as in JavaScript.
    ///
    /// # Errors
    /// When it is none, or the flags are others than `i`.
    pub fn matches(expression: &str, flags: &str) -> Result<Self, String> {
        if let Some(flag) = flags.chars().find(|&flag| flag != 'i') {
            return Err(format!("there is no flag '{flag}': only i, for any case"));
        }
        let built = RegexBuilder::new(expression).case_insensitive(flags.contains('i')).build();
        built
            .map(|regex| Pattern(Kind::Matches(regex)))
            .map_err(|error| format!("/{expression}/ is no regular expression: {error}"))
    }

    /// What must be in a text that fits, if it is only that.
    pub(super) fn literal(&self) -> Option<&str> {
        match &self.0 {
            Kind::Is(text) | Kind::Contains(text) => Some(text),
            Kind::Matches(_) => None,
        }
    }

    /// Whether a text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Is(wanted) => text == wanted,
            Kind::Contains(part) => text.contains(part.as_str()),
            Kind::Matches(regex) => regex.is_match(text),
        }
    }
}

impl std::str::FromStr for Pattern {
    type Err = String;

    /// `/Sess/i`, or a name.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
            Some((expression, flags)) => Pattern::matches(expression, flags),
            None => Ok(Pattern::is(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn names_and_expressions() {
        let fits = |pattern: &str, text: &str| pattern.parse::<Pattern>().unwrap().fits(text);
        assert!(fits("Session", "Session") && !fits("Session", "Sessions"));
        assert!(fits("/^Sess/", "Sessions") && !fits("/^sess/", "Sessions"));
        assert!(fits("/^sess/i", "Sessions") && fits("/", "/"));
        assert!("/(/".parse::<Pattern>().unwrap_err().starts_with("/(/ is no regular expression"));
        let flag = "/a/g".parse::<Pattern>().unwrap_err();
        assert_eq!(flag, "there is no flag 'g': only i, for any case");
    }
}
