//! What stands in a text's place: as long, as wide, the same for the same text and key, another for another.
//!
//! Short texts are encrypted, so that no two can meet: a Feistel network over all texts of one length and class, whose
//! digits are written with signs that no name in code and no secret is made of. From [`SHORT`] units on (for two bytes
//! a unit, [`SHORT_WIDE`]) there are more texts than can meet by chance, and a keyed hash is spelled in letters.

use crate::Key;
use crate::key::Tweaked;
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
const ROUNDS: usize = 8;

/// How many signs a class has: letters, digits, `_`, `$`; all that ASCII prints; all units of a byte.
const CLASSES: [u16; 3] = [64, 95, 256];

/// Makes pseudonyms.
pub(crate) struct Pseudonyms {
    key: Key,
    /// The place of each one-byte unit among the signs of texts, and the signs of pseudonyms.
    place: [u8; 256],
    sign: [u8; 256],
    /// The signs as JSON has them: how many bytes, and which. Those of [`Pseudonyms::write_short`] have no more than two.
    shown: [(u8, [u8; 2]); 256],
    /// For each class and length below [`SHORT`].
    networks: Vec<Network>,
    /// Texts of one unit: permutations of each class.
    single: [u8; 256],
    digits: Vec<Digit>,
}

#[derive(Clone, Copy)]
struct Digit {
    value: u64,
    radix: u64,
}

impl Pseudonyms {
    pub(crate) fn new(key: Key) -> Pseudonyms {
        let (text, pseudonym) = signs();
        let mut place = [0; 256];
        for (at, &unit) in text.iter().enumerate() {
            place[usize::from(unit)] = u8::try_from(at).unwrap_or(0);
        }
        let single = shuffled(&key);
        let shown = pseudonym.map(|sign| match sign {
            b'"' | b'\\' => (2, [b'\\', sign]),
            0..0x80 => (1, [sign, 0]),
            _ => (2, [0xc0 | sign >> 6, 0x80 | sign & 0x3f]),
        });
        let networks = (0..CLASSES.len() * SHORT)
            .map(|at| Network::new(&key, at / SHORT, at % SHORT))
            .collect();
        Pseudonyms { key, place, sign: pseudonym, shown, networks, single, digits: Vec::new() }
    }

    /// Writes the pseudonym of a text as the inside of a JSON string, straight from another one's. Most texts are ASCII.
    pub(crate) fn write(&mut self, raw: &[u8], units: &mut Vec<u16>, out: &mut Vec<u8>) {
        if raw.len() >= SHORT && raw.iter().all(|byte| byte.is_ascii() && *byte != b'\\') {
            let mut letters = Letters { state: self.key.hash_ascii(raw), at: 0, word: 0 };
            let start = out.len();
            out.extend((0..raw.len()).map(|_| (letters.letter() & 0x7f) as u8));
            if raw.len() >= WORDS {
                out[start..]
                    .iter_mut()
                    .skip(WORD - 1)
                    .step_by(WORD)
                    .for_each(|letter| *letter = b' ');
            }
            return;
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

    /// The same of a few letters, digits, `_` and `$`, which most texts are: of sixty-four signs each is six bits, so that no loop
    /// depends on how many there are. Says whether it is such a text.
    fn write_word(&self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        let first = raw.len() / 2;
        let places = |half: u64, length: usize| {
            let places = half.to_be_bytes().map(|byte| self.place[usize::from(byte)]);
            u64::from_be_bytes(places) & (u64::MAX >> (64 - 8 * length))
        };
        let [left, right] = halves(raw);
        let (left, right) = (places(left, first), places(right, raw.len() - first));
        if (left | right) & 0xc0c0_c0c0_c0c0_c0c0 != 0 {
            return false;
        }
        let network = &self.networks[raw.len()];
        let [left, right] =
            network.run([packed(left), packed(right)], |sum, size| sum & (size - 1));
        let mut line = [0; 32];
        for (at, half, length) in [(0, left, first), (2 * first, right, raw.len() - first)] {
            let places = (unpacked(half) << (64 - 8 * length)).to_be_bytes();
            let (pairs, _) = line[at..at + 16].as_chunks_mut::<2>();
            for (pair, place) in pairs.iter_mut().zip(places) {
                // U+00C0 to U+00FF are these signs.
                *pair = [0xc3, 0x80 | place];
            }
        }
        let start = out.len();
        out.extend_from_slice(&line);
        out.truncate(start + 2 * raw.len());
        true
    }

    /// The same of a few units that ASCII prints.
    fn write_short(&self, raw: &[u8], out: &mut Vec<u8>) {
        let mut digits = [0_u8; SHORT];
        let digits = &mut digits[..raw.len()];
        for (digit, &byte) in digits.iter_mut().zip(raw) {
            *digit = self.place[usize::from(byte)];
        }
        self.encrypt_narrow(digits);
        let mut line = [0; 2 * SHORT + 2];
        let mut length = 0;
        for digit in digits {
            let (bytes, sign) = self.shown[usize::from(*digit)];
            line[length..length + 2].copy_from_slice(&sign);
            length += usize::from(bytes);
        }
        out.extend_from_slice(&line[..length]);
    }

    /// Encrypts the places of two signs or more.
    fn encrypt_narrow(&self, places: &mut [u8]) {
        let highest = u16::from(places.iter().copied().max().unwrap_or(0));
        let class = CLASSES.iter().position(|&signs| highest < signs).unwrap_or(2);
        let below = if class == 0 { 0 } else { CLASSES[class - 1] };
        // Texts of a class have a sign of it; those that have none are another class', which has its own.
        let network = &self.networks[class * SHORT + places.len()];
        loop {
            match class {
                0 => network.encrypt::<64>(places),
                1 => network.encrypt::<95>(places),
                _ => network.encrypt::<256>(places),
            }
            if places.iter().any(|&place| u16::from(place) >= below) {
                break;
            }
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
            let place = self.place[usize::from(*unit & 0xff)];
            *unit = u16::from(self.sign[usize::from(self.single[usize::from(place)])]);
            return;
        }
        let mut places = [0_u8; SHORT];
        let places = &mut places[..units.len()];
        for (place, &unit) in places.iter_mut().zip(&*units) {
            *place = self.place[usize::from(unit & 0xff)];
        }
        self.encrypt_narrow(places);
        for (unit, place) in units.iter_mut().zip(places) {
            *unit = u16::from(self.sign[usize::from(*place)]);
        }
    }

    /// Surrogates stay surrogates and pairs stay pairs, whatever a reader makes of lone ones.
    fn encrypt_wide(&mut self, units: &mut [u16]) {
        self.digits.clear();
        for &unit in &*units {
            let radix = if is_surrogate(unit) { 4 } else { 256 };
            let high = u64::from(unit >> 8);
            let high = if is_surrogate(unit) { high & 3 } else { high };
            self.digits.push(Digit { value: high, radix });
            self.digits.push(Digit { value: u64::from(unit & 0xff), radix: 256 });
        }
        let kinds: Vec<u16> =
            units.iter().map(|&unit| if is_surrogate(unit) { unit & 0xfc00 } else { 0 }).collect();
        // The kinds of surrogates are part of what is encrypted: texts of other kinds never meet.
        loop {
            encrypt(&self.key, 3, &mut self.digits);
            for ((unit, kind), pair) in
                units.iter_mut().zip(&kinds).zip(self.digits.chunks_exact(2))
            {
                let value = pair[0].value << 8 | pair[1].value;
                *unit = kind | u16::try_from(value).unwrap_or(0);
            }
            let fits = |(unit, kind): (&u16, &u16)| *kind != 0 || !is_surrogate(*unit);
            if units.iter().zip(&kinds).all(fits) && units.iter().any(|&unit| unit > 0xff) {
                break;
            }
        }
    }
}

/// The signs of texts in the order of their classes, and those of pseudonyms. Letters of Latin-1 stand for what names
/// are made of, and the second class has no letter, digit or `@` of ASCII either.
fn signs() -> ([u8; 256], [u8; 256]) {
    let is_word = |unit: &u8| unit.is_ascii_alphanumeric() || *unit == b'_' || *unit == b'$';
    let is_latin = |unit: &u8| (0xc0..=0xff).contains(unit);
    let is_mark = |unit: &u8| matches!(unit, b' '..=b'~') && !is_word(unit);
    let is_sign = |unit: &u8| is_mark(unit) && *unit != b'@' || *unit == 0xbf;
    let in_order = |first: &dyn Fn(&u8) -> bool, second: &dyn Fn(&u8) -> bool| {
        let mut order: Vec<u8> = (0..=255).filter(first).collect();
        order.extend((0..=255).filter(|unit| second(unit) && !first(unit)));
        order.extend((0..=255).filter(|unit| !first(unit) && !second(unit)));
        order.try_into().unwrap_or([0; 256])
    };
    (in_order(&is_word, &is_mark), in_order(&is_latin, &is_sign))
}

/// Fisher and Yates, within each class.
fn shuffled(key: &Key) -> [u8; 256] {
    let mut places = [0; 256];
    for (at, place) in places.iter_mut().enumerate() {
        *place = u8::try_from(at).unwrap_or(0);
    }
    let mut start = 0;
    for class in CLASSES.map(usize::from) {
        for at in (start + 1..class).rev() {
            let span = (at - start + 1) as u64;
            let with = start + usize::try_from(key.number(0xff, at as u64) % span).unwrap_or(0);
            places.swap(at, with);
        }
        start = class;
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

/// What the key makes of a class and length: a Feistel network over two numbers.
struct Network {
    rounds: [Tweaked; ROUNDS],
    /// How many there are of each number.
    sizes: [u64; 2],
}

impl Network {
    fn new(key: &Key, class: usize, length: usize) -> Network {
        let size = |digits: usize| (0..digits).fold(1, |size, _| size * u64::from(CLASSES[class]));
        Network::of(key, class, length, [size(length / 2), size(length - length / 2)])
    }

    fn of(key: &Key, class: usize, length: usize, sizes: [u64; 2]) -> Network {
        let tweak = (class as u64) << 40 | (length as u64) << 8;
        Network { rounds: std::array::from_fn(|round| key.tweaked(tweak | round as u64)), sizes }
    }

    /// One permutation of all texts of its length, whose digits are below `RADIX`: a constant, by which a compiler divides fast.
    fn encrypt<const RADIX: u64>(&self, digits: &mut [u8]) {
        let (first, second) = digits.split_at_mut(digits.len() / 2);
        let number = |digits: &[u8]| {
            digits.iter().fold(0_u64, |value, &digit| value * RADIX + u64::from(digit))
        };
        let spread = |mut number: u64, digits: &mut [u8]| {
            for digit in digits.iter_mut().rev() {
                *digit = (number % RADIX).to_le_bytes()[0];
                number /= RADIX;
            }
        };
        let (left, right) = (number(first), number(second));
        let [left, right] = if RADIX.is_power_of_two() {
            self.run([left, right], |sum, size| sum & (size - 1))
        } else {
            self.run([left, right], |sum, size| sum % size)
        };
        spread(left, first);
        spread(right, second);
    }

    #[inline]
    fn run(&self, [mut left, mut right]: [u64; 2], rest: impl Fn(u64, u64) -> u64) -> [u64; 2] {
        // Sizes are at most 2^56 (256 signs, seven of fourteen; two units of two bytes).
        let add = |value: u64, random: u64, size: u64| {
            let sum = value + rest(random, size);
            if sum < size { sum } else { sum - size }
        };
        for [even, odd] in self.rounds.as_chunks::<2>().0 {
            left = add(left, even.number(right), self.sizes[0]);
            right = add(right, odd.number(left), self.sizes[1]);
        }
        [left, right]
    }
}

/// One permutation of all values that digits of these radices can have.
fn encrypt(key: &Key, class: usize, digits: &mut [Digit]) {
    let length = digits.len();
    let middle = length / 2;
    let (first, second) = digits.split_at_mut(middle);
    let ((left, left_size), (right, right_size)) = (number(first), number(second));
    let network = Network::of(key, class, length, [left_size, right_size]);
    let [left, right] = network.run([left, right], |sum, size| sum % size);
    spread(left, first);
    spread(right, second);
}

fn number(digits: &[Digit]) -> (u64, u64) {
    digits.iter().fold((0, 1), |(value, size), digit| {
        (value * digit.radix + digit.value, size * digit.radix)
    })
}

fn spread(mut number: u64, digits: &mut [Digit]) {
    for digit in digits.iter_mut().rev() {
        digit.value = number % digit.radix;
        number /= digit.radix;
    }
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
        let signs = b"aZ09_$zA 5-@~!";
        for length in 1..40 {
            for seed in 0..200_usize {
                // Every other text has letters and digits alone.
                let kinds = if seed % 2 == 0 { 8 } else { signs.len() };
                let text: Vec<u8> = (0..length)
                    .map(|at| signs[(seed * 31 + at * at * 7 + at * seed) % kinds])
                    .collect();
                written.clear();
                pseudonyms.write(&text, &mut units, &mut written);
                let mut units: Vec<u16> = text.iter().map(|&byte| u16::from(byte)).collect();
                pseudonyms.replace(&mut units);
                expected.clear();
                crate::units::encode(&units, &mut expected);
                assert_eq!(written, expected, "{text:?}");
            }
        }
    }
}
