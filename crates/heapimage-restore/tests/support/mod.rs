//! Images made by hand, and the program that restores them.
#![allow(dead_code)]

pub mod code;

use heapimage::{ARCHITECTURE_X64, Block, Header, Kind, Mapping, NO_FILE, Origin, Sum, Trailer};
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use zerocopy::{FromZeros, IntoBytes};

pub const CODE: u64 = 0x5555_0000_0000;
pub const DATA: u64 = 0x5555_0010_0000;
pub const STACK: u64 = 0x7ffd_0000_0000;
pub const PAGE: usize = 4096;
/// The number that the output has in the restored process.
pub const OUTPUT: u32 = 23;

/// A process: code at [`CODE`], memory at [`DATA`], which its function is given, and a stack.
pub struct Image {
    pub header: Header,
    pub mappings: Vec<Mapping>,
    pub files: Vec<heapimage::FileRecord>,
    pub pages: Vec<(u64, Vec<u8>)>,
}

impl Image {
    pub fn of(code: &[u8], data: &[u8]) -> Image {
        let mut header = Header::new(ARCHITECTURE_X64, Origin::Child);
        header.machine.highest = 0x7fff_ffff_f000;
        header.entry.function = CODE;
        header.entry.argument = DATA;
        header.entry.stack = STACK + 2 * PAGE as u64;
        header.entry.output = OUTPUT;
        let data_end = DATA + data.len().next_multiple_of(PAGE).max(PAGE) as u64;
        let code_end = CODE + code.len().next_multiple_of(PAGE) as u64;
        let mappings = vec![
            mapping(CODE, code_end, 5, Kind::Memory),
            mapping(DATA, data_end, 3, Kind::Memory),
            mapping(STACK, STACK + 2 * PAGE as u64, 3, Kind::Stack),
        ];
        let pages = [(CODE, code), (DATA, data)].into_iter().flat_map(|(start, bytes)| {
            bytes.chunks(PAGE).zip(0..).map(move |(bytes, index)| {
                let mut page = bytes.to_vec();
                page.resize(PAGE, 0);
                (start + index * PAGE as u64, page)
            })
        });
        Image { header, mappings, files: Vec::new(), pages: pages.collect() }
    }

    /// As a writer writes it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.mapping_count = self.mappings.len() as u32;
        header.file_count = self.files.len() as u32;
        header.most_pages = self.pages.len() as u64;
        let mut tables = [self.mappings.as_bytes(), self.files.as_bytes()].concat();
        tables.resize(tables.len().next_multiple_of(PAGE), 0);
        header.tables_sum = Sum::of(&tables);
        header.seal();
        let mut sums = Sum::new();
        sums.add(&header.sum.to_le_bytes());
        sums.add(&header.tables_sum.to_le_bytes());
        let mut bytes = [header.as_bytes(), &tables].concat();
        let mut blocks = 0;
        // Few pages in a block, so that there is more than one.
        for pages in self.pages.chunks(3) {
            let mut block = Block::new_zeroed();
            block.begin();
            for (address, _) in pages {
                assert!(block.add_page(*address));
            }
            let mut sum = block.begin_sum();
            pages.iter().for_each(|(_, page)| sum.add(page));
            block.seal(&sum);
            sums.add(&block.sum().to_le_bytes());
            bytes.extend(block.as_bytes());
            pages.iter().for_each(|(_, page)| bytes.extend(page));
            blocks += 1;
        }
        let mut trailer = Trailer::new_zeroed();
        trailer.begin(blocks, self.pages.len() as u64, sums.finish());
        bytes.extend(trailer.as_bytes());
        bytes
    }

    /// Restores it: how that ended, and what came out.
    pub fn restore(&self, arguments: &[&str]) -> Restored {
        restore(&self.bytes(), arguments)
    }
}

pub fn mapping(start: u64, end: u64, protection: u32, kind: Kind) -> Mapping {
    let kind = Mapping::kind_number(kind);
    Mapping { start, end, offset: 0, protection, kind, file: NO_FILE, reserved: [0; 3] }
}

/// How a restorer ended.
#[derive(Debug)]
pub struct Restored {
    pub status: Option<i32>,
    pub output: Vec<u8>,
    pub messages: String,
}

impl Restored {
    /// The lines that begin so, without that; with nothing, those that do not say what the image is.
    pub fn told(&self, begin: &str) -> Vec<&str> {
        let lines =
            self.messages.lines().filter(|line| !begin.is_empty() || !line.starts_with("is "));
        lines.filter_map(|line| line.strip_prefix(begin)).collect()
    }
}

pub fn restore(image: &[u8], arguments: &[&str]) -> Restored {
    let mut command = Command::new(program());
    command.args(arguments);
    restore_with(image, command)
}

/// By a command that ends in the restorer's.
pub fn restore_with(image: &[u8], mut command: Command) -> Restored {
    command.stdin(file_of(image)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Output { status, stdout, stderr } = command.output().expect("the program");
    let messages = String::from_utf8_lossy(&stderr).into_owned();
    Restored { status: status.code(), output: stdout, messages }
}

/// An open file without a name.
pub fn file_of(image: &[u8]) -> File {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(image).expect("written");
    file.rewind().expect("its begin");
    file
}

/// The program, built once.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
        let words = "rustc -p heapimage-restore --bin heapimage-restore --features program --profile restorer --quiet";
        let built = Command::new(env!("CARGO"))
            .args(words.split(' '))
            .args(["--target-dir".as_ref(), target.as_os_str()])
            .args(["--", "-C", "relocation-model=static"])
            .current_dir(root)
            .status();
        assert!(built.expect("cargo").success(), "the restorer does not build");
        target.join("restorer/heapimage-restore")
    })
}
