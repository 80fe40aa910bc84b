use xxhash_rust::xxh3::Xxh3;

/// A checksum over several pieces: XXH3-64.
pub struct Sum(Xxh3);

impl Sum {
    /// Over nothing yet.
    #[must_use]
    pub fn new() -> Sum {
        Sum(Xxh3::new())
    }

    /// Adds the next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all pieces.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }

    /// Of one piece.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64(bytes)
    }
}

impl Default for Sum {
    fn default() -> Self {
        Sum::new()
    }
}
