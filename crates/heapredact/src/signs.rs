//! The signs that short texts of one byte a unit are made of, and those of their pseudonyms: six parts each, of which one corresponds
//! to the other.

use wide::u8x16;

/// How many signs there are up to the end of each part: letters, digits, `_` and `$`; what else ASCII prints; `\`; what DevTools
/// quotes a property's name for; control characters; all other units of a byte.
pub(crate) const PARTS: [u16; 6] = [64, 89, 90, 95, 127, 256];
const QUOTED: u8 = 1 << 3;
const ESCAPED: u8 = 1 << 2 | 1 << 4;

pub(crate) struct Signs {
    /// The place of each unit among the signs of texts.
    pub(crate) place: [u8; 256],
    /// The signs of pseudonyms by their places.
    pub(crate) sign: [u8; 256],
    /// As JSON has them, those that stand for what ASCII prints: how many bytes, and which.
    pub(crate) shown: [(u8, [u8; 2]); 256],
    /// For each place, the bit of its part.
    part: [u8; 256],
}

/// What a pseudonym has in common with its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// The last part that it has a sign of.
    pub(crate) class: usize,
    /// Whether DevTools quotes a name that has such signs, and what of it has a `\` before it then.
    others: u8,
}

impl Signs {
    pub(crate) fn new() -> Signs {
        let text = order(part_of);
        let sign = order(|unit| match unit {
            0xc0..=0xff => 0,
            0xa7 | 0xbf => 1,
            // Nothing in a pseudonym looks like an element or a mail address.
            b'<' | b'@' => 5,
            unit => match part_of(unit) {
                0 => 5,
                part => part,
            },
        });
        let mut place = [0; 256];
        let mut part = [0; 256];
        for (at, unit) in (0..=255).zip(text) {
            place[usize::from(unit)] = at;
            part[usize::from(at)] = 1 << part_of(unit);
        }
        let shown = sign.map(|sign| match sign {
            b'"' | b'\\' => (2, [b'\\', sign]),
            0..0x80 => (1, [sign, 0]),
            _ => (2, [0xc0 | sign >> 6, 0x80 | sign & 0x3f]),
        });
        Signs { place, sign, shown, part }
    }

    pub(crate) fn kind(&self, places: &[u8]) -> Kind {
        let parts = places.iter().fold(1, |parts, &place| parts | self.part[usize::from(place)]);
        let class = parts.ilog2() as usize;
        let has = |part: u8| if parts & part == 0 { 0 } else { part };
        Kind { class, others: has(QUOTED) | has(ESCAPED) }
    }
}

/// DevTools shows the name of a property that has one of these as JSON (`JSHeapSnapshot.formatPropertyName`).
pub(crate) fn is_quoted(unit: u16) -> bool {
    [b',', b'\'', b'"', b'{', b'}'].map(u16::from).contains(&unit)
}

/// What has a `\` before it in such JSON.
pub(crate) fn is_escaped(unit: u16) -> bool {
    unit < 0x20 || unit == u16::from(b'"') || unit == u16::from(b'\\')
}

fn part_of(unit: u8) -> usize {
    match unit {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$' => 0,
        b'\\' => 2,
        unit if is_quoted(u16::from(unit)) => 3,
        0..0x20 => 4,
        0x20..0x7f => 1,
        _ => 5,
    }
}

fn order(part: impl Fn(u8) -> usize) -> [u8; 256] {
    let mut order = [0; 256];
    for (at, unit) in order.iter_mut().zip(0..=255) {
        *at = unit;
    }
    order.sort_by_key(|&unit| part(unit));
    order
}

/// The places of texts' signs, of bytes that all are of the first part; 0 for the others, and which those are.
#[inline]
pub(crate) fn words(bytes: [u8; 16]) -> ([u8; 16], u16) {
    let bytes = u8x16::new(bytes);
    let range = |first: u8, last: u8, place: u8| {
        let from = bytes - u8x16::splat(first);
        let is_in = from.min(u8x16::splat(last - first)).cmp_eq(from);
        (is_in, is_in & (from + u8x16::splat(place)))
    };
    let parts = [
        range(b'$', b'$', 0),
        range(b'0', b'9', 1),
        range(b'A', b'Z', 11),
        range(b'_', b'_', 37),
        range(b'a', b'z', 38),
    ];
    let all =
        |(are, places): (u8x16, u8x16), (is, place): (u8x16, u8x16)| (are | is, places | place);
    let (are, places) = parts.into_iter().fold((u8x16::splat(0), u8x16::splat(0)), all);
    let [low, high, ..] = are.move_mask().to_le_bytes();
    (places.to_array(), !u16::from_le_bytes([low, high]))
}

/// Places of the first part as pseudonyms show them: U+00C0 and those behind it, two bytes each.
#[inline]
pub(crate) fn shown_words(places: [u8; 16]) -> [[u8; 16]; 2] {
    let first = u8x16::splat(0xc3);
    let second = u8x16::new(places) | u8x16::splat(0x80);
    [u8x16::unpack_low(first, second).to_array(), u8x16::unpack_high(first, second).to_array()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_has_a_place_in_its_part() {
        let signs = Signs::new();
        let mut units = signs.sign;
        units.sort_unstable();
        assert!(units.into_iter().eq(0..=255));
        for unit in 0..=255 {
            let place = u16::from(signs.place[usize::from(unit)]);
            let part = part_of(unit);
            assert!(place < PARTS[part] && (part == 0 || place >= PARTS[part - 1]), "{unit}");
            if matches!(part, 2..=4) {
                assert_eq!(part_of(signs.sign[usize::from(place)]), part, "{unit}");
            }
        }
    }

    #[test]
    fn sixteen_places_are_found_at_once() {
        let signs = Signs::new();
        for unit in 0..=255 {
            let (places, others) = words([unit; 16]);
            let is_word = part_of(unit) == 0;
            assert_eq!(others, if is_word { 0 } else { 0xffff });
            assert_eq!(places, [if is_word { signs.place[usize::from(unit)] } else { 0 }; 16]);
            if is_word {
                let sign = char::from(signs.sign[usize::from(places[0])]).to_string();
                let shown = shown_words(places);
                assert_eq!(&shown.as_flattened()[..2], sign.as_bytes());
            }
        }
    }
}
