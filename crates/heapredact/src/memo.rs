//! Names that come again and again.

use crate::Error;
use crate::digits::Digits;

/// What became of strings' numbers: most edges have one of few names.
#[derive(Default)]
pub(crate) struct Memo {
    entries: Vec<(u64, Digits)>,
}

const MEMO: usize = 1024;

impl Memo {
    /// Makes its entries, empty at first: no key has all bits.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        if self.entries.is_empty() {
            self.entries.try_reserve_exact(MEMO).map_err(|_| Error::Memory)?;
            self.entries.resize(MEMO, (u64::MAX, Digits { word: 0, carry: 0 }));
        }
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn entry(&mut self, key: u64) -> Option<&mut (u64, Digits)> {
        // 2^64 by the golden ratio: the upper bits are of all digits.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - MEMO.ilog2());
        self.entries.get_mut(usize::try_from(hash).unwrap_or(0))
    }
}
