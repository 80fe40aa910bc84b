//! Small cores made by hand: what of them comes into the image, what is refused, and that nothing panics.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use heapimage::{
    ARCHITECTURE_X64, Block, HEADER_BYTES, Header, Kind, Mapping, Order, PAGE, Sum, ThreadRecord,
    Trailer, check_mappings, register, table_bytes, thread_bytes,
};
use heapimage_core::{Core, CoreFault, Image, Opened, Options};
use made::{CoreFile, NODE, STACK, Thread, WORKER_STACK, node, symbols_of_node};
use proptest::prelude::*;
use zerocopy::FromBytes;

const OPTIONS: Options = Options { time: 5, output: 1, writer: "a test" };

fn opened<'a>(path: &str, bytes: &'a [u8]) -> Opened<'a> {
    let here = format!("/here{path}").into_bytes();
    Opened { path: path.into(), here, bytes, modified: 7, inode: 8 }
}

fn image_of(core: &CoreFile, node: &[u8]) -> Result<Vec<u8>, CoreFault> {
    let bytes = core.bytes();
    let core = Core::parse(&bytes)?;
    let opened = [opened(NODE, node)];
    let mut written = Vec::new();
    Image::of(&core, &opened, &OPTIONS)?.write(&mut written).unwrap();
    Ok(written)
}

/// An image, read as a restorer does.
struct Read {
    header: Header,
    mappings: Vec<Mapping>,
    /// Pages by address.
    pages: Vec<(u64, Vec<u8>)>,
}

fn read(image: &[u8]) -> Read {
    let (header, rest) = Header::read_from_prefix(image).unwrap();
    header.check(ARCHITECTURE_X64).unwrap();
    let length = usize::try_from(table_bytes(header.mapping_count, header.file_count)).unwrap();
    assert_eq!(Sum::of(&rest[..length]), header.tables_sum);
    let count = header.mapping_count as usize;
    let (mappings, _) = <[Mapping]>::ref_from_prefix_with_elems(rest, count).unwrap();
    check_mappings(&header, mappings).unwrap();
    let mut at = HEADER_BYTES + length;
    let (mut order, mut pages, mut totals) = (Order::default(), Vec::new(), (0, 0));
    let mut sums = Sum::new();
    sums.add(&header.sum.to_le_bytes());
    sums.add(&header.tables_sum.to_le_bytes());
    loop {
        let block = Block::read_from_bytes(&image[at..at + 4096]).unwrap();
        let trailer: Trailer = zerocopy::transmute!(block);
        at += 4096;
        if trailer.is_one() {
            trailer.check(totals.0, totals.1, sums.finish()).unwrap();
            break;
        }
        block.check(mappings, &mut order).unwrap();
        let mut sum = block.begin_sum();
        for run in block.runs() {
            for page in 0..run.pages {
                let bytes = image[at..at + 4096].to_vec();
                sum.add(&bytes);
                pages.push((run.address + page * PAGE, bytes));
                at += 4096;
            }
        }
        block.check_sum(&sum).unwrap();
        sums.add(&block.sum().to_le_bytes());
        totals = (totals.0 + 1, totals.1 + block.pages());
    }
    assert_eq!(at, image.len());
    assert!(totals.1 <= header.most_pages);
    Read { mappings: mappings.to_vec(), header, pages }
}

impl Read {
    fn page(&self, address: u64) -> Option<&[u8]> {
        self.pages.iter().find(|(at, _)| *at == address).map(|(_, bytes)| &**bytes)
    }

    fn mapping(&self, address: u64) -> Mapping {
        *self
            .mappings
            .iter()
            .find(|mapping| (mapping.start..mapping.end).contains(&address))
            .unwrap()
    }

    fn threads(&self) -> Vec<ThreadRecord> {
        let stride = thread_bytes(self.header.machine.xsave_bytes);
        let numbers = 0..u64::from(self.header.entry.thread_count);
        let page = |at| self.page(self.header.entry.threads + at * stride).unwrap();
        numbers.map(|at| ThreadRecord::read_from_bytes(page(at)).unwrap()).collect()
    }
}

#[test]
fn memory_comes_into_the_image_without_its_zeros() {
    let image = read(&image_of(&CoreFile::new(), &node(1)).unwrap());
    let heap = made::HEAP;
    assert_eq!(image.page(heap).map(|page| page[0]), Some(7));
    assert_eq!(image.page(heap + PAGE), None, "zeros");
    assert_eq!(image.mapping(heap).protection, 3);
    assert_eq!(image.mapping(STACK).kind(), Some(Kind::Stack));
    let vdso = image.mapping(made::VDSO);
    assert_eq!(vdso.kind(), Some(Kind::Vdso));
    assert!(image.page(made::VDSO + PAGE).is_some(), "of the vdso zeros too");
}

#[test]
fn code_comes_by_reference_and_over_it_what_the_core_has() {
    let image = read(&image_of(&CoreFile::new(), &node(1)).unwrap());
    let code = image.mapping(made::PROGRAM);
    assert_eq!((code.kind(), code.file, code.offset), (Some(Kind::File), 0, 0));
    assert!(image.page(made::PROGRAM).is_some());
    assert_eq!(image.page(made::PROGRAM + PAGE), None);
}

#[test]
fn v8_and_the_platform_are_found() {
    let v8 = read(&image_of(&CoreFile::new(), &node(1)).unwrap()).header.v8;
    let symbols = symbols_of_node();
    assert_eq!(
        v8.serialize,
        symbols["_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE"]
    );
    assert_eq!(v8.platform_table, symbols["_ZTVN4node12NodePlatformE"]);
    assert_eq!(
        v8.platform,
        made::HEAP + 64,
        "the object that begins with the table's first function"
    );
    assert_eq!(v8.post_task_is_plain, 1);
}

#[test]
fn the_process_goes_on_below_the_stack_of_its_main_thread() {
    let header = read(&image_of(&CoreFile::new(), &node(1)).unwrap()).header;
    assert_eq!(header.entry.stack, (STACK + 2 * PAGE - 256 - 4096) & !63);
    assert_eq!((header.pid, header.thread, header.time, header.entry.output), (1, 1, 5, 1));
    assert_eq!(header.entry.thread_pointer, 0x7000);
}

#[test]
fn a_main_thread_that_was_sent_a_signal_goes_on_with_the_others() {
    let mut core = CoreFile::new();
    core.threads.push(Thread {
        number: 2,
        call: 202,
        answer: -512,
        stack: WORKER_STACK + 512,
        xsave: vec![3; 900],
    });
    let image = read(&image_of(&core, &node(1)).unwrap());
    let threads = image.threads();
    let found: Vec<_> = threads.iter().map(|thread| (thread.number, thread.is_main)).collect();
    assert_eq!(found, [(2, 0), (1, 1)]);
    assert_eq!(threads[0].registers[register::RAX], 202, "its call begins again");
    assert_eq!(image.header.machine.xsave_bytes, 900);
    let area = image.page(image.header.entry.threads + PAGE).unwrap();
    assert_eq!((area[899], area[900]), (3, 0));
}

#[test]
fn a_main_thread_that_crashed_stays() {
    let mut core = CoreFile::new();
    core.signal = Some((11, 1));
    let image = read(&image_of(&core, &node(1)).unwrap());
    assert_eq!((image.header.entry.thread_count, image.header.entry.threads), (0, 0));
}

#[test]
fn without_a_way_to_a_safe_point_a_main_thread_in_javascript_is_refused() {
    let without = made::node_without(1, "_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_");
    assert_eq!(image_of(&CoreFile::new(), &without), Err(CoreFault::InsideJavaScript));
    let mut crashed = CoreFile::new();
    crashed.signal = Some((11, 1));
    assert!(image_of(&crashed, &without).is_ok());
}

#[test]
fn another_node_is_refused_by_its_build_id() {
    let Err(CoreFault::Files(missing)) = image_of(&CoreFile::new(), &node(2)) else {
        panic!("taken")
    };
    assert_eq!(missing.len(), 1);
    assert_eq!((&*missing[0].path, &*missing[0].build_id), (NODE, "01010101"));
    assert_eq!(missing[0].found.as_deref(), Some("02020202"));
    assert_eq!(missing[0].version.as_deref(), Some("24.1.2"), "the core tells");
    let text = CoreFault::Files(missing).to_string();
    assert!(
        text.contains("of Node.js 24.1.2 (build-id 01010101), and the file here is another"),
        "{text}"
    );
}

#[test]
fn a_node_that_is_not_here_is_asked_for() {
    let bytes = CoreFile::new().bytes();
    let core = Core::parse(&bytes).unwrap();
    let Err(fault) = Image::of(&core, &[], &OPTIONS) else { panic!("taken") };
    assert!(fault.to_string().ends_with("which is not here"), "{fault}");
}

#[test]
fn a_program_without_v8_is_told_apart() {
    let other = made::node_without(1, "_ZN2v87Isolate15GetHeapProfilerEv");
    let symbol = "_ZN2v87Isolate15GetHeapProfilerEv";
    let program = NODE.to_owned();
    assert_eq!(image_of(&CoreFile::new(), &other), Err(CoreFault::NotNode { program, symbol }));
}

#[test]
fn a_core_that_is_cut_says_how_much_is_there() {
    let bytes = CoreFile::new().bytes();
    let (expected, found) = (bytes.len() as u64, bytes.len() as u64 - 1);
    let cut = Core::parse(&bytes[..bytes.len() - 1]).err();
    assert_eq!(cut, Some(CoreFault::CutShort { expected, found }));
}

#[test]
fn other_files_are_no_cores() {
    assert_eq!(Core::parse(b"").err(), Some(CoreFault::NotACore));
    assert_eq!(Core::parse(&node(1)).err(), Some(CoreFault::NotACore));
    let mut arm = CoreFile::new().bytes();
    arm[18] = 183;
    assert_eq!(Core::parse(&arm).err(), Some(CoreFault::Architecture(183)));
}

#[test]
fn more_headers_than_their_count_can_say_are_read() {
    let mut core = CoreFile::new();
    core.many_headers = true;
    assert!(image_of(&core, &node(1)).is_ok());
}

#[test]
fn what_gdb_leaves_out_comes_from_the_files() {
    let mut core = CoreFile::new();
    core.segments.retain(|segment| segment.start != made::PROGRAM);
    let image = read(&image_of(&core, &node(1)).unwrap());
    let code = image.mapping(made::PROGRAM);
    assert_eq!((code.kind(), code.protection), (Some(Kind::File), 5));
}

const DATA: &str = "/usr/lib/locale/locale-archive";

/// The image of a core that has mapped a file without a build-id, so many times.
fn image_with_data(times: u64, data: &[u8], over: &[u8]) -> Result<Vec<u8>, CoreFault> {
    let mut core = CoreFile::new();
    let pages = data.len().div_ceil(4096);
    for start in (0..times).map(|at| made::HEAP + 0x100_0000 + at * 0x200_0000) {
        core.files.push((start, start + pages as u64 * PAGE, DATA));
        core.segments.push(made::Segment { start, flags: 4, contents: over.to_vec(), pages });
    }
    core.segments.sort_by_key(|segment| segment.start);
    let (bytes, node) = (core.bytes(), node(1));
    let core = Core::parse(&bytes)?;
    let mut written = Vec::new();
    let opened = [opened(NODE, &node), opened(DATA, data)];
    Image::of(&core, &opened, &OPTIONS)?.write(&mut written).unwrap();
    Ok(written)
}

#[test]
fn a_file_without_a_build_id_comes_into_the_image_below_what_the_core_has() {
    let image = read(&image_with_data(1, &[5; 3 * 4096 - 1], &[6; 4096]).unwrap());
    let start = made::HEAP + 0x100_0000;
    let first_and_last = |at: u64| image.page(start + at * PAGE).map(|page| (page[0], page[4095]));
    assert_eq!(first_and_last(0), Some((6, 6)));
    assert_eq!(first_and_last(1), Some((5, 5)));
    assert_eq!(first_and_last(2), Some((5, 0)));
}

#[test]
fn files_without_a_build_id_are_not_taken_without_end() {
    let data = vec![5; 24 << 20];
    assert!(image_with_data(2, &data, &[]).is_ok());
    let refused = image_with_data(3, &data, &[]);
    assert_eq!(refused, Err(CoreFault::TooMany("bytes of files without a build-id")));
}

#[test]
fn mappings_that_overlap_are_refused() {
    let mut core = CoreFile::new();
    let again = core.segments[0].clone();
    core.segments.push(again);
    assert_eq!(image_of(&core, &node(1)), Err(CoreFault::Malformed("its mappings overlap")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut core = CoreFile::new().bytes();
        for (at, value) in &flips {
            let at = at.index(2048.min(core.len()));
            core[at] = *value;
        }
        let mut node = node(1);
        for (at, value) in flips {
            let at = at.index(node.len());
            node[at] = value;
        }
        if let Ok(parsed) = Core::parse(&core) {
            let _ = parsed.files();
            if let Ok(image) = Image::of(&parsed, &[opened(NODE, &node)], &OPTIONS) {
                let _ = image.write(std::io::sink());
            }
        }
    }

    #[test]
    fn cut_cores_never_panic(length in 0_usize..20_000) {
        let core = CoreFile::new().bytes();
        let _ = Core::parse(&core[..length.min(core.len())]).map(|core| core.node_version());
    }
}
