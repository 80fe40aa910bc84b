//! Where an image is read from.

use crate::stop::Stop;
use heapimage::Fault;

/// Bytes that can be read from any place, more than once.
pub trait Input {
    /// As pread(2): how many bytes there were, 0 behind the end.
    ///
    /// # Errors
    ///
    /// The number of the system's error.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, i32>;

    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`Fault::CutShort`] where there are fewer.
    fn read_exactly(&self, mut offset: u64, mut bytes: &mut [u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let read = self.read_at(offset, bytes).map_err(Stop::Unreadable)?;
            if read == 0 {
                return Err(Fault::CutShort.into());
            }
            offset = offset.saturating_add(read as u64);
            bytes = bytes.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }
}

impl Input for &[u8] {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, i32> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.get(from..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
