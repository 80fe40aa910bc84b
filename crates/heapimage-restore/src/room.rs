//! Room in the address space of an image: below its stack, and between its mappings.

use heapimage::{FLOOR, Kind, Mapping};

/// A stack grows by so much at most: as RLIMIT_STACK is usually 8 MiB, and V8 takes a snapshot of deep structures.
const STACK_ROOM: u64 = 64 << 20;
/// So much stays free below it.
const STACK_GAP: u64 = 1 << 20;

/// Where a mapping begins when it comes back: a stack is only as large as it was used, and gets room below.
#[must_use]
pub fn start_of(mappings: &[Mapping], index: usize) -> u64 {
    let Some(mapping) = mappings.get(index) else { return 0 };
    if mapping.kind() != Some(Kind::Stack) {
        return mapping.start;
    }
    let below = index.checked_sub(1).and_then(|index| mappings.get(index));
    let free = mapping.start - below.map_or(FLOOR, |mapping| mapping.end);
    let mut room = STACK_ROOM;
    while room >= heapimage::PAGE && free < room + STACK_GAP {
        room /= 2;
    }
    if room < heapimage::PAGE { mapping.start } else { mapping.start - room }
}

/// The lowest place for so many bytes that no mapping wants; all below `highest`.
#[must_use]
pub fn gap_for(mappings: &[Mapping], bytes: u64, highest: u64) -> Option<u64> {
    let mut free = FLOOR;
    for (index, mapping) in mappings.iter().enumerate() {
        if start_of(mappings, index).saturating_sub(free) >= bytes {
            return Some(free);
        }
        free = mapping.end;
    }
    (highest.saturating_sub(free) >= bytes).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapimage::NO_FILE;

    fn mapping(start: u64, end: u64, kind: Kind) -> Mapping {
        let kind = Mapping::kind_number(kind);
        Mapping { start, end, offset: 0, protection: 3, kind, file: NO_FILE, reserved: [0; 3] }
    }

    #[test]
    fn a_stack_has_room_below_it_and_nobody_elses() {
        let stack = 0x7ffe_0000_0000;
        let mut mappings = [
            mapping(0x40_0000, 0x50_0000, Kind::Memory),
            mapping(stack, stack + 4096, Kind::Stack),
        ];
        assert_eq!(start_of(&mappings, 1), stack - (64 << 20));
        mappings[0].end = stack - (20 << 20);
        assert_eq!(start_of(&mappings, 1), stack - (16 << 20));
        mappings[0].end = stack;
        assert_eq!(start_of(&mappings, 1), stack);
    }

    #[test]
    fn a_gap_is_above_the_restorer_and_beside_all_mappings() {
        let stack = 0x50_0000 + (80 << 20);
        let mappings = [
            mapping(0x40_0000, 0x50_0000, Kind::Memory),
            mapping(stack, stack + 4096, Kind::Stack),
        ];
        assert_eq!(gap_for(&mappings, 4096, 1 << 40), Some(0x50_0000));
        // The room of the stack is not free.
        assert_eq!(gap_for(&mappings, 17 << 20, 1 << 40), Some(stack + 4096));
        assert_eq!(gap_for(&mappings, 17 << 20, stack + 4096), None);
        assert_eq!(gap_for(&mappings[1..], 4096, 1 << 40), Some(FLOOR));
    }
}
