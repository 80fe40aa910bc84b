//! Numbers of up to eight digits, a byte for each: read and doubled at once.

const ONES: u64 = 0x0101_0101_0101_0101;

/// A number as text.
#[derive(Clone, Copy)]
pub(crate) struct Digits {
    pub(crate) word: u64,
    /// Whether it has one digit more than what it was made of.
    pub(crate) carry: usize,
}

/// The values of the first digits of a word, at its end.
#[inline(always)]
pub(crate) fn digits(word: u64, length: usize) -> u64 {
    (word << (64 - 8 * length)) & (ONES * 15)
}

/// What eight digits say: pairs, then fours, then all of them.
#[inline(always)]
pub(crate) fn value(digits: u64) -> u64 {
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// Twice a number of so many digits, and one if it is to be odd: 5 and more carry one to the digit before.
#[inline(always)]
pub(crate) fn doubled(digits: u64, length: usize, odd: bool) -> Digits {
    let carries = ((digits + ONES * (0x80 - 5)) >> 7) & ONES;
    let sum = (2 * digits - 10 * carries + (carries >> 8)) | u64::from(odd) << 56 | (ONES * 0x30);
    let before = 64 - 8 * length;
    let carry = carries >> before & 1;
    Digits { word: sum >> (before - 8 * carry as usize), carry: carry as usize }
}
