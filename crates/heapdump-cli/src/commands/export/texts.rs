//! Keys for texts that a snapshot has not numbered.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

/// A few texts of the program's, in the order in which they come.
#[derive(Default)]
pub(super) struct Kinds<'a>(RefCell<Vec<&'a str>>);

impl<'a> Kinds<'a> {
    pub(super) fn key(&self, text: &'a str) -> u64 {
        let mut texts = self.0.borrow_mut();
        // The same text is at the same place.
        let known = texts.iter().position(|other| std::ptr::eq(*other, text));
        let key = known.unwrap_or_else(|| {
            texts.push(text);
            texts.len() - 1
        });
        key as u64
    }

    pub(super) fn text(&self, key: u64) -> Cow<'a, str> {
        let at = usize::try_from(key).unwrap_or(usize::MAX);
        Cow::Borrowed(self.0.borrow().get(at).copied().unwrap_or(""))
    }
}

/// Texts of which several are the same.
pub(super) struct Distinct {
    keys: Vec<u64>,
    texts: Vec<String>,
}

impl Distinct {
    pub(super) fn new(all: impl Iterator<Item = String>) -> Self {
        let mut known = HashMap::new();
        let mut texts = Vec::new();
        let keys = all.map(|text| {
            *known.entry(text).or_insert_with_key(|text| {
                texts.push(text.clone());
                texts.len() as u64 - 1
            })
        });
        Distinct { keys: keys.collect(), texts }
    }

    pub(super) fn key(&self, at: usize) -> u64 {
        self.keys.get(at).copied().unwrap_or(u64::from(u32::MAX))
    }

    pub(super) fn text<'a>(&self, key: u64) -> Cow<'a, str> {
        at(&self.texts, key).to_owned().into()
    }
}

/// A text by its key; of one that is not there, none.
pub(super) fn at(texts: &[String], key: u64) -> &str {
    texts.get(usize::try_from(key).unwrap_or(usize::MAX)).map_or("", String::as_str)
}
