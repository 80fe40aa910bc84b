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
pub(crate) fn column<T: Copy>(values: &[T], first: u32, holds: impl Fn(T) -> bool) -> u64 {
    let values = values.get(first as usize..).unwrap_or_default();
    let mut bytes = [0; WIDTH as usize];
    // A row of known length, and no bit that waits for the one before it: the processor does several at a time.
    match values.first_chunk::<{ WIDTH as usize }>() {
        Some(values) => set(&mut bytes, values, holds),
        None => set(&mut bytes, values, holds),
    }
    bits(&bytes)
}

#[inline]
fn set<T: Copy>(bytes: &mut [u8; WIDTH as usize], values: &[T], holds: impl Fn(T) -> bool) {
    for (byte, &value) in bytes.iter_mut().zip(values) {
        *byte = u8::from(holds(value));
    }
}

/// Bytes of 0 and 1 as bits.
#[inline]
fn bits(bytes: &[u8; WIDTH as usize]) -> u64 {
    // The product's highest byte has each byte's bit once, the first one lowest; nothing is carried into it.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (eights, _) = bytes.as_chunks::<8>();
    eights
        .iter()
        .rev()
        .fold(0, |word, &eight| word << 8 | u64::from_le_bytes(eight).wrapping_mul(GATHER) >> 56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_bit() {
        let values: Vec<u32> =
            (0..200).map(|at: u32| at.wrapping_mul(2_654_435_769) >> 30).collect();
        for first in [0, 64, 128, 192, 256] {
            let found = column(&values, first, |value| value == 1);
            for at in 0..WIDTH {
                let holds = values.get((first + at) as usize) == Some(&1);
                assert_eq!(found >> at & 1 == 1, holds, "{first} + {at}");
            }
        }
    }
}
