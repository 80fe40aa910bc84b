//! Images that a fuzzer makes up, with right checksums, as a stranger would make them: whatever the reader lets through lies
//! where it may. And any bytes as a vdso, an ELF file and an image.

#![no_main]

use heapimage::{
    ARCHITECTURE_X64, BLOCK_RUNS, Block, FLOOR, FileRecord, HEADER_BYTES, Header, Mapping, Origin,
    PAGE, Run, Sum, Trailer,
};
use heapimage_restore::blocks::{Pages, read_blocks};
use heapimage_restore::build_id::build_id;
use heapimage_restore::input::Input;
use heapimage_restore::stop::Stop;
use heapimage_restore::tables::{Tables, read_header, room_for};
use heapimage_restore::{room, vdso};
use libfuzzer_sys::fuzz_target;
use zerocopy::{FromZeros, IntoBytes};

fuzz_target!(|data: &[u8]| {
    let _ = build_id(&data);
    let mut copy = data.to_vec();
    let _ = vdso::replace_functions(&mut copy);
    assert!(copy.len() == data.len());
    read(&data);
    read(&sealed(data).as_slice());
});

/// All that a restorer does before it maps anything, and what it relies on then.
fn read(image: &impl Input) {
    let mut header = Header::new_zeroed();
    if read_header(image, ARCHITECTURE_X64, &mut header).is_err() || room_for(&header) > 1 << 20 {
        return;
    }
    // Words, because tables are read in place.
    let mut bytes = vec![0_u64; usize::try_from(room_for(&header)).expect("small") / 8];
    let Ok(tables) = Tables::read(image, &header, bytes.as_mut_bytes()) else { return };
    let mut end = FLOOR;
    for (index, mapping) in tables.mappings.iter().enumerate() {
        let start = room::start_of(tables.mappings, index);
        assert!(end <= start && start <= mapping.start && mapping.start < mapping.end);
        assert!(tables.mapping_at(mapping.start).is_some());
        end = mapping.end;
    }
    if let Some(gap) = room::gap_for(tables.mappings, PAGE, 0x7fff_ffff_f000) {
        assert!(gap >= FLOOR && tables.mapping_at(gap).is_none());
    }
    let _ = read_blocks(image, &header, &tables, &mut Inside { mappings: tables.mappings, end: 0 });
}

/// Pages come in order, and only inside of their mapping.
struct Inside<'a> {
    mappings: &'a [Mapping],
    end: u64,
}

impl Pages for Inside<'_> {
    fn take(
        &mut self,
        input: &impl Input,
        offset: u64,
        run: &Run,
        mapping: usize,
        sum: &mut Sum,
    ) -> Result<(), Stop> {
        let within = self.mappings[mapping];
        let end = run.address + run.pages * PAGE;
        assert!(run.pages > 0 && run.address >= self.end);
        assert!(run.address >= within.start && end <= within.end);
        self.end = end;
        let mut page = [0; PAGE as usize];
        for index in 0..run.pages {
            input.read_exactly(offset + index * PAGE, &mut page)?;
            sum.add(&page);
        }
        Ok(())
    }
}

/// An image of what the bytes say: how many mappings, files and runs, then these, then the header's own fields.
fn sealed(data: &[u8]) -> Vec<u8> {
    let Some((counts, rest)) = data.split_first_chunk::<4>() else { return Vec::new() };
    let mut rest = rest;
    let mut take = |bytes: &mut [u8]| {
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
    };
    let mut header = Header::new(ARCHITECTURE_X64, Origin::Child);
    header.machine.highest = 0x7fff_ffff_f000;
    header.most_pages = 1 << 20;
    let mut mappings = vec![Mapping::new_zeroed(); usize::from(counts[0] % 8)];
    mappings.iter_mut().for_each(|mapping| take(mapping.as_mut_bytes()));
    let mut files = vec![FileRecord::new_zeroed(); usize::from(counts[1] % 3)];
    files.iter_mut().for_each(|file| take(&mut file.as_mut_bytes()[..160]));
    take(header.entry.as_mut_bytes());
    if counts[3] & 1 == 1 {
        take(header.machine.as_mut_bytes());
    }
    header.mapping_count = u32::from(counts[0] % 8);
    header.file_count = u32::from(counts[1] % 3);
    let mut tables = [mappings.as_bytes(), files.as_bytes()].concat();
    tables.resize(tables.len().next_multiple_of(PAGE as usize), 0);
    header.tables_sum = Sum::of(&tables);
    header.seal();
    let mut sums = Sum::new();
    sums.add(&header.sum.to_le_bytes());
    sums.add(&header.tables_sum.to_le_bytes());
    let mut image = [header.as_bytes(), &tables].concat();
    assert!(image.len() >= HEADER_BYTES);
    let (mut blocks, mut pages) = (0, 0);
    while blocks < u64::from(counts[2] % 4) {
        let mut block = Block::new_zeroed();
        block.begin();
        // Behind magic and checksum: the count of runs, then the runs.
        take(&mut block.as_mut_bytes()[16..16 + 8 + 16 * 8]);
        let mut sum = block.begin_sum();
        let count = if block.runs().len() > BLOCK_RUNS { 0 } else { block.pages().min(64) };
        let contents = vec![7; usize::try_from(count * PAGE).expect("small")];
        sum.add(&contents);
        block.seal(&sum);
        sums.add(&block.sum().to_le_bytes());
        image.extend(block.as_bytes());
        image.extend(contents);
        blocks += 1;
        pages += count;
    }
    let mut trailer = Trailer::new_zeroed();
    trailer.begin(blocks, pages, sums.finish());
    image.extend(trailer.as_bytes());
    image
}
