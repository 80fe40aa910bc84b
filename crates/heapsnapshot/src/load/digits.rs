//! Reads comma-separated numbers 64 bytes at a time.
//!
//! A loop over bytes mispredicts at the end of nearly every number, since their lengths vary. Here a
//! block's digits, commas and newlines become three bit masks; each number's start and end come from
//! those without a branch, and up to eight digits are converted by three multiplications.
//! Anything unusual (a sign, a space, a letter, two commas, the end of the array) is left to the
//! caller's careful byte loop, which also says precisely what is wrong.

use pulp::{Arch, NullaryFnOnce};
use wide::{CmpEq, CmpGt, CmpLt, i8x16};

/// The bytes that are looked at together.
pub(crate) const BLOCK: usize = 64;
/// The bytes after them that must be there too: a number is loaded eight bytes at a time.
pub(crate) const MARGIN: usize = 8;
/// The most numbers that a block can hold.
pub(crate) const MOST: usize = BLOCK / 2;

/// Converts the numbers at the start of `bytes`, block by block, while there is room for a block's in `out`. Returns how many
/// bytes were consumed, and how many numbers they were; stops early where the careful loop has to look.
pub(crate) fn blocks(bytes: &[u8], out: &mut [u64]) -> (usize, usize) {
    // With AVX2 and BMI where the processor has them: 3 % of the user CPU from a file to its retained sizes.
    Arch::new().dispatch(Blocks { bytes, out })
}

struct Blocks<'a> {
    bytes: &'a [u8],
    out: &'a mut [u64],
}

impl NullaryFnOnce for Blocks<'_> {
    type Output = (usize, usize);

    // Inlined, so that it is compiled for the processor that `dispatch` has found.
    #[inline(always)]
    fn call(self) -> (usize, usize) {
        let (mut used, mut count) = (0, 0);
        while let Some(window) = self.bytes.get(used..).and_then(<[u8]>::first_chunk)
            && let Some(slots) = self.out.get_mut(count..).and_then(<[u64]>::first_chunk_mut)
        {
            let (bytes, numbers) = block(window, slots);
            if bytes == 0 {
                break;
            }
            used += bytes;
            count += numbers;
        }
        (used, count)
    }
}

/// Converts the numbers at the start of a block that are followed by a comma. `window` is the block
/// and the margin after it. Returns how many bytes were consumed, up to and with a comma, and how many
/// numbers they were; no bytes when the careful loop has to look.
#[inline(always)]
fn block(window: &[u8; BLOCK + MARGIN], out: &mut [u64; MOST]) -> (usize, usize) {
    let masks = masks(window);
    if masks.comma == 0 {
        return (0, 0);
    }
    let last = 63 - masks.comma.leading_zeros();
    let through = u64::MAX >> (63 - last);
    let digit = masks.digit & through;
    let end = !digit & (digit << 1) & through;
    let newline = masks.newline & through;
    let justified = (end & masks.comma) | ((end & newline) << 1);
    if justified != masks.comma || digit | masks.comma | newline != through {
        return (0, 0);
    }
    // A second newline in a row ends no number, and is left alone as the white space it is.
    let mut count = 0;
    let mut starts = digit & !(digit << 1);
    let mut ends = end;
    while ends != 0 {
        let start = starts.trailing_zeros() as usize & 63;
        let stop = ends.trailing_zeros() as usize & 63;
        starts &= starts - 1;
        ends &= ends - 1;
        let length = stop - start;
        out[count % MOST] = match length {
            0..=8 => up_to_eight(window, start, length),
            9..=19 => up_to_nineteen(&window[start..stop]),
            _ => return (0, 0),
        };
        count += 1;
    }
    (last as usize + 1, count)
}

#[inline(always)]
fn up_to_eight(window: &[u8; BLOCK + MARGIN], start: usize, length: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&window[start & 63..(start & 63) + 8]);
    // The last digit becomes the highest byte: what stands after it is shifted out, and zeros come
    // before the first.
    let shift = (64 - 8 * length) & 63;
    let digits = (u64::from_le_bytes(word) << shift) & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let left = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let right = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    left.wrapping_add(right) >> 32
}

fn up_to_nineteen(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

struct Masks {
    digit: u64,
    comma: u64,
    newline: u64,
}

#[inline(always)]
fn masks(window: &[u8; BLOCK + MARGIN]) -> Masks {
    let mut masks = Masks { digit: 0, comma: 0, newline: 0 };
    // Bytes beyond ASCII are negative, and so below every digit.
    let below = i8x16::splat(b'0'.cast_signed() - 1);
    let above = i8x16::splat(b'9'.cast_signed() + 1);
    let comma = i8x16::splat(b','.cast_signed());
    let newline = i8x16::splat(b'\n'.cast_signed());
    let (chunks, _) = window[..BLOCK].as_chunks::<16>();
    for (i, chunk) in chunks.iter().enumerate() {
        let bytes = i8x16::from(chunk.map(u8::cast_signed));
        let bits = |mask: i8x16| u64::from(mask.move_mask().cast_unsigned()) << (16 * i);
        masks.digit |= bits(bytes.cmp_gt(below) & bytes.cmp_lt(above));
        masks.comma |= bits(bytes.cmp_eq(comma));
        masks.newline |= bits(bytes.cmp_eq(newline));
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> (usize, Vec<u64>) {
        let mut window = [b'#'; BLOCK + MARGIN];
        for (slot, byte) in window.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        let mut out = [0; MOST];
        let (used, count) = block(&window, &mut out);
        (used, out[..count].to_vec())
    }

    #[test]
    fn converts_numbers_of_every_length() {
        assert_eq!(run("0,7,12,345,6789,12345678,1"), (25, vec![0, 7, 12, 345, 6789, 12_345_678]));
        assert_eq!(run("123456789,4294967296,9").1, [123_456_789, 4_294_967_296]);
        assert_eq!(run("9999999999999999999,1").1, [9_999_999_999_999_999_999]);
    }

    #[test]
    fn accepts_a_record_a_line() {
        assert_eq!(run("9,1,1,0\n,9,2,3\n,4"), (16, vec![9, 1, 1, 0, 9, 2, 3]));
    }

    #[test]
    fn leaves_everything_unusual_to_the_careful_loop() {
        for text in ["1,,2,3", "1 2,3,4", "1,-2,3", "1]", "12345678901234567890,1", ",1,2", "1.5,2"]
        {
            let (used, out) = run(text);
            assert!(used == 0 || (used == 2 && out == [1]), "{text}: {used} {out:?}");
        }
    }
}
