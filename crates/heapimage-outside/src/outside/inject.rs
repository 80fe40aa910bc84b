//! System calls that the main thread of a stopped process makes for us.
//!
//! *Invariant*: nothing is injected before the frames are written. Wherever this program is killed from then on, the thread goes
//! on with its own registers and its own signal mask, and a copy that was made ends.

use super::arch::{Frames, Gadgets, Registers, number};
use super::dying::may_die;
use super::fault::Fault;
use super::maps::Row;
use super::process::Process;
use super::ptrace::{self, Report, option};
use super::stop::{Deadline, Thread};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// So long the thread may take to come back from the kernel, in which it works for no other: then it is left to the frames.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the stop may last beyond its end, so that what was changed is put back by the calls for that, which take microseconds.
const GRACE: Duration = Duration::from_millis(100);
/// Bytes of the main thread's stack that must be there below the frames.
const SPARE: u64 = 256;
/// All signals but SIGSYS: the kernel ends a process whose filter answers a call with one that is blocked (`force_sig_info`).
const HELD_BACK: u64 = !(1 << (libc::SIGSYS - 1));

/// What is injected, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Mappings may be copied for children: madvise(2), MADV_DOFORK.
    LetCopy { start: u64, end: u64 },
    /// Mappings are kept from children, as they were: madvise(2), MADV_DONTFORK.
    KeepFromChildren { start: u64, end: u64 },
    /// The copy: clone(2).
    Copy { flags: u64 },
    /// A dead copy is taken away: wait4(2).
    TakeAway { child: i64 },
}

impl Call {
    fn parts(self, copy_stack: u64) -> (u64, [u64; 3]) {
        const DONTFORK: u64 = 10;
        const DOFORK: u64 = 11;
        /// WNOHANG, __WALL.
        const HOW: u64 = 1 | 0x4000_0000;
        match self {
            Call::LetCopy { start, end } => (number::MADVISE, [start, end - start, DOFORK]),
            Call::KeepFromChildren { start, end } => {
                (number::MADVISE, [start, end - start, DONTFORK])
            }
            Call::Copy { flags } => (number::CLONE, [flags, copy_stack, 0]),
            // The fourth argument is where its use of resources is told: nowhere.
            Call::TakeAway { child } => (number::WAIT4, [child.cast_unsigned(), 0, HOW]),
        }
    }
}

/// The main thread, prepared.
pub(crate) struct Injector {
    main: i32,
    own: Registers,
    mask: u64,
    frames: Frames,
    gadgets: Gadgets,
    /// Of ptrace(2), while there are calls.
    options: usize,
    /// When the process is to go on.
    deadline: Deadline,
    /// Registers were changed.
    has_begun: bool,
    /// It is in a call that did not come back in time.
    is_away: bool,
    /// It is not stopped where it can be put back.
    is_lost: bool,
    calls: u32,
    /// Of the last one: 1 where the thread is in it, 2 behind it.
    seen: u32,
    /// Signals that it gets when it has its own registers again.
    held: Vec<i32>,
    /// The copy that was born meanwhile.
    pub(crate) copy: Option<i32>,
}

impl Injector {
    /// Writes the frames; `calls` were made before. `None` where the thread is at a place where nothing may be written or injected: on another stack than
    /// its own (a signal's handler), with no room below it, or in a critical section of rseq(2), which would not begin again.
    pub(crate) fn prepare(
        process: &Process,
        main: &Thread,
        rows: &[Row],
        gadgets: Gadgets,
        calls: u32,
        deadline: Deadline,
    ) -> Result<Option<Injector>, Fault> {
        let mask = ptrace::mask(main.number).map_err(Fault::Injection)?;
        let frames = Frames::of(&main.registers, mask, &main.xsave, gadgets);
        let top = main.registers.stack();
        let stack = rows.iter().find(|row| row.is_stack() && row.start <= top && top < row.end);
        let has_room = stack.is_some_and(|row| row.start + SPARE <= frames.lowest);
        if !has_room || is_in_critical_section(process, main) {
            return Ok(None);
        }
        for (at, bytes) in &frames.parts {
            if process.memory.write_all_at(bytes, *at).is_err() {
                return Ok(None);
            }
        }
        Ok(Some(Injector {
            main: main.number,
            own: main.registers,
            mask,
            frames,
            gadgets,
            options: option::MARKED_CALLS | option::CLONES,
            deadline,
            has_begun: false,
            is_away: false,
            is_lost: false,
            calls,
            seen: 0,
            held: Vec::new(),
            copy: None,
        }))
    }

    /// Its seccomp filter does not see the calls: for those whom the kernel lets suspend it (CAP_SYS_ADMIN). Whether it does.
    pub(crate) fn suspend_filter(&mut self) -> bool {
        let options = self.options | option::NO_FILTER;
        let is_done = ptrace::set_options(self.main, options).is_ok();
        if is_done {
            self.options = options;
        }
        is_done
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether the thread is in a call still, and the deadline is over: no other waits for it.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }

    /// Whether something may be changed that further calls can put back.
    pub(crate) fn can_put_back(&self) -> bool {
        self.has_begun && !self.is_away && !self.is_lost
    }

    /// Makes one call; what it answers. Behind the deadline only what puts something back.
    pub(crate) fn call(&mut self, call: Call) -> Result<i64, Fault> {
        let deadline = match call {
            Call::KeepFromChildren { .. } => self.deadline.and(GRACE),
            _ => self.deadline,
        };
        if deadline.is_over() {
            return Err(deadline.fault());
        }
        let (number, arguments) = call.parts(self.frames.copy_stack);
        let at = self.gadgets.call;
        let registers = self.own.calling(number, arguments, at, self.frames.stack);
        self.calls += 1;
        may_die(self.calls, 0);
        ptrace::set_registers(self.main, &registers).map_err(|error| self.lose(error))?;
        if !self.has_begun {
            self.has_begun = true;
            may_die(self.calls, 1);
            // Behind the registers: from now on the frame gives the mask back, too.
            ptrace::set_mask(self.main, HELD_BACK).map_err(|error| self.lose(error))?;
            ptrace::set_options(self.main, self.options).map_err(|error| self.lose(error))?;
        }
        may_die(self.calls, 2);
        let answer = self.run_to_answer(deadline)?;
        may_die(self.calls, 6);
        Ok(answer)
    }

    /// The thread goes to the call, and through it.
    fn run_to_answer(&mut self, deadline: Deadline) -> Result<i64, Fault> {
        let mut signal = 0;
        let at = self.gadgets.call;
        self.seen = 0;
        loop {
            ptrace::go_on_to_call(self.main, signal).map_err(|error| self.lose(error))?;
            may_die(self.calls, 3 + self.seen);
            let Some((_, report)) = ptrace::wait(self.main, deadline.at) else {
                self.is_away = true;
                return Err(deadline.fault());
            };
            match report {
                // The instruction is not what it was.
                Report::Signal(libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE) => {
                    return Err(Fault::Injection(libc::EFAULT));
                }
                other => signal = self.note(other)?,
            }
            if self.seen == 2 {
                let registers = ptrace::registers(self.main).map_err(|error| self.lose(error))?;
                if registers.is_behind(at) {
                    return Ok(registers.answer());
                }
                self.is_lost = true;
                return Err(Fault::Lost);
            }
        }
    }

    /// What happens to the thread meanwhile. Gives the signal that it goes on with.
    fn note(&mut self, report: Report) -> Result<i32, Fault> {
        match report {
            Report::Ended => return Err(self.lose(libc::ESRCH)),
            Report::Cloned => self.copy = ptrace::cloned(self.main).ok(),
            Report::Signal(libc::SIGSTOP) => return Ok(libc::SIGSTOP),
            Report::AtCall => self.seen += 1,
            // Its filter's answer to our call, which was not made.
            Report::Signal(libc::SIGSYS) | Report::Stopped => {}
            // None is delivered on our frame: its handler would be left half-way by the next registers. What was about to be
            // delivered when the mask was set comes here all the same (before Linux 5.2).
            Report::Signal(other) => self.held.push(other),
        }
        Ok(0)
    }

    /// Puts back mask and registers.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.put_back()
    }

    /// Where the kernel looks at signals on the thread's way back from it, before any instruction of the process: there it gets
    /// its own registers with its own call in them, as if it had never left the place where it was stopped. So the kernel itself decides
    /// whether that call begins again, goes on for what is left of its time, or ends because of a signal that came meanwhile
    /// (`arch_do_signal_or_restart`, arch/x86/kernel/signal.c).
    fn put_back(&mut self) -> Result<(), Fault> {
        if !self.has_begun {
            return Ok(());
        }
        self.has_begun = false;
        let put_back = self.put_back_where_it_was();
        for signal in self.held.drain(..) {
            ptrace::send(self.main, signal);
        }
        put_back
    }

    fn put_back_where_it_was(&mut self) -> Result<(), Fault> {
        if self.is_lost {
            return Ok(());
        }
        may_die(self.calls, 7);
        self.bring_back()?;
        let _ = ptrace::set_options(self.main, 0);
        may_die(self.calls, 8);
        ptrace::set_mask(self.main, self.mask).map_err(|error| self.lose(error))?;
        may_die(self.calls, 9);
        ptrace::set_registers(self.main, &self.own).map_err(|error| self.lose(error))
    }

    fn bring_back(&mut self) -> Result<(), Fault> {
        let deadline = Instant::now() + PATIENCE;
        ptrace::interrupt(self.main).map_err(|error| self.lose(error))?;
        let mut signal = 0;
        loop {
            if !self.is_away {
                ptrace::go_on(self.main, signal).map_err(|error| self.lose(error))?;
            }
            match ptrace::wait(self.main, deadline) {
                Some((_, Report::Stopped)) => return Ok(()),
                Some((_, report)) => signal = self.note(report)?,
                None => {
                    self.is_lost = true;
                    return Err(Fault::Lost);
                }
            }
            if self.is_away && self.seen == 1 {
                // The thread had not come to the call when the time was over, and is before it now, or was in it.
                self.leave_out_call()?;
            }
            self.is_away = false;
        }
    }

    /// A call whose number is not one is not made (`syscall_trace_enter`, kernel/entry/common.c).
    fn leave_out_call(&mut self) -> Result<(), Fault> {
        let mut registers = ptrace::registers(self.main).map_err(|error| self.lose(error))?;
        registers.leave_out_call();
        ptrace::set_registers(self.main, &registers).map_err(|error| self.lose(error))
    }

    fn lose(&mut self, error: i32) -> Fault {
        self.is_lost = true;
        if error == libc::ESRCH { Fault::Ended } else { Fault::Injection(error) }
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        let _ = self.put_back();
    }
}

/// Whether the thread is inside of a critical section (`struct rseq_cs` in linux/rseq.h: the kernel takes it back to its beginning
/// when it was interrupted there, which it would not notice behind our registers).
fn is_in_critical_section(process: &Process, main: &Thread) -> bool {
    const CRITICAL_SECTION: u64 = 8;
    let Some(area) = ptrace::rseq(main.number) else { return false };
    let Some(section @ 1..) = process.word(area + CRITICAL_SECTION) else { return false };
    let (Some(start), Some(length)) = (process.word(section + 8), process.word(section + 16))
    else {
        return true;
    };
    main.registers.instruction().wrapping_sub(start) < length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::maps::read;
    use crate::outside::stop::Stopped;
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::{sleep, spawn};

    /// pause(2) comes back when a handler was called, and for nothing else (-ERESTARTNOHAND, linux/errno.h).
    const PAUSES: &str = "import signal; signal.signal(signal.SIGUSR1, lambda *_: None); \
        print('ready', flush=True); signal.pause(); print('back', flush=True)";
    const LIMIT: Duration = Duration::from_secs(60);

    fn start() -> (Child, Receiver<String>) {
        let mut command = Command::new("python3");
        let mut child =
            command.args(["-c", PAUSES]).stdout(Stdio::piped()).spawn().expect("python3");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (to, lines) = channel();
        spawn(move || output.lines().map_while(Result::ok).all(|line| to.send(line).is_ok()));
        assert_eq!(lines.recv_timeout(LIMIT).as_deref(), Ok("ready"));
        (child, lines)
    }

    fn wait_until_it_pauses(pid: i32) {
        let end = Instant::now() + LIMIT;
        let call = || fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        while !call().starts_with("34 ") {
            assert!(Instant::now() < end, "it is in {}", call());
            sleep(Duration::from_millis(1));
        }
    }

    /// Stops it, has it make a call, and `meanwhile`.
    fn stop(pid: i32, meanwhile: impl FnOnce()) {
        let process = Process::open(pid).expect("it");
        let rows = read(pid, "maps").expect("its mappings");
        let gadgets = process.gadgets(&rows).expect("instructions");
        let stopped = Stopped::main_alone(&process, LIMIT, LIMIT).expect("a stop");
        let main = stopped.main().expect("a main thread");
        let injector = Injector::prepare(&process, main, &rows, gadgets, 0, stopped.deadline);
        let mut injector = injector.expect("frames").expect("a place for them");
        let answer = injector.call(Call::TakeAway { child: 1 }).expect("a call");
        assert_eq!(answer, -i64::from(libc::ECHILD));
        meanwhile();
        injector.end().expect("its registers");
        stopped.release();
    }

    #[test]
    fn a_call_goes_on_waiting_and_ends_for_a_signal_that_comes_meanwhile() {
        let (mut child, lines) = start();
        let pid = i32::try_from(child.id()).expect("a number");
        wait_until_it_pauses(pid);
        stop(pid, || ());
        wait_until_it_pauses(pid);
        stop(pid, || ptrace::send(pid, libc::SIGUSR1));
        let said = lines.recv_timeout(LIMIT);
        child.kill().and_then(|()| child.wait()).expect("its end");
        assert_eq!(said.as_deref(), Ok("back"));
    }
}
