//! The order of events: check everything, then replace this process' memory by the image's, shut it in, and jump.

#![allow(unsafe_code)]

use crate::arch::{self, ARCHITECTURE};
use crate::arguments::Arguments;
use crate::blocks::{OnlyChecked, read_blocks};
use crate::machine::{lacking, lacks_keys};
use crate::stop::Stop;
use crate::system::files::{NamedFiles, OpenFiles};
use crate::system::memory::{self, Filled};
use crate::system::say::{Findings, say};
use crate::system::{
    IMAGE, MESSAGES, OUTPUT, Source, close_others, exit, filter, limits, marks, privileges,
};
use crate::tables::{Tables, read_header, room_for};
use crate::text::Text;
use crate::{from_core, room, vdso};
use core::convert::Infallible;
use heapimage::{Header, Kind, Origin, PAGE};
use zerocopy::FromZeros;

/// So much of an image is read at once when it is checked.
const READ_BYTES: usize = 256 << 10;

/// Mappings that V8 makes while it takes a snapshot, at most: each is of 256 KB or more.
const MORE_MAPPINGS: u64 = 4096;

/// Restores the image, or says why it cannot be and ends.
pub fn run(arguments: &Arguments<'_>) -> ! {
    let Err(stop) = restore(arguments);
    say(MESSAGES, format_args!("stop {}: {stop}", stop.word()));
    exit(stop.status())
}

fn restore(arguments: &Arguments<'_>) -> Result<Infallible, Stop> {
    close_others();
    privileges::end_with_parent();
    limits::raise();
    limits::be_first_to_go();
    // What the command names is its user's choice; everything else is the image's, and nobody opens that.
    let named = NamedFiles::open(arguments);
    let is_nobody = !arguments.made_here && privileges::drop_privileges(arguments.user)?;
    let image = Source::new(arguments.stream);
    let mut header = Header::new_zeroed();
    read_header(&image, ARCHITECTURE, &mut header)?;
    let room = memory::reserve(room_for(&header))?;
    let tables = Tables::read(&image, &header, room)?;
    let pages = if arguments.stream {
        header.most_pages
    } else {
        read_blocks(&image, &header, &tables, &mut OnlyChecked(&mut [0; READ_BYTES]))?
    };

    describe(&header, &tables, pages);
    let mut findings = Findings::default();
    look_at_machine(&header, &tables, arguments, &mut findings);
    let files = OpenFiles::find(&tables, arguments, &named, is_nobody, &mut findings);
    if arguments.made_here {
        privileges::drop_privileges(arguments.user)?;
    }
    if arguments.check {
        exit(if findings.count == 0 { 0 } else { Stop::Machine.status() });
    }
    if findings.count > 0 {
        exit(Stop::Machine.status());
    }

    let (no_memory_marks, at_once) = (arguments.no_memory_marks, arguments.at_once);
    let length = room_for(&header);
    let place = room::gap_for(tables.mappings, length, memory::TOP)
        .ok_or(Stop::Refused { what: "the image leaves no room for its own tables", error: 0 })?;
    // SAFETY: neither the arguments nor anything else there is used from here on but the tables, which are moved.
    let room = unsafe {
        let room = memory::relocate(room, place)?;
        memory::clear((place, place + length.next_multiple_of(PAGE)));
        room
    };
    let tables = Tables::view(&header, room)?;
    memory::map_all(tables.mappings, &files)?;
    close_others();
    // SAFETY: all mappings are there.
    let mut filled = unsafe { Filled::new(tables.mappings) };
    read_blocks(&image, &header, &tables, &mut filled)?;
    filled.finish()?;
    for mapping in tables.mappings.iter().filter(|mapping| mapping.kind() == Some(Kind::Vdso)) {
        // SAFETY: it is there, and nothing of the image runs yet.
        unsafe { memory::rewrite(mapping, |bytes| Ok(vdso::replace_functions(bytes)?))? };
    }
    // SAFETY: as above.
    unsafe {
        if no_memory_marks || !marks::set_kernel_marks(&header.memory) {
            marks::stop_glibc_break(&header.memory, &tables);
        }
        marks::register_rseq(&header.memory, &tables);
    }
    if header.origin() == Some(Origin::Core) {
        // SAFETY: as above.
        unsafe { from_core::check(&header, &tables)? };
    }
    memory::release(room);
    begin(&header, at_once)
}

/// The end of this program: from here on the image's code runs, and may do nothing but work on its memory and write.
fn begin(header: &Header, at_once: bool) -> Result<Infallible, Stop> {
    let entry = &header.entry;
    OUTPUT
        .duplicate_to(entry.output)
        .map_err(|error| Stop::Refused { what: "the output's number cannot be had", error })?;
    for descriptor in [IMAGE, OUTPUT] {
        if descriptor.0 != entry.output {
            descriptor.close();
        }
    }
    say(MESSAGES, format_args!("begins"));
    if header.origin() == Some(Origin::Core) {
        // SAFETY: all memory is there, the threads were checked, and the header is in a frame that is never left.
        return unsafe { from_core::go_on(header, at_once) };
    }
    // SAFETY: this program has no thread-local memory; the tables were checked: there is code at the function, and a stack.
    unsafe {
        arch::set_thread_pointers(entry);
        filter::shut_in(entry.output)?;
        arch::jump(entry.function, entry.argument, entry.stack, entry.mxcsr, entry.x87_control)
    }
}

/// Tells all that this machine lacks.
fn look_at_machine(
    header: &Header,
    tables: &Tables<'_>,
    arguments: &Arguments<'_>,
    findings: &mut Findings,
) {
    let machine = &header.machine;
    let here = arch::cpu_words();
    if let Some(lacking) = lacking(&machine.cpu, &here)
        && !arguments.ignore_cpu
    {
        findings.add("cpu", format_args!("{lacking}"));
    }
    let changes_code_under_keys = header.node_version.starts_with(b"20.");
    if changes_code_under_keys && lacks_keys(&machine.cpu, &here) && !arguments.ignore_cpu {
        findings.add("cpu", format_args!("pku"));
    }
    if machine.highest > memory::TOP && !memory::can_have(machine.highest - PAGE) {
        findings.add("address-space", format_args!("five-level page tables"));
    }
    let needed = address_space(tables);
    if let Some(limit) = limits::address_space()
        && needed > limit
    {
        findings
            .add("address-space", format_args!("{needed} bytes; the limit (ulimit -v) is {limit}"));
    }
    let needed = tables.mappings.len() as u64 + MORE_MAPPINGS;
    if let Some(limit) = limits::mappings()
        && needed > limit
    {
        findings.add("mappings", format_args!("{needed}; the limit (vm.max_map_count) is {limit}"));
    }
    let needed = u64::from(header.entry.output) + 1;
    if needed > limits::descriptors() {
        let limit = limits::descriptors();
        findings.add("descriptors", format_args!("{needed}; the limit (ulimit -n) is {limit}"));
    }
}

/// The image's own, and what V8 asks for at least.
fn address_space(tables: &Tables<'_>) -> u64 {
    let sizes = tables.mappings.iter().enumerate();
    sizes.fold(0, |sum: u64, (index, mapping)| {
        sum.saturating_add(mapping.end - room::start_of(tables.mappings, index))
    })
}

/// What the image is and needs, a `NAME: VALUE` a line.
fn describe(header: &Header, tables: &Tables<'_>, pages: u64) {
    let tell = |name: &str, value: core::fmt::Arguments<'_>| {
        say(MESSAGES, format_args!("is {name}: {value}"))
    };
    let origin = if header.origin() == Some(Origin::Core) { "core" } else { "child" };
    tell("origin", format_args!("{origin}"));
    for (name, text) in [
        ("node", &header.node_version[..]),
        ("v8", &header.v8_version),
        ("writer", &header.writer),
        ("kernel", &header.kernel),
        ("title", &header.title),
    ] {
        tell(name, format_args!("{}", Text(text)));
    }
    for (name, number) in [
        ("time", header.time),
        ("pid", u64::from(header.pid)),
        ("thread", u64::from(header.thread)),
        ("heap-used", header.heap_used),
        ("pages", pages),
        ("mappings", tables.mappings.len() as u64),
        ("address-space", address_space(tables)),
    ] {
        tell(name, format_args!("{number}"));
    }
    for (index, record) in (0..).zip(tables.files) {
        let mut users = tables.mappings.iter();
        if users.any(|mapping| mapping.file == index && mapping.kind() == Some(Kind::File)) {
            tell("file", format_args!("{}", Text(record.path())));
        }
    }
}
