//! What a restorer accepts, and that nothing else gets through or panics.

use heapimage::{
    ARCHITECTURE_X64, BLOCK_PAGES, BLOCK_RUNS, Block, Fault, FileRecord, Header, Kind, Mapping,
    NO_FILE, Order, Origin, Run, Sum, Trailer, check_mappings,
};
use proptest::prelude::*;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

fn header() -> Header {
    let mut header = Header::new(ARCHITECTURE_X64, Origin::Child);
    header.mapping_count = 2;
    header.machine.highest = 0x7fff_0000_0000;
    header.entry.stack = 0x7ffe_0000_0000;
    header.entry.output = 30;
    header.seal();
    header
}

fn mapping(start: u64, end: u64) -> Mapping {
    let kind = Mapping::kind_number(Kind::Memory);
    Mapping { start, end, offset: 0, protection: 3, kind, file: NO_FILE, reserved: [0; 3] }
}

fn block(pages: &[u64]) -> Block {
    let mut block = Block::new_zeroed();
    block.begin();
    for &page in pages {
        assert!(block.add_page(page));
    }
    block
}

#[test]
fn a_sealed_header_is_accepted() {
    assert_eq!(header().check(ARCHITECTURE_X64), Ok(()));
}

#[test]
fn an_image_of_another_architecture_is_told_apart() {
    let found = ARCHITECTURE_X64;
    assert_eq!(header().check(183), Err(Fault::Architecture { found, here: 183 }));
}

#[test]
fn an_image_of_another_version_is_told_apart_before_its_checksum() {
    let mut header = header();
    header.version = 9;
    assert_eq!(header.check(ARCHITECTURE_X64), Err(Fault::Version(9)));
}

#[test]
fn descriptors_come_back_in_order() {
    let mut header = header();
    for descriptor in [9, 0, 32767, 32768, 1] {
        header.note_descriptor(descriptor);
    }
    assert_eq!(header.open_descriptors().collect::<Vec<_>>(), [0, 1, 9, 32767]);
}

#[test]
fn mappings_are_apart_and_above_the_restorer() {
    let header = header();
    let check = |mappings: &[Mapping]| check_mappings(&header, mappings);
    assert_eq!(check(&[mapping(0x40_0000, 0x40_1000), mapping(0x40_1000, 0x41_0000)]), Ok(()));
    let wrong = [
        [mapping(0x3f_f000, 0x40_1000), mapping(0x50_0000, 0x50_1000)],
        [mapping(0x40_0000, 0x42_0000), mapping(0x41_0000, 0x43_0000)],
        [mapping(0x40_0000, 0x40_0000), mapping(0x41_0000, 0x43_0000)],
        [mapping(0x40_0000, 0x40_0800), mapping(0x41_0000, 0x43_0000)],
        [mapping(0x40_0000, 0x40_1000), mapping(0x7ffe_0000_0000, 0x7fff_0000_1000)],
    ];
    for mappings in wrong {
        assert!(matches!(check(&mappings), Err(Fault::Malformed(_))), "{mappings:x?}");
    }
}

#[test]
fn a_file_that_is_not_listed_is_not_mapped() {
    let mut of_file = mapping(0x40_0000, 0x40_1000);
    of_file.kind = Mapping::kind_number(Kind::File);
    for file in [NO_FILE, 0, 7] {
        of_file.file = file;
        assert!(matches!(check_mappings(&header(), &[of_file]), Err(Fault::Malformed(_))));
    }
}

#[test]
fn the_record_of_a_file_has_a_path_that_ends() {
    let mut record = FileRecord::new_zeroed();
    assert!(record.check().is_err());
    record.path[..4].copy_from_slice(b"/lib");
    record.path_bytes = 4;
    assert_eq!(record.check(), Ok(()));
    assert_eq!(record.path(), b"/lib");
    record.path_bytes = u32::MAX;
    assert!(record.check().is_err());
}

#[test]
fn pages_beside_each_other_are_one_run() {
    let block = block(&[0x40_0000, 0x40_1000, 0x40_3000]);
    let (one, other) = (Run { address: 0x40_0000, pages: 2 }, Run { address: 0x40_3000, pages: 1 });
    assert_eq!(block.runs(), [one, other]);
}

#[test]
fn a_full_block_takes_no_more_pages() {
    let mut scattered = block(&[]);
    let taken = (0..).take_while(|&n| scattered.add_page(0x40_0000 + n * 0x2000)).count();
    assert_eq!(taken, BLOCK_RUNS);
    let mut dense = block(&[]);
    let taken = (0..).take_while(|&n| dense.add_page(0x40_0000 + n * 0x1000)).count();
    assert_eq!(taken as u64, BLOCK_PAGES);
}

#[test]
fn runs_outside_of_their_mapping_or_out_of_order_are_refused() {
    let mappings = [mapping(0x40_0000, 0x40_2000), mapping(0x50_0000, 0x50_2000)];
    let check = |block: &Block, order: &mut Order| block.check(&mappings, order).is_ok();
    let mut order = Order::default();
    assert!(check(&block(&[0x40_0000, 0x50_0000]), &mut order));
    assert!(check(&block(&[0x50_1000]), &mut order));
    assert!(!check(&block(&[0x50_1000]), &mut order), "twice");
    for pages in [&[0x40_1000, 0x40_2000][..], &[0x3f_f000], &[0x60_0000], &[0x50_0000, 0x40_0000]]
    {
        assert!(!check(&block(pages), &mut Order::default()), "{pages:x?}");
    }
}

#[test]
fn a_flipped_bit_changes_every_checksum() {
    let page = [7; 4096];
    let mut block = block(&[0x40_0000]);
    let mut sum = block.begin_sum();
    sum.add(&page);
    block.seal(&sum);
    let mut again = block.begin_sum();
    again.add(&page);
    assert_eq!(block.check_sum(&again), Ok(()));
    let mut flipped = page;
    flipped[4095] ^= 1;
    let mut other = block.begin_sum();
    other.add(&flipped);
    assert!(block.check_sum(&other).is_err());

    let mut trailer = Trailer::new_zeroed();
    trailer.begin(1, 1, 5);
    assert_eq!(trailer.check(1, 1, 5), Ok(()));
    assert!(trailer.check(1, 2, 5).is_err());
    trailer.pages = 2;
    assert!(trailer.check(1, 2, 5).is_err());
}

proptest! {
    #[test]
    fn a_header_with_a_flipped_bit_is_refused(bit in 0..8192 * 8_usize) {
        let mut bytes = header().as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let header = Header::read_from_bytes(&bytes).expect("its length");
        prop_assert!(header.check(ARCHITECTURE_X64).is_err());
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 8192)) {
        let mut header = Header::read_from_bytes(&bytes).expect("its length");
        header.machine.highest = u64::MAX;
        let block = Block::read_from_bytes(&bytes[..4096]).expect("its length");
        let mapping = Mapping::read_from_bytes(&bytes[..48]).expect("its length");
        let _ = (header.check(ARCHITECTURE_X64), check_mappings(&header, &[mapping]));
        let _ = (block.pages(), block.runs(), block.check(&[mapping], &mut Order::default()));
        let file = FileRecord::read_from_bytes(&bytes[..4096]).expect("its length");
        let _ = (file.check(), file.path(), file.build_id(), Sum::of(&bytes));
    }
}
