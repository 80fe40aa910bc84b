//! What a process has mapped (proc(5), `maps` and `smaps`).

use heapimage_core::version_in;
use std::path::Path;
use std::{fs, io};

/// One mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4.
    pub(crate) protection: u32,
    pub(crate) is_shared: bool,
    /// Where in its file, in bytes.
    pub(crate) offset: u64,
    /// Of its file: major and minor number.
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    /// A path, `[heap]`, or nothing.
    pub(crate) name: String,
    /// Of smaps alone: it is not for children (VM_DONTCOPY).
    pub(crate) is_kept_from_children: bool,
    /// Of smaps alone: a device's, or the kernel's (VM_IO, VM_PFNMAP, VM_DONTEXPAND, VM_MIXEDMAP).
    pub(crate) is_special: bool,
}

/// Addresses of programs lie below, unless they ask for more.
pub(crate) const ADDRESSES: u64 = 1 << 47;

impl Row {
    pub(crate) fn is_vdso(&self) -> bool {
        self.name == "[vdso]"
    }

    pub(crate) fn is_stack(&self) -> bool {
        self.name == "[stack]"
    }

    /// The kernel's own: it is in every process.
    pub(crate) fn is_kernels(&self) -> bool {
        let own = ["[vvar", "[vdso", "[vsyscall", "[uprobes"];
        own.iter().any(|begin| self.name.starts_with(begin))
    }

    /// A child gets a copy of it, unless it is kept from children.
    pub(crate) fn is_copied(&self) -> bool {
        !self.is_shared && !self.is_kernels() && !self.is_special && self.end <= ADDRESSES
    }

    /// It is of a file.
    pub(crate) fn is_files(&self) -> bool {
        self.inode != 0 && self.name.starts_with('/')
    }

    /// A private view of a file that can be looked up.
    pub(crate) fn file(&self) -> Option<&str> {
        let is_one = self.is_files() && !self.is_shared && !self.name.starts_with("/dev/");
        is_one.then_some(&*self.name)
    }
}

/// Of a process: `maps`, or `smaps`, which says more and takes ten times as long.
pub(crate) fn read(pid: i32, what: &str) -> io::Result<Vec<Row>> {
    Ok(parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{what}"))?)))
}

fn parse(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines() {
        if let Some(row) = row(line) {
            rows.push(row);
        } else if let (Some(flags), Some(row)) = (line.strip_prefix("VmFlags:"), rows.last_mut()) {
            let mut flags = flags.split_ascii_whitespace();
            row.is_kept_from_children = flags.clone().any(|flag| flag == "dc");
            row.is_special = flags.any(|flag| matches!(flag, "io" | "pf" | "de" | "mm"));
        }
    }
    rows
}

/// `55d0-55d1 r-xp 00001000 08:01 42    /usr/bin/node`.
fn row(line: &str) -> Option<Row> {
    let (addresses, rest) = line.split_once(' ')?;
    let (start, end) = addresses.split_once('-')?;
    let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).ok());
    let mut words = rest.splitn(5, ' ');
    let permissions = words.next()?.as_bytes();
    let offset = u64::from_str_radix(words.next()?, 16).ok()?;
    let (major, minor) = words.next()?.split_once(':')?;
    let [major, minor] = [major, minor].map(|text| u32::from_str_radix(text, 16).ok());
    let inode = words.next()?.trim().parse().ok()?;
    let name = words.next().unwrap_or_default().trim_start().to_owned();
    let bit = |at: usize, letter: u8| u32::from(permissions.get(at) == Some(&letter));
    Some(Row {
        start: start?,
        end: end?,
        protection: bit(0, b'r') | bit(1, b'w') << 1 | bit(2, b'x') << 2,
        is_shared: permissions.get(3) == Some(&b's'),
        offset,
        device: (major?, minor?),
        inode,
        name,
        is_kept_from_children: false,
        is_special: false,
    })
}

/// Those of `now` that were special `before` are so still: `maps` does not tell.
pub(crate) fn mark_special(before: &[Row], now: &mut [Row]) {
    for row in now {
        let first = before.partition_point(|other| other.end <= row.start);
        let mut over = before.iter().skip(first).take_while(|other| other.start < row.end);
        row.is_special = over.any(|other| other.is_special);
    }
}

/// Ranges in which no mapping is that a child gets no copy of, holes included: for each, one madvise(2) does.
pub(crate) fn copied_ranges(rows: &[Row]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut is_open = false;
    for row in rows {
        match ranges.last_mut() {
            Some(last) if is_open && row.is_copied() => last.1 = row.end,
            _ if row.is_copied() => ranges.push((row.start, row.end)),
            _ => {}
        }
        is_open = row.is_copied();
    }
    ranges
}

/// Of what is mapped `now` the ranges that were all kept from children `before`. What V8 has mapped since then is none: a child
/// of the process copies a few page tables more.
pub(crate) fn kept_ranges(before: &[Row], now: &[Row]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut is_open = false;
    for row in now {
        let is_kept = row.is_copied() && is_all_kept(before, row);
        match ranges.last_mut() {
            Some(last) if is_open && is_kept => last.1 = row.end,
            _ if is_kept => ranges.push((row.start, row.end)),
            _ => {}
        }
        is_open = is_kept;
    }
    ranges
}

fn is_all_kept(before: &[Row], row: &Row) -> bool {
    let mut at = row.start;
    let first = before.partition_point(|other| other.end <= row.start);
    for other in before.get(first..).unwrap_or_default() {
        if at >= row.end || other.start > at || !other.is_kept_from_children {
            break;
        }
        at = other.end;
    }
    at >= row.end
}

/// The version of Node.js that a program is, as `24.19.0`.
pub(crate) fn version_of(program: &[u8]) -> Option<String> {
    /// Node.js has less; a file with holes may have any size.
    const MOST_BYTES: usize = 256 << 20;
    version_in(program.get(..MOST_BYTES).unwrap_or(program))
}

/// What follows the last slash.
pub(crate) fn base_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
00400000-00500000 r-xp 00001000 08:01 42                                 /usr/bin/node one
Size:               1024 kB
VmFlags: rd ex mr mw me 
1000000-1001000 rw-p 00000000 00:00 0 
VmFlags: rd wr mr mw me dc ac 
1001000-1003000 rw-p 00000000 00:00 0 
VmFlags: rd wr mr mw me dc ac 
1004000-1005000 rw-p 00000000 00:00 0                                    [heap]
VmFlags: rd wr mr mw me ac 
1005000-1006000 rw-s 00000000 00:01 1                                    /dev/zero (deleted)
VmFlags: rd wr sh 
1006000-1007000 rw-p 00000000 00:00 0 
VmFlags: rd wr dc 
7ffff000-80000000 r--p 00000000 00:00 0                                  [vvar]
VmFlags: rd mr pf io de dd 
";

    #[test]
    fn rows_are_read_with_their_flags() {
        let rows = parse(SMAPS);
        assert_eq!(rows.len(), 7);
        let node = &rows[0];
        assert_eq!((node.start, node.end, node.protection), (0x40_0000, 0x50_0000, 5));
        assert_eq!((node.offset, node.inode, &*node.name), (0x1000, 42, "/usr/bin/node one"));
        assert_eq!(node.device, (8, 1));
        assert_eq!(node.file(), Some("/usr/bin/node one"));
        assert!(rows[1].is_kept_from_children && !rows[3].is_kept_from_children);
        assert!(rows[4].is_shared && rows[4].file().is_none());
        assert!(rows[6].is_special && rows[6].is_kernels());
    }

    #[test]
    fn one_call_does_for_all_between_what_is_not_copied() {
        let ranges = copied_ranges(&parse(SMAPS));
        assert_eq!(ranges, [(0x40_0000, 0x100_5000), (0x100_6000, 0x100_7000)]);
    }

    #[test]
    fn what_lies_between_is_never_kept_from_children() {
        let mut rows = parse(SMAPS);
        rows[3].is_kept_from_children = true;
        let expected = [(0x100_0000, 0x100_5000), (0x100_6000, 0x100_7000)];
        assert_eq!(kept_ranges(&rows, &rows), expected, "the shared one is not");
        let mut now = rows.clone();
        now.iter_mut().for_each(|row| row.is_special = false);
        rows[2].is_special = true;
        mark_special(&rows, &mut now);
        assert_eq!(now.iter().filter(|row| row.is_special).count(), 2);
    }

    #[test]
    fn what_was_kept_from_children_is_so_again_and_nothing_else() {
        let before = parse(SMAPS);
        assert_eq!(
            kept_ranges(&before, &before),
            [(0x100_0000, 0x100_3000), (0x100_6000, 0x100_7000)]
        );
        let mut now = before.clone();
        // One was enlarged since, and is not all known; another was cut.
        now[2].end = 0x100_4000;
        now[5].end = 0x100_6800;
        assert_eq!(
            kept_ranges(&before, &now),
            [(0x100_0000, 0x100_1000), (0x100_6000, 0x100_6800)]
        );
    }
}
