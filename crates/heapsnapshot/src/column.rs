//! A column of numbers that nearly always fit in 32 bits.

use std::collections::BTreeMap;

use crate::load::input::{reserve, reserve_exact};
use crate::{Result, word};

/// Four bytes a value; the few that do not fit are kept aside.
#[derive(Debug, Default)]
pub(crate) struct Column {
    small: Vec<u32>,
    large: BTreeMap<u32, u64>,
}

const IS_LARGE: u32 = u32::MAX;

impl Column {
    #[inline]
    pub(crate) fn get(&self, index: usize) -> u64 {
        match self.small.get(index) {
            Some(&IS_LARGE) => self.get_large(index),
            Some(&value) => u64::from(value),
            None => 0,
        }
    }

    /// Which of sixty-four values are not 0.
    #[inline]
    pub(crate) fn some(&self, first: u32) -> u64 {
        word::column(&self.small, first, |value| value != 0)
    }

    #[inline]
    pub(crate) fn push(&mut self, value: u64) {
        match u32::try_from(value) {
            Ok(small) if small != IS_LARGE => self.small.push(small),
            _ => {
                if let Ok(index) = u32::try_from(self.small.len()) {
                    self.large.insert(index, value);
                }
                self.small.push(IS_LARGE);
            }
        }
    }

    /// Appends values that all fit.
    pub(crate) fn extend_small(&mut self, values: impl Iterator<Item = u32>) {
        self.small.extend(values);
    }

    pub(crate) fn set(&mut self, index: u32, value: u64) {
        let Some(slot) = self.small.get_mut(index as usize) else { return };
        if *slot == IS_LARGE {
            self.large.remove(&index);
        }
        match u32::try_from(value) {
            Ok(small) if small != IS_LARGE => *slot = small,
            _ => {
                *slot = IS_LARGE;
                self.large.insert(index, value);
            }
        }
    }

    pub(crate) fn reserve_exact(&mut self, count: usize, what: &'static str) -> Result<()> {
        reserve_exact(&mut self.small, count, what)
    }

    pub(crate) fn reserve(&mut self, more: usize, what: &'static str) -> Result<()> {
        reserve(&mut self.small, more, what)
    }

    #[cold]
    fn get_large(&self, index: usize) -> u64 {
        u32::try_from(index).ok().and_then(|index| self.large.get(&index)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_large_values_exactly() {
        let mut column = Column::default();
        for value in [0, 7, u64::from(u32::MAX) - 1, u64::from(u32::MAX), 1 << 40] {
            column.push(value);
        }
        assert_eq!(column.get(2), u64::from(u32::MAX) - 1);
        assert_eq!(column.get(3), u64::from(u32::MAX));
        assert_eq!(column.get(4), 1 << 40);
        column.set(4, 5);
        column.set(0, 1 << 33);
        assert_eq!((column.get(4), column.get(0), column.get(9)), (5, 1 << 33, 0));
        column.set(1, 0);
        assert_eq!(column.some(0), 0b11101);
    }
}
