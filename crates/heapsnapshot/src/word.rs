//! Sixty-four nodes at a time: what holds for each, as the bits of a word.

use crate::NodeOrdinal;

pub(crate) const WIDTH: u32 = u64::BITS;

/// Those of the wanted nodes for which something holds.
#[inline]
pub(crate) fn each(first: u32, wanted: u64, mut holds: impl FnMut(NodeOrdinal) -> bool) -> u64 {
    let (mut rest, mut word) = (wanted, 0);
    while rest != 0 {
        let at = rest.trailing_zeros();
        rest &= rest - 1;
        word |= u64::from(holds(NodeOrdinal(first + at))) << at;
    }
    word
}

/// What holds for each of a column's values, from a place on.
#[inline]
pub(crate) fn column<T: Copy>(values: &[T], first: u32, mut holds: impl FnMut(T) -> bool) -> u64 {
    let values = values.get(first as usize..).unwrap_or_default();
    let mut word = 0;
    for (at, &value) in values.iter().take(WIDTH as usize).enumerate() {
        word |= u64::from(holds(value)) << at;
    }
    word
}
