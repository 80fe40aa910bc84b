//! The texts of a column in a row group, each once. Rows name them by keys, so no text is hashed or compared.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// The key of a row without a text.
pub(super) const NONE: u64 = u64::MAX;
/// The index of a row without a text.
pub(super) const ABSENT: u32 = u32::MAX;
/// The texts of a group, and one more: so much is in memory.
const MOST_BYTES: usize = 64 << 20;

pub(super) struct Texts<'a> {
    pub(super) keys: Box<dyn Fn(Range<usize>) -> Vec<u64> + 'a>,
    pub(super) text: Box<dyn Fn(u64) -> Cow<'a, str> + 'a>,
    /// Most keys are below.
    pub(super) dense: usize,
}

/// What the rows of a group have.
#[derive(Default)]
pub(super) struct Dictionary {
    /// Of each key below `dense`, its index; `ABSENT` for those that the group has not.
    indices: Vec<u32>,
    /// Of the others.
    sparse: HashMap<u64, u32>,
    keys: Vec<u64>,
    /// The texts with their lengths, as a dictionary page has them.
    pub(super) page: Vec<u8>,
    /// For each row.
    pub(super) rows: Vec<u32>,
}

impl Dictionary {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes rows until their texts are many; says how many.
    pub(super) fn fill(&mut self, texts: &Texts<'_>, rows: Range<usize>) -> usize {
        self.clear();
        self.indices.resize(texts.dense, ABSENT);
        for key in (texts.keys)(rows) {
            if self.page.len() > MOST_BYTES {
                break;
            }
            let index = if key == NONE { ABSENT } else { self.index(key, texts) };
            self.rows.push(index);
        }
        self.rows.len()
    }

    /// The least and the greatest text, where both are short.
    pub(super) fn bounds(&self) -> Option<(&[u8], &[u8])> {
        const LONGEST: usize = 64;
        let mut rest = self.page.as_slice();
        let texts = std::iter::from_fn(|| {
            let (length, after) = rest.split_first_chunk()?;
            let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(text)
        });
        let bounds = texts.fold(None, |bounds: Option<(&[u8], &[u8])>, text| match bounds {
            Some((least, greatest)) => Some((least.min(text), greatest.max(text))),
            None => Some((text, text)),
        });
        bounds.filter(|(least, greatest)| least.len() <= LONGEST && greatest.len() <= LONGEST)
    }

    fn index(&mut self, key: u64, texts: &Texts<'_>) -> u32 {
        let next = u32::try_from(self.keys.len()).unwrap_or(ABSENT);
        let place = usize::try_from(key).ok().and_then(|key| self.indices.get_mut(key));
        let place = match place {
            Some(place) => place,
            None => self.sparse.entry(key).or_insert(ABSENT),
        };
        if *place == ABSENT {
            *place = next;
            self.keys.push(key);
            let text = (texts.text)(key);
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            self.page.extend_from_slice(&length.to_le_bytes());
            self.page.extend_from_slice(text.as_bytes());
            return next;
        }
        *place
    }

    fn clear(&mut self) {
        for key in self.keys.drain(..) {
            if let Some(place) = usize::try_from(key).ok().and_then(|key| self.indices.get_mut(key))
            {
                *place = ABSENT;
            }
        }
        self.sparse.clear();
        self.page.clear();
        self.rows.clear();
    }
}
