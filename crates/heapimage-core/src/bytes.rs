/// Little-endian numbers at any place of bytes that may be too few.
pub(crate) trait Bytes {
    /// `length` bytes at `offset`.
    fn part(&self, offset: u64, length: u64) -> Option<&[u8]>;

    fn u16_at(&self, offset: u64) -> Option<u16> {
        self.part(offset, 2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32_at(&self, offset: u64) -> Option<u32> {
        self.part(offset, 4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64_at(&self, offset: u64) -> Option<u64> {
        self.part(offset, 8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// The text at `offset`, without the zero behind it.
    fn text_at(&self, offset: u64) -> Option<&[u8]>;
}

impl Bytes for [u8] {
    fn part(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.get(start..end)
    }

    fn text_at(&self, offset: u64) -> Option<&[u8]> {
        let rest = self.get(usize::try_from(offset).ok()?..)?;
        rest.get(..memchr::memchr(0, rest)?)
    }
}
