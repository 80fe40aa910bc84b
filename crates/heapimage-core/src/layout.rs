use crate::core::{AT_RANDOM, AT_SYSINFO_EHDR, Core, base_name, library_name, shown};
use crate::fault::Missing;
use crate::notes::FileMapping;
use crate::object::{Object, version_in};
use crate::threads::Threads;
use crate::{CoreFault, v8};
use heapimage::{
    ARCHITECTURE_X64, FILE_PATH_BYTES, FLOOR, FileRecord, Header, Kind, MOST_FILES, MOST_MAPPINGS,
    Mapping, NO_FILE, Origin, PAGE,
};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use zerocopy::FromZeros;

/// A file that the process had, as it is here.
pub struct Opened<'a> {
    /// Where the process had it.
    pub path: Vec<u8>,
    /// Where it is.
    pub here: Vec<u8>,
    /// All of it.
    pub bytes: &'a [u8],
    /// Seconds since 1970.
    pub modified: u64,
    /// See stat(2).
    pub inode: u64,
}

/// How the image is made.
pub struct Options {
    /// When the core was written, in milliseconds since 1970.
    pub time: u64,
    /// The descriptor that the snapshot is written to.
    pub output: u32,
    /// Who makes it, as `heapdump-rs 0.1.0`.
    pub writer: &'static str,
}

/// The image of a core: all but the pages, which are read when it is written.
pub struct Image<'a> {
    pub(crate) header: Header,
    pub(crate) mappings: Vec<Mapping>,
    /// Beside `mappings`.
    pub(crate) contents: Vec<Contents<'a>>,
    pub(crate) files: Vec<FileRecord>,
    /// Bytes of files in `contents`.
    embedded: usize,
    /// What a person may want to know.
    pub remarks: Vec<String>,
}

/// What the pages of a mapping are, from its start.
pub(crate) struct Contents<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// What follows, of a file; `bytes` are whole pages then.
    pub(crate) rest: &'a [u8],
    /// Zeros too: they lie over a file's, or the restorer wants all of them.
    pub(crate) zeros_too: bool,
}

impl Contents<'_> {
    fn pages(&self) -> u64 {
        (self.bytes.len() as u64).div_ceil(PAGE) + (self.rest.len() as u64).div_ceil(PAGE)
    }
}

/// A file without a build-id is taken into the image, unless it is longer: data of some kind. All of them together, too.
const MOST_EMBEDDED: usize = 64 << 20;
const PAGE_BYTES: usize = 4096;
const _: () = assert!(PAGE_BYTES as u64 == PAGE);
/// Above all that a program has without asking for more (five-level page tables).
pub(crate) const ADDRESSES: u64 = 1 << 47;
impl<'a> Image<'a> {
    /// `opened`: of [`Core::files`] those that are here.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn of(
        core: &'a Core<'a>,
        opened: &[Opened<'a>],
        options: &Options,
    ) -> Result<Image<'a>, CoreFault> {
        let mut image = Image {
            header: Header::new(ARCHITECTURE_X64, Origin::Core),
            mappings: Vec::new(),
            contents: Vec::new(),
            files: Vec::new(),
            embedded: 0,
            remarks: Vec::new(),
        };
        let usable = image.usable(core, opened)?;
        let addresses = addresses(core, &usable);
        let program = || shown(core.program().unwrap_or_default());
        image.header.v8 = v8::functions(&addresses, |table| v8::object_in(core, table))
            .map_err(|symbol| CoreFault::NotNode { program: program(), symbol })?;
        if image.header.v8.platform == 0 {
            image.remarks.push(
                "Node's platform was not found in it: V8's tasks may want threads that are gone"
                    .to_owned(),
            );
        }
        image.map(core, &usable)?;
        image.add_threads(core)?;
        image.fill_header(core, &addresses, options)?;
        Ok(image)
    }

    /// The files here that are those of the process.
    fn usable<'o>(
        &mut self,
        core: &Core<'_>,
        opened: &'o [Opened<'a>],
    ) -> Result<HashMap<&'o [u8], &'o Opened<'a>>, CoreFault> {
        let by_path: HashMap<&[u8], _> = opened.iter().map(|file| (&*file.path, file)).collect();
        let needed = needed(core, &by_path);
        let (mut usable, mut missing) = (HashMap::new(), Vec::new());
        for named in core.files() {
            let wanted = core.build_id(named.path);
            let file = by_path.get(named.path).copied();
            let found =
                file.map(|file| Object::parse(file.bytes).and_then(|object| object.build_id()));
            // Where the core does not tell, a file of that name is believed.
            let fits =
                found.is_some() && (wanted.is_none() || found.flatten() == wanted.as_deref());
            if fits {
                usable.extend(file.map(|file| (&*file.path, file)));
                continue;
            }
            let version = |known: Option<String>| known.filter(|_| named.is_program);
            let missed = Missing {
                path: shown(named.path),
                build_id: hexadecimal(&wanted.unwrap_or_default()),
                found: found.map(|id| hexadecimal(id.unwrap_or_default())),
                version: version(core.node_version()),
                found_version: version(file.and_then(|file| version_in(file.bytes))),
            };
            if named.is_program || needed.contains(library_name(named.path)) {
                missing.push(missed);
            } else if is_code(named.path) {
                self.remarks.push(format!("without {}: V8 does not need it", missed.path));
            }
        }
        if missing.is_empty() { Ok(usable) } else { Err(CoreFault::Files(missing)) }
    }

    /// Makes mappings of the core's, and of files that it does not have (gdb leaves those out).
    fn map(
        &mut self,
        core: &'a Core<'a>,
        usable: &HashMap<&[u8], &Opened<'a>>,
    ) -> Result<(), CoreFault> {
        let stack = core.notes.auxiliary(AT_RANDOM);
        let vdso = core.notes.auxiliary(AT_SYSINFO_EHDR);
        let mut indices = HashMap::new();
        let segments = core
            .segments
            .iter()
            .filter(|segment| segment.start >= FLOOR && segment.end <= ADDRESSES);
        let mut rows: Vec<Row<'a>> = segments
            .map(|segment| {
                let inside = segment.start..segment.end;
                let kind = match () {
                    () if inside.contains(&stack) => Kind::Stack,
                    () if vdso != 0 && inside.contains(&vdso) => Kind::Vdso,
                    () => Kind::Memory,
                };
                let whole = segment.contents.len() as u64 == segment.end - segment.start;
                let file = core.file_at(segment.start).filter(|_| kind == Kind::Memory && !whole);
                let (start, end, protection) = (segment.start, segment.end, segment.protection);
                Row { start, end, protection, kind, contents: segment.contents, file }
            })
            .collect();
        if !rows.iter().any(|row| row.kind == Kind::Vdso && row.contents.len() as u64 >= PAGE) {
            return Err(CoreFault::Malformed("it has no vdso: whatever wrote it left that out"));
        }
        for file in &core.notes.files {
            let is_left_out =
                !core.segments.iter().any(|other| other.start < file.end && file.start < other.end);
            if is_left_out && file.start >= FLOOR && file.end <= ADDRESSES && file.start < file.end
            {
                // What its protection was is not known: what was left out is what cannot have changed.
                let (start, end, contents) = (file.start, file.end, &[][..]);
                rows.push(Row {
                    start,
                    end,
                    protection: 5,
                    kind: Kind::Memory,
                    contents,
                    file: Some(*file),
                });
            }
        }
        rows.sort_by_key(|row| row.start);
        for row in rows {
            self.map_row(&row, usable, &mut indices)?;
        }
        Ok(())
    }

    fn map_row(
        &mut self,
        row: &Row<'a>,
        usable: &HashMap<&[u8], &Opened<'a>>,
        indices: &mut HashMap<Vec<u8>, u32>,
    ) -> Result<(), CoreFault> {
        let mut mapping = Mapping {
            start: row.start,
            end: row.end,
            offset: 0,
            protection: row.protection,
            kind: Mapping::kind_number(row.kind),
            file: NO_FILE,
            reserved: [0; 3],
        };
        let mut contents = Contents {
            bytes: Cow::Borrowed(row.contents),
            rest: &[],
            zeros_too: row.kind == Kind::Vdso,
        };
        let named = row.file.and_then(|named| Some((named, *usable.get(named.path)?)));
        if let Some((named, file)) = named {
            let offset = named.offset + (row.start - named.start);
            if Object::parse(file.bytes).is_some_and(|object| object.build_id().is_some()) {
                mapping.kind = Mapping::kind_number(Kind::File);
                mapping.offset = offset;
                mapping.file = self.file(file, indices)?;
                contents.zeros_too = true;
            } else if file.bytes.len() <= MOST_EMBEDDED {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = file.bytes.get(from..).unwrap_or_default();
                let most = usize::try_from(row.end - row.start).unwrap_or(usize::MAX);
                let bytes = bytes.get(..most.min(bytes.len())).unwrap_or_default();
                let over = row.contents.len() & !(PAGE_BYTES - 1);
                contents.bytes = Cow::Borrowed(row.contents.get(..over).unwrap_or_default());
                contents.rest = bytes.get(over..).unwrap_or_default();
                self.embedded += contents.rest.len();
                if self.embedded > MOST_EMBEDDED {
                    return Err(CoreFault::TooMany("bytes of files without a build-id"));
                }
            }
        }
        self.push(mapping, contents)
    }

    fn push(&mut self, mapping: Mapping, contents: Contents<'a>) -> Result<(), CoreFault> {
        if self.mappings.len() >= MOST_MAPPINGS as usize {
            return Err(CoreFault::TooMany("mappings"));
        }
        self.mappings.push(mapping);
        self.contents.push(contents);
        Ok(())
    }

    /// The index of its record.
    fn file(
        &mut self,
        file: &Opened<'a>,
        indices: &mut HashMap<Vec<u8>, u32>,
    ) -> Result<u32, CoreFault> {
        if let Some(index) = indices.get(&file.path) {
            return Ok(*index);
        }
        let index = u32::try_from(self.files.len()).unwrap_or(MOST_FILES);
        if index >= MOST_FILES || file.here.len() >= FILE_PATH_BYTES {
            return Err(CoreFault::TooMany("files, or bytes in a path,"));
        }
        let mut record = FileRecord::new_zeroed();
        record.size = file.bytes.len() as u64;
        (record.modified, record.inode) = (file.modified, file.inode);
        let id = Object::parse(file.bytes).and_then(|object| object.build_id()).unwrap_or_default();
        record.build_id_bytes = copy(&mut record.build_id, id);
        record.path_bytes = copy(&mut record.path, &file.here);
        self.files.push(record);
        indices.insert(file.path.clone(), index);
        Ok(index)
    }

    /// The records of threads that go on, in a hole between the mappings.
    fn add_threads(&mut self, core: &Core<'a>) -> Result<(), CoreFault> {
        let Some(threads) = Threads::of(&core.notes) else {
            return Err(CoreFault::Malformed("it has no threads"));
        };
        if let Some((mapping, bytes)) = threads.record(&mut self.header, &self.mappings)? {
            let at = self.mappings.partition_point(|other| other.start < mapping.start);
            self.mappings.insert(at, mapping);
            let contents = Contents { bytes: Cow::Owned(bytes), rest: &[], zeros_too: false };
            self.contents.insert(at, contents);
        }
        Ok(())
    }

    fn fill_header(
        &mut self,
        core: &Core<'_>,
        addresses: &HashMap<&str, u64>,
        options: &Options,
    ) -> Result<(), CoreFault> {
        let header = &mut self.header;
        header.time = options.time;
        header.pid = core.notes.pid.unwrap_or(0);
        header.entry.output = options.output;
        header.memory.glibc_current_break = addresses.get(v8::CURRENT_BREAK).copied().unwrap_or(0);
        copy(&mut header.writer, options.writer.as_bytes());
        copy(&mut header.title, core.notes.arguments);
        copy(&mut header.node_version, core.node_version().unwrap_or_default().as_bytes());
        header.machine.highest = self.mappings.last().map_or(0, |mapping| mapping.end);
        header.mapping_count = u32::try_from(self.mappings.len()).unwrap_or(u32::MAX);
        header.file_count = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        header.most_pages = self.contents.iter().map(Contents::pages).sum();
        let below = header.entry.stack.saturating_sub(8);
        let stack =
            self.mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&below));
        if stack.is_none_or(|mapping| mapping.protection & 2 == 0) {
            return Err(CoreFault::Malformed(
                "its main thread was not on a stack: that is too small, or overflowed",
            ));
        }
        Ok(())
    }
}

/// A mapping to be.
struct Row<'a> {
    start: u64,
    end: u64,
    protection: u32,
    kind: Kind,
    contents: &'a [u8],
    file: Option<FileMapping<'a>>,
}

/// Files without which the program does not run, by [`library_name`]: its loader, its libraries, and theirs. Versions do not count:
/// DT_NEEDED has `libstdc++.so.6`, and what was mapped is `libstdc++.so.6.0.30`.
fn needed<'a>(core: &Core<'_>, opened: &HashMap<&[u8], &Opened<'a>>) -> HashSet<&'a [u8]> {
    let mut needed = HashSet::new();
    let mut next: Vec<&Opened<'a>> =
        core.program().and_then(|path| opened.get(path).copied()).into_iter().collect();
    while let Some(file) = next.pop() {
        for name in Object::parse(file.bytes).map(|object| object.needed()).unwrap_or_default() {
            let name = library_name(name);
            if needed.insert(name) {
                let is_it = |other: &&Opened<'_>| library_name(&other.path) == name;
                next.extend(opened.values().copied().filter(|other| is_it(other)));
            }
        }
    }
    needed
}

/// Where the process has what is named in [`v8::NAMES`].
fn addresses(core: &Core<'_>, usable: &HashMap<&[u8], &Opened<'_>>) -> HashMap<&'static str, u64> {
    let mut found = HashMap::new();
    let mut paths: Vec<_> =
        usable.keys().copied().filter(|path| may_have_symbols(core, path)).collect();
    paths.sort_unstable_by_key(|path| (Some(*path) != core.program(), path.to_vec()));
    for path in paths {
        let object = usable.get(path).and_then(|file| Object::parse(file.bytes));
        let (Some(object), Some(first)) = (object, core.first_of(path)) else { continue };
        let bias = object.bias(first.start);
        for (name, value) in object.symbols(&v8::NAMES) {
            found.entry(name).or_insert(value.wrapping_add(bias));
        }
    }
    found
}

/// Node.js, as a program or as a library, and the C library.
fn may_have_symbols(core: &Core<'_>, path: &[u8]) -> bool {
    let name = base_name(path);
    let known: [&[u8]; 5] = [b"node", b"libnode", b"libv8", b"libc.so", b"libc-2"];
    core.program() == Some(path) || known.iter().any(|begin| name.starts_with(begin))
}

/// A library or addon by its name.
fn is_code(path: &[u8]) -> bool {
    let name = base_name(path);
    name.ends_with(b".node") || memchr::memmem::find(name, b".so").is_some()
}

/// Copies as much as leaves a zero at the end; gives how much.
fn copy(to: &mut [u8], from: &[u8]) -> u32 {
    let bytes = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..bytes), from.get(..bytes)) {
        to.copy_from_slice(from);
    }
    u32::try_from(bytes).unwrap_or(0)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
