//! Which threads of a core go on in the restored process, and from where.
//!
//! No thread is left where it stood but those that wait in an event loop: any other may hold a lock that V8's snapshot needs
//! (of malloc, of a MessagePort), or do a part of a collection that the main thread waits for. What they may do then is the
//! restorer's business: its filter lets none out of the process.

use crate::core::Core;
use crate::notes::{Signal, Thread};
use heapimage::{REGISTERS, register};

/// What becomes of the threads.
pub(crate) struct Threads<'a> {
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
    /// `None` where the main thread is not there.
    pub(crate) fn of(core: &'a Core<'a>) -> Option<Threads<'a>> {
        let notes = &core.notes;
        let main = notes.threads.iter().find(|thread| Some(thread.number) == notes.pid);
        let main = main.or(notes.threads.first())?;
        // The kernel writes the one that the signal ended first; gdb, which ends none, writes no NT_SIGINFO of a fault.
        let failed = notes.threads.first().filter(|first| has_failed(first, notes.signal));
        let fell =
            |thread: &Thread<'_>| failed.is_some_and(|failed| failed.number == thread.number);
        let others = notes.threads.iter().filter(|thread| {
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
    use crate::notes::Notes;

    const USER: i64 = -1;

    fn thread(number: u32, call: i64, answer: i64) -> Thread<'static> {
        let mut registers = [0; REGISTERS];
        registers[register::ORIG_RAX] = call.cast_unsigned();
        registers[register::RAX] = answer.cast_unsigned();
        registers[register::RIP] = 0x1002;
        registers[register::RSP] = 0x2000;
        Thread { number, registers, xsave: &[] }
    }

    fn core(threads: Vec<Thread<'static>>, signal: Option<(i32, i32)>) -> Core<'static> {
        let signal = signal.map(|(number, code)| Signal { number, code });
        let notes = Notes { threads, pid: Some(1), signal, ..Notes::default() };
        Core { notes, segments: Vec::new() }
    }

    fn decided(threads: Vec<Thread<'static>>, signal: Option<(i32, i32)>) -> (u32, bool, Vec<u32>) {
        let core = core(threads, signal);
        let Some(found) = Threads::of(&core) else { panic!("no main thread") };
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
