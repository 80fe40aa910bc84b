//! /proc/self/smaps, line by line, without an allocation (proc_pid_smaps(5)).

use std::os::fd::RawFd;

/// The line that begins a mapping, in `maps` and `smaps` alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) start: u64,
    pub(super) end: u64,
    /// PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4.
    pub(super) protection: u32,
    pub(super) shared: bool,
    pub(super) offset: u64,
    /// Major and minor number, 0 for none.
    pub(super) device: [u64; 2],
    pub(super) inode: u64,
    /// A path, or a name in brackets, or nothing.
    pub(super) name: &'a [u8],
}

/// What the lines below it say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// Pages that this process has in memory, in KiB.
    pub(super) resident: u64,
    /// Private ones that are swapped out.
    pub(super) swapped: u64,
    /// Of the resident ones those that are no file's.
    pub(super) anonymous: u64,
    /// A protection key other than the usual one (pkeys(7)).
    pub(super) has_key: bool,
    /// Marked by MADV_DONTDUMP (`dd`): a secret, says its owner.
    pub(super) dont_dump: bool,
    /// A device's memory (`io`, `pf`): reading it may do something.
    pub(super) device: bool,
}

/// `None` for a line of another kind.
pub(super) fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    let mut text = line;
    let start = hex(&mut text)?;
    expect(&mut text, b'-')?;
    let end = hex(&mut text)?;
    expect(&mut text, b' ')?;
    let [read, write, execute, sharing, rest @ ..] = text else { return None };
    let protection = u32::from(*read == b'r')
        | u32::from(*write == b'w') << 1
        | u32::from(*execute == b'x') << 2;
    let shared = *sharing == b's';
    text = rest;
    expect(&mut text, b' ')?;
    let offset = hex(&mut text)?;
    expect(&mut text, b' ')?;
    let major = hex(&mut text)?;
    expect(&mut text, b':')?;
    let minor = hex(&mut text)?;
    expect(&mut text, b' ')?;
    let inode = decimal(&mut text)?;
    let blanks = text.iter().take_while(|&&byte| byte == b' ').count();
    let name = text.get(blanks..)?;
    Some(Line { start, end, protection, shared, offset, device: [major, minor], inode, name })
}

impl Use {
    /// Takes in one of the lines below.
    pub(super) fn note(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
        let (name, rest) = line.split_at(colon);
        let mut rest = rest.get(1..).unwrap_or_default();
        if name == b"VmFlags" {
            for flag in rest.split(|&byte| byte == b' ') {
                self.dont_dump |= flag == b"dd";
                self.device |= flag == b"io" || flag == b"pf";
            }
            return;
        }
        while let [b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        let Some(number) = decimal(&mut rest) else { return };
        match name {
            b"Rss" => self.resident = number,
            b"Swap" => self.swapped = number,
            b"Anonymous" => self.anonymous = number,
            b"ProtectionKey" => self.has_key = number != 0,
            _ => {}
        }
    }
}

/// Lines of an open file.
pub(super) struct Lines<'a> {
    file: RawFd,
    buffer: &'a mut [u8],
    /// What is read and not yet handed out.
    filled: std::ops::Range<usize>,
    /// What read(2) failed with; a line that is longer than the buffer is an EFBIG.
    pub(super) error: Option<i32>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: RawFd, buffer: &'a mut [u8]) -> Lines<'a> {
        Lines { file, buffer, filled: 0..0, error: None }
    }

    /// The next one, without its end; `None` at the end, or where it cannot be read.
    pub(super) fn next_line(&mut self) -> Option<&[u8]> {
        let mut seen = 0;
        loop {
            let filled = self.buffer.get(self.filled.clone())?;
            if let Some(length) = filled.iter().skip(seen).position(|&byte| byte == b'\n') {
                let start = self.filled.start;
                let end = start + seen + length;
                self.filled.start = end + 1;
                return self.buffer.get(start..end);
            }
            seen = filled.len();
            if !self.fill() {
                return None;
            }
        }
    }

    fn fill(&mut self) -> bool {
        if self.filled.start > 0 {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        let Some(free) = self.buffer.get_mut(self.filled.end..).filter(|free| !free.is_empty())
        else {
            self.error = Some(libc::EFBIG);
            return false;
        };
        match super::system::read(self.file, free) {
            Ok(0) => false,
            Ok(bytes) => {
                self.filled.end += bytes;
                true
            }
            Err(errno) => {
                self.error = Some(errno);
                false
            }
        }
    }
}

fn expect(text: &mut &[u8], wanted: u8) -> Option<()> {
    let (&first, rest) = text.split_first()?;
    *text = rest;
    (first == wanted).then_some(())
}

fn hex(text: &mut &[u8]) -> Option<u64> {
    number(text, 16)
}

pub(super) fn decimal(text: &mut &[u8]) -> Option<u64> {
    number(text, 10)
}

/// The digits at the beginning of `text`: at least one.
fn number(text: &mut &[u8], radix: u32) -> Option<u64> {
    let mut value: Option<u64> = None;
    while let Some((&byte, rest)) = text.split_first()
        && let Some(digit) = char::from(byte).to_digit(radix)
    {
        let before = value.unwrap_or(0).checked_mul(u64::from(radix))?;
        value = Some(before.checked_add(u64::from(digit))?);
        *text = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_mapping_of_a_file() {
        let text = b"7f0a1000-7f0a3000 r-xp 00028000 08:1f 917506                     /lib/a b.so (deleted)";
        let line = parse_line(text).expect("a mapping");
        assert_eq!((line.start, line.end, line.offset), (0x7f0a_1000, 0x7f0a_3000, 0x28000));
        assert_eq!((line.protection, line.shared, line.inode), (5, false, 917_506));
        assert_eq!(line.device, [8, 0x1f]);
        assert_eq!(line.name, b"/lib/a b.so (deleted)");
    }

    #[test]
    fn reads_a_mapping_without_a_name() {
        let line = parse_line(b"1000-2000 ---s 00000000 00:00 0 ").expect("a mapping");
        assert_eq!((line.protection, line.shared, line.inode, line.name), (0, true, 0, &b""[..]));
    }

    #[test]
    fn other_lines_are_no_mappings() {
        for line in [&b"Rss:                 132 kB"[..], b"VmFlags: rd mr", b"", b"1000-", b"g-1"]
        {
            assert_eq!(parse_line(line), None, "{line:?}");
        }
        assert_eq!(parse_line(b"11111111111111111-2 rwxp 0 0:0 0 "), None);
    }

    #[test]
    fn takes_in_what_is_said_of_a_mapping() {
        let mut found = Use::default();
        for line in [
            &b"Rss:                 132 kB"[..],
            b"Anonymous:            12 kB",
            b"Swap:                  8 kB",
            b"SwapPss:               4 kB",
            b"ProtectionKey:         2",
            b"VmFlags: rd wr mr mw me dd ac ",
        ] {
            found.note(line);
        }
        assert_eq!((found.resident, found.anonymous, found.swapped), (132, 12, 8));
        assert!(found.has_key && found.dont_dump && !found.device);
    }

    #[test]
    fn lines_longer_than_what_is_read_at_once_are_whole() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"one\ntwo and more\n\nthe last").expect("written");
        drop(writer);
        let mut buffer = [0; 14];
        let mut lines = Lines::new(reader.as_raw_fd(), &mut buffer);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line() {
            found.push(line.to_vec());
        }
        assert_eq!(found, [&b"one"[..], b"two and more", b""]);
        assert_eq!(lines.error, None);
    }

    #[test]
    fn a_line_that_does_not_fit_is_an_error() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"longer than that\n").expect("written");
        let mut buffer = [0; 8];
        let mut lines = Lines::new(reader.as_raw_fd(), &mut buffer);
        assert_eq!(lines.next_line(), None);
        assert_eq!(lines.error, Some(libc::EFBIG));
    }
}
