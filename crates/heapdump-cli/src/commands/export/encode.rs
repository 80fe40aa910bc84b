//! Parquet's encodings of values, as its specification (Encodings.md) has them. Nothing here knows of pages or files.

/// Values of a mini block and of a block, those that all readers know.
const MINI: usize = 32;
const BLOCK: usize = 4 * MINI;

/// What `value`, and all below it, needs.
pub(super) fn width(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// Runs of a value, and others in groups of eight, each of `width` bits: RLE and bit-packing hybrid.
pub(super) fn hybrid(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(rest) = values.get(at..).filter(|rest| !rest.is_empty()) {
        let run = run_of(rest);
        if run >= 8 {
            varint((run as u64) << 1, out);
            let value = rest[0].to_le_bytes();
            out.extend_from_slice(&value[..width.div_ceil(8) as usize]);
            at += run;
            continue;
        }
        // Whole groups, until one begins a run.
        let groups = rest.chunks(8).take_while(|group| group.len() < 8 || run_of(group) < 8);
        let groups = groups.count();
        varint(((groups as u64) << 1) | 1, out);
        let packed = &rest[..rest.len().min(8 * groups)];
        let padding = std::iter::repeat_n(0, 8 * groups - packed.len());
        pack(packed.iter().map(|&value| u64::from(value)).chain(padding), width, out);
        at += 8 * groups;
    }
}

/// Differences, packed in as few bits as 32 of them need: DELTA_BINARY_PACKED.
pub(super) fn deltas(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / MINI) as u64, out);
    varint(values.len() as u64, out);
    let Some((&first, rest)) = values.split_first() else {
        varint(0, out);
        return;
    };
    varint(zigzag(first), out);
    let mut last = first;
    for block in rest.chunks(BLOCK) {
        let mut deltas = [0_i64; BLOCK];
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(last);
            last = value;
        }
        let deltas = &mut deltas[..block.len()];
        let least = deltas.iter().copied().min().unwrap_or(0);
        varint(zigzag(least), out);
        let widths = out.len();
        out.extend_from_slice(&[0; BLOCK / MINI]);
        for (mini, deltas) in deltas.chunks(MINI).enumerate() {
            let above = |&delta: &i64| delta.wrapping_sub(least).cast_unsigned();
            let width = width(deltas.iter().map(above).fold(0, |all, one| all | one));
            out[widths + mini] = width.to_le_bytes()[0];
            let padding = std::iter::repeat_n(0, MINI - deltas.len());
            pack(deltas.iter().map(above).chain(padding), width, out);
        }
    }
}

/// A bit each.
pub(super) fn bits(values: &[bool], out: &mut Vec<u8>) {
    pack(values.iter().map(|&value| u64::from(value)), 1, out);
}

fn run_of(values: &[u32]) -> usize {
    values.iter().take_while(|&&value| value == values[0]).count()
}

/// The lowest bits first; whole bytes at the end.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut waiting = 0_u128;
    let mut bits = 0;
    for value in values {
        waiting |= u128::from(value) << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&waiting.to_le_bytes()[..8]);
            waiting >>= u64::BITS;
            bits -= u64::BITS;
        }
    }
    out.extend_from_slice(&waiting.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_as_the_specification_shows() {
        let mut out = Vec::new();
        pack(0..8, 3, &mut out);
        assert_eq!(out, [0b1000_1000, 0b1100_0110, 0b1111_1010]);
        out.clear();
        pack([u64::MAX, 1].into_iter(), 64, &mut out);
        assert_eq!(out, [255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn runs_and_groups() {
        let mut out = Vec::new();
        hybrid(&[7; 300], 3, &mut out);
        assert_eq!(out, [0xd8, 0x04, 7]);
        out.clear();
        // A group, and a run that begins in it and ends with the values.
        hybrid(&[1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 1, &mut out);
        assert_eq!(out, [0b11, 0b1111_1101, 9 << 1, 1]);
        out.clear();
        // Of the last group, what is no value is zero.
        hybrid(&[1, 0, 1], 1, &mut out);
        assert_eq!(out, [0b11, 0b101]);
        out.clear();
        hybrid(&[0; 9], 0, &mut out);
        assert_eq!(out, [18]);
    }

    #[test]
    fn deltas_as_the_specification_shows() {
        let mut out = Vec::new();
        deltas(&[1, 2, 3, 4, 5], &mut out);
        assert_eq!(out, [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0]);
        out.clear();
        deltas(&[7, 5, 3, 1, 2, 3, 4, 5], &mut out);
        let packed = [0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0];
        assert_eq!(out, [&[0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0][..], &packed].concat());
        out.clear();
        deltas(&[], &mut out);
        assert_eq!(out, [0x80, 1, 4, 0, 0]);
    }

    #[test]
    fn deltas_of_the_largest() {
        let mut out = Vec::new();
        deltas(&[0, i64::MAX, 0, i64::MAX], &mut out);
        assert_eq!(out.len(), 5 + 10 + 4 + 8 * MINI);
    }
}
