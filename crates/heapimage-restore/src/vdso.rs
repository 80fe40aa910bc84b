//! The vdso of an image: the kernel's functions in it read pages that are not there any more, so each becomes a system call.
//!
//! glibc and musl keep pointers to them, which is why the old one stays where it was. Names and meaning: vdso(7).

use heapimage::Fault;

/// Its functions, and the numbers of the calls that do the same (x86-64's `syscall_64.tbl`). A `__vdso_` before a name is
/// ignored.
const CALLS: [(&[u8], u32); 6] = [
    (b"clock_gettime", 228),
    (b"gettimeofday", 96),
    (b"time", 201),
    (b"getcpu", 309),
    (b"clock_getres", 229),
    (b"getrandom", 318),
];

const DYNAMIC_SEGMENT: u32 = 2;
const LOADED_SEGMENT: u32 = 1;
/// Tags of the dynamic section, elf.h.
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;

/// `mov eax, NUMBER; syscall; ret`. The arguments are where the call wants them.
fn call(number: u32) -> [u8; 8] {
    let [a, b, c, d] = number.to_le_bytes();
    [0xb8, a, b, c, d, 0x0f, 0x05, 0xc3]
}

/// Overwrites the functions of a vdso. Gives how many.
///
/// # Errors
///
/// [`Fault::Malformed`] where it is none, or has none of them: V8 would read the clock of pages that are gone.
pub fn replace_functions(vdso: &mut [u8]) -> Result<usize, Fault> {
    const NONE: Fault = Fault::Malformed("its vdso is none");
    let symbols = Symbols::find(vdso).ok_or(NONE)?;
    let mut replaced = 0;
    for index in 0..symbols.count {
        let Some((number, place)) = symbols.function(vdso, index) else { continue };
        let code = vdso.get_mut(place..place.saturating_add(8)).ok_or(NONE)?;
        code.copy_from_slice(&call(number));
        replaced += 1;
    }
    if replaced == 0 { Err(NONE) } else { Ok(replaced) }
}

/// Where its symbols are: offsets into it.
struct Symbols {
    table: usize,
    names: usize,
    count: usize,
    base: u64,
}

impl Symbols {
    fn find(vdso: &[u8]) -> Option<Symbols> {
        if vdso.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let segments = usize::try_from(u64_at(vdso, 32)?).ok()?;
        let (mut base, mut dynamic) = (0, None);
        for index in 0..usize::from(u16_at(vdso, 56)?) {
            let segment = segments.checked_add(index * 56)?;
            let offset = u64_at(vdso, segment.checked_add(8)?)?;
            match u32_at(vdso, segment)? {
                LOADED_SEGMENT => base = u64_at(vdso, segment + 16)?.wrapping_sub(offset),
                DYNAMIC_SEGMENT => dynamic = Some(usize::try_from(offset).ok()?),
                _ => {}
            }
        }
        let mut at = dynamic?;
        let (mut table, mut names, mut count) = (None, None, None);
        loop {
            let (tag, value) = (u64_at(vdso, at)?, u64_at(vdso, at.checked_add(8)?)?);
            let place = usize::try_from(value.wrapping_sub(base)).ok();
            match tag {
                0 => break,
                DT_SYMTAB => table = place,
                DT_STRTAB => names = place,
                DT_HASH => count = Some(u32_at(vdso, place?.checked_add(4)?)? as usize),
                DT_GNU_HASH if count.is_none() => count = Some(gnu_count(vdso, place?)?),
                _ => {}
            }
            at += 16;
        }
        // No vdso has so many, and a damaged count must not keep anybody busy.
        let count = count?.min(vdso.len() / 24);
        Some(Symbols { table: table?, names: names?, count, base })
    }

    /// The number of the call and the offset of the function that a symbol is of.
    fn function(&self, vdso: &[u8], index: usize) -> Option<(u32, usize)> {
        let symbol = self.table.checked_add(index * 24)?;
        let name = self.names.checked_add(u32_at(vdso, symbol)? as usize)?;
        let name = vdso.get(name..)?;
        let name = name.get(..name.iter().position(|&byte| byte == 0)?)?;
        let name = name.strip_prefix(b"__vdso_").unwrap_or(name);
        let value = u64_at(vdso, symbol.checked_add(8)?)?;
        let (_, number) = CALLS.iter().find(|(known, _)| *known == name)?;
        (value != 0).then_some(())?;
        Some((*number, usize::try_from(value.wrapping_sub(self.base)).ok()?))
    }
}

/// How many symbols there are by a DT_GNU_HASH table: one more than the last of its chains has.
fn gnu_count(vdso: &[u8], table: usize) -> Option<usize> {
    let word = |index: usize| u32_at(vdso, table.checked_add(index.checked_mul(4)?)?);
    let (buckets, first, filter) = (word(0)? as usize, word(1)? as usize, word(2)? as usize);
    let buckets_at = filter.checked_mul(2)?.checked_add(4)?;
    let mut last = 0;
    for index in 0..buckets {
        last = last.max(word(buckets_at.checked_add(index)?)? as usize);
    }
    let chains = buckets_at.checked_add(buckets)?;
    while last >= first && word(chains.checked_add(last - first)?)? & 1 == 0 {
        last += 1;
    }
    Some(last + 1)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
