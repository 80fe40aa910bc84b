//! What stands in a text's place: as long, as wide, the same for the same text and key, another for another.
//!
//! Short texts are encrypted, so that no two can meet: a [`Network`] over all texts of one length and class, whose digits are written
//! with signs that no name in code and no secret is made of. From [`SHORT`] units on (for two bytes a unit, [`SHORT_WIDE`])
//! there are more texts than can meet by chance, and a keyed hash is spelled in letters.
//!
//! A name may not change in one way more: how long it is as DevTools shows it, which decides where the name of a class is cut off, and
//! so which objects make one. What is quoted there stays so, and has as much that is escaped.

use crate::Key;
use crate::network::{self, Digit, Network};
use crate::signs::{self, PARTS, Signs, is_escaped, is_quoted};
use crate::units::is_surrogate;

/// One-byte texts below this length are encrypted. From here on 26 letters a unit make 2^70 texts and more.
const SHORT: usize = 15;
/// Two-byte texts below this length are. From here on [`IDEOGRAPHS`] make 2^70.
const SHORT_WIDE: usize = 5;
/// Hashes of this length and more are spelled in words, which no scanner takes for a token.
const WORDS: usize = 20;
const WORD: usize = 8;
/// CJK ideographs, 2^14 of them.
const IDEOGRAPHS: (u16, u16) = (0x4e00, 0x3fff);
/// Two-byte texts of this length and more are letters, and one unit says how wide they are.
const WIDE_LETTERS: usize = 16;
const WIDE: u16 = 0x101;

/// Makes pseudonyms.
pub(crate) struct Pseudonyms {
    key: Key,
    signs: Signs,
    /// For each class and length below [`SHORT`].
    networks: Vec<Network>,
    /// Texts of one unit: permutations of each part.
    single: [u8; 256],
    digits: Vec<Digit>,
    /// A text without its escapes.
    text: Vec<u8>,
}

impl Pseudonyms {
    pub(crate) fn new(key: Key) -> Pseudonyms {
        let single = shuffled(&key);
        let networks = (0..PARTS.len() * SHORT)
            .map(|at| Network::new(&key, at / SHORT, at % SHORT, u64::from(PARTS[at / SHORT])))
            .collect();
        Pseudonyms {
            key,
            signs: Signs::new(),
            networks,
            single,
            digits: Vec::new(),
            text: Vec::new(),
        }
    }

    /// The same as [`Pseudonyms::write`], of a name.
    pub(crate) fn write_name(&mut self, raw: &[u8], units: &mut Vec<u16>, out: &mut Vec<u8>) {
        if !raw.iter().any(|&byte| byte == b'\\' || is_quoted(u16::from(byte))) {
            return self.write(raw, units, out);
        }
        crate::units::decode(raw, units);
        self.replace_name(units);
        crate::units::encode(units, out);
    }

    /// Writes the pseudonym of a text as the inside of a JSON string, straight from another one's. Most texts are ASCII.
    pub(crate) fn write(&mut self, raw: &[u8], units: &mut Vec<u16>, out: &mut Vec<u8>) {
        if raw.len() >= SHORT {
            if raw.iter().all(|byte| byte.is_ascii() && *byte != b'\\') {
                return self.write_letters(raw, out);
            }
            let mut text = std::mem::take(&mut self.text);
            let is_long = crate::units::decode_ascii(raw, units, &mut text) && text.len() >= SHORT;
            if is_long {
                self.write_letters(&text, out);
            }
            self.text = text;
            if is_long {
                return;
            }
        }
        if (2..SHORT).contains(&raw.len()) && self.write_word(raw, out) {
            return;
        }
        if (2..SHORT).contains(&raw.len())
            && raw.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
        {
            return self.write_short(raw, out);
        }
        crate::units::decode(raw, units);
        self.replace(units);
        crate::units::encode(units, out);
    }

    /// The same of [`SHORT`] units and more that are ASCII.
    fn write_letters(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut letters = Letters { state: self.key.hash_ascii(text), at: 0, word: 0 };
        let start = out.len();
        out.extend((0..text.len()).map(|_| (letters.letter() & 0x7f) as u8));
        if text.len() >= WORDS {
            out[start..].iter_mut().skip(WORD - 1).step_by(WORD).for_each(|letter| *letter = b' ');
        }
    }

    /// The same of a few letters, digits, `_` and `$`, which most texts are: of sixty-four signs each is six bits, so that no loop
    /// depends on how many there are. Says whether it is such a text.
    fn write_word(&self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        let first = raw.len() / 2;
        let both = |[left, right]: [u64; 2], bytes: fn(u64) -> [u8; 8]| {
            let mut both = [0; 16];
            both[..8].copy_from_slice(&bytes(left));
            both[8..].copy_from_slice(&bytes(right));
            both
        };
        let (places, others) = signs::words(both(halves(raw), u64::to_le_bytes));
        let ones = |length: usize| (1_u16 << length) - 1;
        let asked = ones(first) | ones(raw.len() - first) << 8;
        if others & asked != 0 {
            return false;
        }
        let half = |at: usize| {
            let half = places[at..].first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
            packed(half)
        };
        let network = &self.networks[raw.len()];
        let [left, right] = network.run([half(0), half(8)], network::add_bits);
        let left = unpacked(left) << (64 - 8 * first);
        let right = unpacked(right) << (64 - 8 * (raw.len() - first));
        let [left, right] = signs::shown_words(both([left, right], u64::to_be_bytes));
        let mut line = [0; 32];
        line[..16].copy_from_slice(&left);
        line[2 * first..2 * first + 16].copy_from_slice(&right);
        let start = out.len();
        out.extend_from_slice(&line);
        out.truncate(start + 2 * raw.len());
        true
    }

    /// The same of a few units that ASCII prints.
    fn write_short(&self, raw: &[u8], out: &mut Vec<u8>) {
        let mut places = [0_u8; SHORT];
        let places = &mut places[..raw.len()];
        for (place, &byte) in places.iter_mut().zip(raw) {
            *place = self.signs.place[usize::from(byte)];
        }
        self.encrypt_narrow(places);
        let mut line = [0; 2 * SHORT + 2];
        let mut length = 0;
        for place in places {
            let (bytes, sign) = self.signs.shown[usize::from(*place)];
            line[length..length + 2].copy_from_slice(&sign);
            length += usize::from(bytes);
        }
        out.extend_from_slice(&line[..length]);
    }

    /// Encrypts the places of two signs or more. Texts of another kind are not met: they have their own network, or are passed by.
    fn encrypt_narrow(&self, places: &mut [u8]) {
        let kind = self.signs.kind(places);
        let network = &self.networks[kind.class * SHORT + places.len()];
        loop {
            match kind.class {
                0 => network.encrypt::<64>(places),
                1 => network.encrypt::<89>(places),
                2 => network.encrypt::<90>(places),
                3 => network.encrypt::<95>(places),
                4 => network.encrypt::<127>(places),
                _ => network.encrypt::<256>(places),
            }
            if self.signs.kind(places) == kind {
                break;
            }
        }
    }

    /// Replaces a name by its pseudonym. Where DevTools quotes it, what it does so for stays, and what is escaped.
    pub(crate) fn replace_name(&mut self, units: &mut [u16]) {
        if !units.iter().any(|&unit| is_quoted(unit)) {
            return self.replace(units);
        }
        let stays = |unit: u16| is_quoted(unit) || is_escaped(unit);
        let mut rest: Vec<u16> = units.iter().copied().filter(|&unit| !stays(unit)).collect();
        if rest.len() >= WIDE_LETTERS {
            return self.replace_quoted(units);
        }
        self.replace(&mut rest);
        for (unit, replaced) in units.iter_mut().filter(|unit| !stays(**unit)).zip(rest) {
            *unit = replaced;
        }
    }

    /// The same of a long one: nobody needs to know where they stood.
    fn replace_quoted(&self, units: &mut [u16]) {
        let is_wide = units.iter().any(|&unit| unit > 0xff);
        let mut letters = Letters::new(&self.key, b'q', units);
        // A letter's escape adds one unit, another control character's five.
        let is_short = |unit: u16| unit >= 0x20 || [8, 9, 10, 12, 13].contains(&unit);
        let mut first: Vec<u16> = units
            .iter()
            .filter(|&&unit| is_escaped(unit))
            .map(|&unit| if is_short(unit) { u16::from(b'"') } else { 1 })
            .collect();
        first.sort_unstable();
        if first.last() != Some(&u16::from(b'"')) {
            first.push(u16::from(b'\''));
        }
        let (shown, rest) = units.split_at_mut(first.len());
        shown.copy_from_slice(&first);
        rest.iter_mut().for_each(|unit| *unit = letters.letter());
        if rest.len() >= WORDS {
            spaced(rest);
        }
        if is_wide {
            rest[0] = WIDE;
        }
    }

    /// Replaces a text by its pseudonym.
    pub(crate) fn replace(&mut self, units: &mut [u16]) {
        if units.is_empty() {
            return;
        }
        if units.iter().all(|&unit| unit < 0x100) {
            self.replace_narrow(units);
        } else if units.len() < SHORT_WIDE {
            self.encrypt_wide(units);
        } else {
            let mut hash = Letters::new(&self.key, b'w', units);
            let letters = units.len() >= WIDE_LETTERS;
            for unit in &mut *units {
                *unit = if letters {
                    hash.letter()
                } else {
                    IDEOGRAPHS.0 + (hash.unit() & IDEOGRAPHS.1)
                };
            }
            if letters {
                spaced(units);
                units[0] = WIDE;
            }
        }
    }

    fn replace_narrow(&mut self, units: &mut [u16]) {
        if units.len() >= SHORT {
            let mut hash = Letters::of_narrow(&self.key, units);
            units.iter_mut().for_each(|unit| *unit = hash.letter());
            if units.len() >= WORDS {
                spaced(units);
            }
            return;
        }
        if let [unit] = units {
            let place = self.signs.place[usize::from(*unit & 0xff)];
            *unit = u16::from(self.signs.sign[usize::from(self.single[usize::from(place)])]);
            return;
        }
        let mut places = [0_u8; SHORT];
        let places = &mut places[..units.len()];
        for (place, &unit) in places.iter_mut().zip(&*units) {
            *place = self.signs.place[usize::from(unit & 0xff)];
        }
        self.encrypt_narrow(places);
        for (unit, place) in units.iter_mut().zip(places) {
            *unit = u16::from(self.signs.sign[usize::from(*place)]);
        }
    }

    /// Surrogates stay surrogates and pairs stay pairs, whatever a reader makes of lone ones. What is escaped, quoted or ends a line
    /// stays what it is.
    fn encrypt_wide(&mut self, units: &mut [u16]) {
        let stays =
            |unit: u16| is_quoted(unit) || is_escaped(unit) || matches!(unit, 0x2028 | 0x2029);
        // What may become of each: all that has these bits, and no other.
        let kinds: Vec<(u16, u16)> = units
            .iter()
            .map(|&unit| match unit {
                unit if stays(unit) => (unit, 0),
                unit if is_surrogate(unit) => (unit & 0xfc00, 0x3ff),
                _ => (0, 0xffff),
            })
            .collect();
        self.digits.clear();
        for (&unit, (_, free)) in units.iter().zip(&kinds) {
            for (unit, free) in unit.to_be_bytes().into_iter().zip(free.to_be_bytes()) {
                let (value, radix) = (u64::from(unit & free), u64::from(free) + 1);
                self.digits.push(Digit { value, radix });
            }
        }
        loop {
            network::encrypt(&self.key, PARTS.len(), &mut self.digits);
            for ((unit, (kind, _)), pair) in
                units.iter_mut().zip(&kinds).zip(self.digits.chunks_exact(2))
            {
                let value = pair[0].value << 8 | pair[1].value;
                *unit = kind | u16::try_from(value).unwrap_or(0);
            }
            let fits = |(&unit, kind): (&u16, &(u16, u16))| {
                kind.1 != 0xffff || !is_surrogate(unit) && !stays(unit)
            };
            if units.iter().zip(&kinds).all(fits) && units.iter().any(|&unit| unit > 0xff) {
                break;
            }
        }
    }
}

/// Fisher and Yates, within each part.
fn shuffled(key: &Key) -> [u8; 256] {
    let mut places = [0; 256];
    for (at, place) in places.iter_mut().enumerate() {
        *place = u8::try_from(at).unwrap_or(0);
    }
    let mut start = 0;
    for end in PARTS.map(usize::from) {
        for at in (start + 1..end).rev() {
            let span = (at - start + 1) as u64;
            let with = start + usize::try_from(key.number(0xff, at as u64) % span).unwrap_or(0);
            places.swap(at, with);
        }
        start = end;
    }
    places
}

/// The bytes of the two halves of a text of two to fourteen, each as a number.
#[inline]
fn halves(raw: &[u8]) -> [u64; 2] {
    let behind = 8 * (raw.len() - raw.len() / 2);
    if let (Some(first), Some(last)) = (raw.first_chunk(), raw.last_chunk()) {
        let first = u64::from_be_bytes(*first) >> (64 - 8 * (raw.len() / 2));
        return [first, u64::from_be_bytes(*last) & (u64::MAX >> (64 - behind))];
    }
    let word = match (raw.first_chunk(), raw.last_chunk()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
            u64::from(first) << (8 * (raw.len() - 4)) | u64::from(last)
        }
        _ => raw.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    [word >> behind, word & (u64::MAX >> (64 - behind))]
}

/// Six bits of each byte, side by side.
#[inline]
fn packed(bytes: u64) -> u64 {
    let twos = bytes & 0x003f_003f_003f_003f | (bytes & 0x3f00_3f00_3f00_3f00) >> 2;
    let fours = twos & 0x0000_0fff_0000_0fff | (twos & 0x0fff_0000_0fff_0000) >> 4;
    fours & 0x0000_0000_00ff_ffff | (fours & 0x00ff_ffff_0000_0000) >> 8
}

#[inline]
fn unpacked(bits: u64) -> u64 {
    let fours = bits & 0x0000_0000_00ff_ffff | bits << 8 & 0x00ff_ffff_0000_0000;
    let twos = fours & 0x0000_0fff_0000_0fff | fours << 4 & 0x0fff_0000_0fff_0000;
    twos & 0x003f_003f_003f_003f | twos << 2 & 0x3f00_3f00_3f00_3f00
}

fn spaced(units: &mut [u16]) {
    units.iter_mut().skip(WORD - 1).step_by(WORD).for_each(|unit| *unit = u16::from(b' '));
}

/// Letters of a text's keyed hash: 128 bits, then what follows from them.
struct Letters {
    state: [u64; 2],
    at: u32,
    word: u64,
}

impl Letters {
    fn new(key: &Key, class: u8, units: &[u16]) -> Letters {
        Letters { state: key.hash(class, units), at: 0, word: 0 }
    }

    fn of_narrow(key: &Key, units: &[u16]) -> Letters {
        if units.iter().any(|&unit| unit > 0x7f) {
            return Letters::new(key, b'n', units);
        }
        let text: Vec<u8> = units.iter().map(|&unit| (unit & 0x7f) as u8).collect();
        Letters { state: key.hash_ascii(&text), at: 0, word: 0 }
    }

    fn unit(&mut self) -> u16 {
        if self.at.is_multiple_of(4) {
            let turn = self.at / 4;
            // splitmix64 over each half in turn: the first letters have all of both.
            let state = &mut self.state[turn as usize % 2];
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.word = mixed ^ (mixed >> 31);
        }
        self.at += 1;
        let unit = (self.word & 0xffff) as u16;
        self.word >>= 16;
        unit
    }

    fn letter(&mut self) -> u16 {
        u16::from(b'a') + ((u32::from(self.unit()) * 26) >> 16) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_at_once_is_what_units_become() {
        let mut pseudonyms = Pseudonyms::new(Key::new(b"a key for tests"));
        let (mut written, mut expected, mut units) = (Vec::new(), Vec::new(), Vec::new());
        let signs: Vec<u16> = "aZ09_$zA 5-@~!\n\"\\\u{1}\u{e9}".encode_utf16().collect();
        for length in 1..40 {
            for seed in 0..400_usize {
                // Some have letters and digits alone, some what ASCII prints, some what it escapes, some all.
                let kinds = [8, 14, 18, 19][seed % 4];
                let mut text: Vec<u16> = (0..length)
                    .map(|at| signs[(seed * 31 + at * at * 7 + at * seed) % kinds])
                    .collect();
                let (mut raw, shown) = (Vec::new(), String::from_utf16_lossy(&text));
                crate::units::encode(&text, &mut raw);
                written.clear();
                pseudonyms.write(&raw, &mut units, &mut written);
                pseudonyms.replace(&mut text);
                expected.clear();
                crate::units::encode(&text, &mut expected);
                assert_eq!(written, expected, "{shown:?}");
            }
        }
    }
}
