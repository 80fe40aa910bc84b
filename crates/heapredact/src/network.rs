//! A permutation of all texts of one length and class: a Feistel network over the numbers that their two halves are.

use crate::Key;
use crate::key::Tweaked;

/// Where a half has many values fewer are enough: to who sees fewer texts than that, six rounds are a random permutation (Patarin,
/// Security of Random Feistel Schemes with 5 or More Rounds, CRYPTO 2004).
const ROUNDS: usize = 8;
const ROUNDS_OF_MANY: usize = 6;
const MANY: u64 = 1 << 18;

#[derive(Clone, Copy)]
pub(crate) struct Digit {
    pub(crate) value: u64,
    pub(crate) radix: u64,
}

/// What the key makes of a class and length: a Feistel network over two numbers.
pub(crate) struct Network {
    rounds: [Tweaked; ROUNDS],
    /// How many of them.
    times: usize,
    /// How many there are of each number.
    sizes: [u64; 2],
}

impl Network {
    /// Of so many digits of so many values each.
    pub(crate) fn new(key: &Key, class: usize, length: usize, radix: u64) -> Network {
        let size = |digits: usize| (0..digits).fold(1, |size, _| size * radix);
        Network::of(key, class, length, [size(length / 2), size(length - length / 2)])
    }

    fn of(key: &Key, class: usize, length: usize, sizes: [u64; 2]) -> Network {
        let tweak = (class as u64) << 40 | (length as u64) << 8;
        let rounds = std::array::from_fn(|round| key.tweaked(tweak | round as u64));
        let times = if sizes[0] < MANY { ROUNDS } else { ROUNDS_OF_MANY };
        Network { rounds, times, sizes }
    }

    /// One permutation of all texts of its length, whose digits are below `RADIX`: a constant, by which a compiler divides fast.
    pub(crate) fn encrypt<const RADIX: u64>(&self, digits: &mut [u8]) {
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
            self.run([left, right], add_bits)
        } else {
            self.run([left, right], add)
        };
        spread(left, first);
        spread(right, second);
    }

    /// `add` is [`add_bits`] where both sizes are powers of two, else [`add`].
    #[inline]
    pub(crate) fn run(
        &self,
        [mut left, mut right]: [u64; 2],
        add: impl Fn(u64, u64, u64) -> u64,
    ) -> [u64; 2] {
        for [even, odd] in self.rounds.as_chunks::<2>().0.iter().take(self.times / 2) {
            left = add(left, even.number(right), self.sizes[0]);
            right = add(right, odd.number(left), self.sizes[1]);
        }
        [left, right]
    }
}

/// The sum of a value and a random number, below a size that both are of. Sizes are at most 2^56 (256 signs, seven of fourteen; two
/// units of two bytes).
#[inline]
pub(crate) fn add(value: u64, random: u64, size: u64) -> u64 {
    let random = ((u128::from(random) * u128::from(size)) >> 64) as u64;
    let sum = value + random;
    if sum < size { sum } else { sum - size }
}

#[inline]
pub(crate) fn add_bits(value: u64, random: u64, size: u64) -> u64 {
    value.wrapping_add(random) & (size - 1)
}

/// One permutation of all values that digits of these radices can have.
pub(crate) fn encrypt(key: &Key, class: usize, digits: &mut [Digit]) {
    let length = digits.len();
    let middle = length / 2;
    let (first, second) = digits.split_at_mut(middle);
    let ((left, left_size), (right, right_size)) = (number(first), number(second));
    let network = Network::of(key, class, length, [left_size, right_size]);
    let [left, right] = network.run([left, right], add);
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
