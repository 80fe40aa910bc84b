//! The page's layout: a header and two slots that are written in turn, as `lib/cli/facts.js` reads them.
//!
//! The header: `HEAPDUMP`, the format (`u32`), and at 16 how often a slot was written (`u64`); the last one is slot 0 when that is
//! even. A slot: the length of its JSON (`u32`), and the JSON. Numbers are in the machine's order. So a reader finds one whole slot
//! whenever it looks, also when this process was stopped while it wrote the other.

use crate::process::PublicPage;
use std::ffi::CStr;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::fence;

const NAME: &CStr = c"heapdump-rs";
const MAGIC: &[u8; 8] = b"HEAPDUMP";
/// Raised when a reader of the old one would misread the new one; members may be added without.
const FORMAT: u32 = 1;
const COUNT_AT: usize = 16;
const HEADER_SIZE: usize = 64;
const SLOT_SIZE: usize = 16 * 1024;

/// The longest text that fits.
pub(super) const MOST_BYTES: usize = SLOT_SIZE - size_of::<u32>();

pub(super) struct Page(PublicPage);

impl Page {
    /// `None` where there can be none.
    pub(super) fn new() -> Option<Page> {
        let mut page = PublicPage::new(NAME, HEADER_SIZE + 2 * SLOT_SIZE).ok()?;
        page.write(0, MAGIC);
        page.write(MAGIC.len(), &FORMAT.to_ne_bytes());
        Some(Page(page))
    }

    /// Shows `text` in the place of the last one; [`MOST_BYTES`] at most.
    pub(super) fn show(&mut self, text: &[u8]) {
        let Ok(length) = u32::try_from(text.len()) else { return };
        let Some(count) = self.0.number(COUNT_AT).map(|count| count.load(Relaxed) + 1) else {
            return;
        };
        // Whoever has seen the last count reads the other slot; this one is not touched before that count can be seen.
        fence(Release);
        let slot = HEADER_SIZE + if count % 2 == 0 { 0 } else { SLOT_SIZE };
        self.0.write(slot, &length.to_ne_bytes());
        self.0.write(slot + size_of::<u32>(), text);
        if let Some(place) = self.0.number(COUNT_AT) {
            place.store(count, Release);
        }
    }
}
