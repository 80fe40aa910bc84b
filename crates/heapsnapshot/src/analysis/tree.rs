//! Lists of what leads to a node, and of what a node dominates, as compressed rows.

use std::ops::Range;

/// For each of many things, a list of numbers.
#[derive(Debug)]
pub(crate) struct Rows {
    firsts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    /// The rows of `count` things: the item `i` belongs to the row `row(i)`, if any. Each row is in
    /// ascending order.
    pub(crate) fn collect(count: usize, items: u32, row: impl Fn(u32) -> Option<u32>) -> Self {
        let mut firsts = vec![0u32; count + 1];
        let mut total = 0;
        for row in (0..items).filter_map(&row) {
            firsts[row as usize] += 1;
            total += 1;
        }
        // From counts to ends; filling backwards makes starts of them.
        let mut end = 0;
        for first in &mut firsts {
            end += *first;
            *first = end;
        }
        let mut list = vec![0u32; total];
        for item in (0..items).rev() {
            if let Some(row) = row(item) {
                let slot = &mut firsts[row as usize];
                *slot -= 1;
                list[*slot as usize] = item;
            }
        }
        Rows { firsts, items: list }
    }

    pub(crate) fn row(&self, index: usize) -> &[u32] {
        let range: Range<usize> = match self.firsts.get(index..index + 2) {
            Some(&[start, end]) => start as usize..end as usize,
            _ => 0..0,
        };
        self.items.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order() {
        let rows = Rows::collect(3, 6, |item| (item != 4).then_some(item % 2 * 2));
        assert_eq!(rows.row(0), [0, 2]);
        assert!(rows.row(1).is_empty());
        assert_eq!(rows.row(2), [1, 3, 5]);
        assert!(rows.row(7).is_empty());
    }
}
