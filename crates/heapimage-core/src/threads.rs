//! Which threads of a core go on in the restored process, and from where.
//!
//! No thread is left where it stood but those that wait in an event loop: any other may hold a lock that V8's snapshot needs
//! (of malloc, of a MessagePort), or do a part of a collection that the main thread waits for. What they may do then is the
//! restorer's business: its filter lets none out of the process.

use crate::CoreFault;
use crate::layout::ADDRESSES;
use crate::notes::{Notes, Signal, Thread};
use heapimage::{
    Header, Kind, Mapping, NO_FILE, PAGE, REGISTERS, ThreadRecord, register, thread_bytes,
};
use zerocopy::{FromZeros, IntoBytes};

/// What becomes of the threads.
pub struct Threads<'a> {
    /// The one whose isolate the snapshot is of.
    pub(crate) main: &'a Thread<'a>,
    /// It goes on until it is at a place where a snapshot can be taken; otherwise it is at one.
    pub(crate) main_goes_on: bool,
    /// Those that go on besides.
    pub(crate) others: Vec<&'a Thread<'a>>,
}

/// System calls of x86-64 (asm/unistd_64.h).
const EPOLL_WAIT: i64 = 232;
const TKILL: i64 = 200;
const TGKILL: i64 = 234;
const EPOLL_PWAIT: i64 = 281;
const RT_TGSIGQUEUEINFO: i64 = 297;
const EPOLL_PWAIT2: i64 = 441;

/// Signals of faults.
const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];

impl<'a> Threads<'a> {
    /// Of a process that was stopped and did not fail. `None` where it has no threads.
    #[must_use]
    pub fn of_stopped(threads: &'a [Thread<'a>], main: u32) -> Option<Threads<'a>> {
        Self::decide(threads, Some(main), None)
    }

    /// `None` where the main thread is not there.
    pub(crate) fn of(notes: &'a Notes<'a>) -> Option<Threads<'a>> {
        Self::decide(&notes.threads, notes.pid, notes.signal)
    }

    fn decide(
        threads: &'a [Thread<'a>],
        pid: Option<u32>,
        signal: Option<Signal>,
    ) -> Option<Threads<'a>> {
        let main = threads.iter().find(|thread| Some(thread.number) == pid);
        let main = main.or(threads.first())?;
        // The kernel writes the one that the signal ended first; gdb, which ends none, writes no NT_SIGINFO of a fault.
        let failed = threads.first().filter(|first| has_failed(first, signal));
        let fell =
            |thread: &Thread<'_>| failed.is_some_and(|failed| failed.number == thread.number);
        let others = threads.iter().filter(|thread| {
            thread.number != main.number
                && !fell(thread)
                && !is_kernels(thread)
                && !waits_for_events(thread)
        });
        Some(Threads {
            main,
            main_goes_on: !fell(main) && !waits_for_events(main),
            others: others.collect(),
        })
    }

    /// Notes in the header where the restored process begins, and which threads go on. Gives their records, and the mapping
    /// that has them: in a hole between `mappings`.
    ///
    /// # Errors
    ///
    /// Where the main thread has to go on and cannot be stopped again.
    pub fn record(
        &self,
        header: &mut Header,
        mappings: &[Mapping],
    ) -> Result<Option<(Mapping, Vec<u8>)>, CoreFault> {
        header.thread = self.main.number;
        let entry = &mut header.entry;
        entry.stack = self.main.registers[register::RSP].saturating_sub(BELOW_STACK) & !63;
        entry.thread_pointer = self.main.registers[register::FS_BASE];
        entry.gs_base = self.main.registers[register::GS_BASE];
        if self.main_goes_on && header.v8.request_interrupt == 0 {
            return Err(CoreFault::InsideJavaScript);
        }
        let mut going: Vec<_> = self.others.iter().map(|thread| (*thread, false)).collect();
        if self.main_goes_on {
            going.push((self.main, true));
        }
        let largest =
            going.iter().map(|(thread, _)| thread.xsave.len().max(LEGACY_BYTES)).max().unwrap_or(0);
        let xsave_bytes = u32::try_from(largest).ok().filter(|&bytes| bytes <= 1 << 20);
        let xsave_bytes =
            xsave_bytes.ok_or(CoreFault::Malformed("a thread's registers are too long"))?;
        header.machine.xsave_bytes = xsave_bytes;
        header.machine.cpu[5] =
            going.iter().map(|(thread, _)| xcr0(thread.xsave)).fold(0, |all, one| all | one);
        if going.is_empty() {
            return Ok(None);
        }
        let stride = usize::try_from(thread_bytes(xsave_bytes)).unwrap_or(0);
        let mut bytes = vec![0; stride * going.len()];
        for ((thread, is_main), to) in going.iter().zip(bytes.chunks_exact_mut(stride)) {
            fill(to, thread, *is_main);
        }
        let start = hole(mappings, bytes.len() as u64);
        header.entry.thread_count = u32::try_from(going.len()).unwrap_or(0);
        header.entry.threads = start;
        let kind = Mapping::kind_number(Kind::Memory);
        let end = start + bytes.len() as u64;
        let mapping =
            Mapping { start, end, offset: 0, protection: 3, kind, file: NO_FILE, reserved: [0; 3] };
        Ok(Some((mapping, bytes)))
    }
}

/// Room between the stack pointer of a thread and the stack that the restorer begins with: more than the red zone.
const BELOW_STACK: u64 = 4096;
/// Where holes for the records of threads are looked for, and how far apart.
const FIRST_HOLE: u64 = 1 << 40;
const NEXT_HOLE: u64 = 1 << 30;
/// Where XSAVE notes XCR0 in the area that the kernel gives away (`struct _fpx_sw_bytes`), and the legacy part's length.
const XCR0_AT: usize = 464;
const LEGACY_BYTES: usize = 576;
/// MXCSR in that area, and what the ABI begins with.
const MXCSR_AT: usize = 24;
const MXCSR: [u8; 4] = 0x1f80_u32.to_le_bytes();

/// A thread's record, and its XSAVE area behind it.
fn fill(to: &mut [u8], thread: &Thread<'_>, is_main: bool) {
    let mut record = ThreadRecord::new_zeroed();
    record.registers = going_on(thread);
    record.number = u64::from(thread.number);
    record.is_main = u64::from(is_main);
    let (head, area) = to.split_at_mut(size_of::<ThreadRecord>());
    head.copy_from_slice(record.as_bytes());
    if thread.xsave.is_empty() {
        if let Some(mxcsr) = area.get_mut(MXCSR_AT..MXCSR_AT + 4) {
            mxcsr.copy_from_slice(&MXCSR);
        }
    } else if let Some(area) = area.get_mut(..thread.xsave.len()) {
        area.copy_from_slice(thread.xsave);
    }
}

/// An address with so much room, and a page on either side.
fn hole(mappings: &[Mapping], bytes: u64) -> u64 {
    let is_free = |start: u64| {
        let (from, to) = (start - PAGE, start + bytes + PAGE);
        !mappings.iter().any(|mapping| mapping.start < to && from < mapping.end)
    };
    let mut tried =
        (0..).map(|step| FIRST_HOLE + step * NEXT_HOLE).take_while(|&start| start < ADDRESSES);
    tried.find(|&start| is_free(start)).unwrap_or(FIRST_HOLE)
}

/// XCR0's low word, from a thread's XSAVE area.
fn xcr0(xsave: &[u8]) -> u32 {
    let word = xsave.get(XCR0_AT..XCR0_AT + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_le_bytes)
}

/// The registers from which a thread goes on: a system call that the end interrupted begins again, as it does after a signal.
pub(crate) fn going_on(thread: &Thread<'_>) -> [u64; REGISTERS] {
    let mut registers = thread.registers;
    if system_call(thread).is_none() {
        return registers;
    }
    // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND (linux/errno.h): from its `syscall` instruction, which has two bytes.
    // ERESTART_RESTARTBLOCK: how long it had to wait still is not known, so EINTR.
    match registers[register::RAX].cast_signed() {
        -514..=-512 => {
            registers[register::RAX] = registers[register::ORIG_RAX];
            registers[register::RIP] = registers[register::RIP].wrapping_sub(2);
        }
        -516 => registers[register::RAX] = (-4_i64).cast_unsigned(),
        _ => {}
    }
    registers
}

/// The system call that a thread is in.
fn system_call(thread: &Thread<'_>) -> Option<i64> {
    let number = thread.registers[register::ORIG_RAX].cast_signed();
    (number >= 0).then_some(number)
}

/// It cannot go on: its own instruction failed, or it raised the signal itself, as abort(3) does.
fn has_failed(thread: &Thread<'_>, signal: Option<Signal>) -> bool {
    let Some(signal) = signal else { return false };
    let call = system_call(thread);
    (signal.code > 0 && FAULTS.contains(&signal.number) && call.is_none())
        || matches!(call, Some(TKILL | TGKILL | RT_TGSIGQUEUEINFO))
}

/// An event loop that waits, which holds no lock. On its descriptors, which are gone, it would fail.
fn waits_for_events(thread: &Thread<'_>) -> bool {
    matches!(system_call(thread), Some(EPOLL_WAIT | EPOLL_PWAIT | EPOLL_PWAIT2))
}

/// A task of io_uring: the kernel lists it as a thread and gives it no place in the program (`copy_thread`, process.c).
fn is_kernels(thread: &Thread<'_>) -> bool {
    thread.registers[register::RIP] == 0 && thread.registers[register::RSP] == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: i64 = -1;

    fn thread(number: u32, call: i64, answer: i64) -> Thread<'static> {
        let mut registers = [0; REGISTERS];
        registers[register::ORIG_RAX] = call.cast_unsigned();
        registers[register::RAX] = answer.cast_unsigned();
        registers[register::RIP] = 0x1002;
        registers[register::RSP] = 0x2000;
        Thread { number, registers, xsave: &[] }
    }

    fn notes(threads: Vec<Thread<'static>>, signal: Option<(i32, i32)>) -> Notes<'static> {
        let signal = signal.map(|(number, code)| Signal { number, code });
        Notes { threads, pid: Some(1), signal, ..Notes::default() }
    }

    fn decided(threads: Vec<Thread<'static>>, signal: Option<(i32, i32)>) -> (u32, bool, Vec<u32>) {
        let notes = notes(threads, signal);
        let Some(found) = Threads::of(&notes) else { panic!("no main thread") };
        let others = found.others.iter().map(|thread| thread.number).collect();
        (found.main.number, found.main_goes_on, others)
    }

    #[test]
    fn a_thread_whose_own_instruction_failed_stays() {
        let threads = vec![thread(1, USER, 0), thread(2, USER, 0)];
        assert_eq!(decided(threads, Some((11, 1))), (1, false, vec![2]));
    }

    #[test]
    fn a_thread_that_was_sent_the_signal_goes_on() {
        let threads = vec![thread(1, USER, 0)];
        assert_eq!(decided(threads, Some((11, 0))), (1, true, vec![]));
    }

    #[test]
    fn a_thread_that_raised_the_signal_stays() {
        let threads = vec![thread(1, TGKILL, 0)];
        assert_eq!(decided(threads, Some((6, -6))), (1, false, vec![]));
    }

    #[test]
    fn the_main_thread_is_that_of_the_process_and_not_the_one_that_failed() {
        let threads = vec![thread(7, USER, 0), thread(1, 202, -512)];
        assert_eq!(decided(threads, Some((11, 2))), (1, true, vec![]));
    }

    #[test]
    fn threads_that_wait_for_events_stay_and_tasks_of_the_kernel_are_none() {
        let mut ring = thread(4, 426, 0);
        ring.registers[register::RIP] = 0;
        ring.registers[register::RSP] = 0;
        let threads =
            vec![thread(1, EPOLL_PWAIT, -4), thread(2, EPOLL_WAIT, -4), thread(3, 0, -512), ring];
        assert_eq!(decided(threads, None), (1, false, vec![3]));
    }

    #[test]
    fn an_interrupted_system_call_begins_again() {
        let again = going_on(&thread(1, 202, -512));
        assert_eq!((again[register::RAX], again[register::RIP]), (202, 0x1000));
        let waited = going_on(&thread(1, 230, -516));
        assert_eq!((waited[register::RAX].cast_signed(), waited[register::RIP]), (-4, 0x1002));
        let done = going_on(&thread(1, 1, 8));
        assert_eq!((done[register::RAX], done[register::RIP]), (8, 0x1002));
        let user = going_on(&thread(1, USER, -512));
        assert_eq!(user[register::RAX].cast_signed(), -512);
    }
}
