//! What is x86-64's alone: registers, the instruction of a system call, and frames of rt_sigreturn(2).

use heapimage::{REGISTERS, register};
use zerocopy::IntoBytes;

/// Numbers of the system calls that are injected (`arch/x86/entry/syscalls/syscall_64.tbl`).
pub(crate) mod number {
    pub(crate) const MADVISE: u64 = 28;
    pub(crate) const CLONE: u64 = 56;
    pub(crate) const WAIT4: u64 = 61;
    pub(super) const EXIT_GROUP: u64 = 231;
}

/// Below a stack pointer these bytes are in use, as the ABI says (psABI, 3.2.2): the red zone.
const RED_ZONE: u64 = 128;
/// `user_regs_struct` (sys/user.h) beside [`register`].
const R12_TO_R15: [usize; 4] = [3, 2, 1, 0];
const R8_TO_R11: [usize; 4] = [9, 8, 7, 6];
const RBP: usize = 4;
const RBX: usize = 5;
const RCX: usize = 11;
const RDX: usize = 12;
const RSI: usize = 13;
const RDI: usize = 14;
const CS: usize = 17;
const SS: usize = 20;
/// RFLAGS: single steps, and the direction of string instructions.
const STEPS_AND_DIRECTION: u64 = 0x500;
/// "In no system call": nothing is begun again.
const NO_CALL: u64 = u64::MAX;
/// EINTR, as a call answers it.
const INTERRUPTED: u64 = (-4_i64).cast_unsigned();

/// Registers of a stopped thread (`user_regs_struct`).
#[derive(Clone, Copy)]
pub(crate) struct Registers(pub(crate) [u64; REGISTERS]);

impl Registers {
    pub(crate) fn stack(&self) -> u64 {
        self.0[register::RSP]
    }

    pub(crate) fn instruction(&self) -> u64 {
        self.0[register::RIP]
    }

    pub(crate) fn thread_pointer(&self) -> u64 {
        self.0[register::FS_BASE]
    }

    /// Whether the thread is behind the call (two bytes) at `gadget`.
    pub(crate) fn is_behind(&self, gadget: u64) -> bool {
        self.0[register::RIP] == gadget + 2
    }

    /// What a system call answered: a negative number is an error's.
    pub(crate) fn answer(&self) -> i64 {
        self.0[register::RAX].cast_signed()
    }

    /// Those to go on with from a frame: a system call that the stop interrupted begins again, or ends as one that a signal has
    /// interrupted. Whether there was a signal is not known there; to wait once more for one that has been is worse than to look once too often.
    fn going_back(mut self) -> Registers {
        let words = &mut self.0;
        if words[register::ORIG_RAX].cast_signed() >= 0 {
            match words[register::RAX].cast_signed() {
                // ERESTARTSYS, ERESTARTNOINTR (linux/errno.h).
                -513 | -512 => {
                    words[register::RAX] = words[register::ORIG_RAX];
                    words[register::RIP] = words[register::RIP].wrapping_sub(2);
                }
                // ERESTARTNOHAND; ERESTART_RESTARTBLOCK, of which rt_sigreturn(2) forgets the time that is left.
                -514 | -516 => words[register::RAX] = INTERRUPTED,
                _ => {}
            }
        }
        words[register::ORIG_RAX] = NO_CALL;
        self
    }

    /// The call that the thread is about to make is not made.
    pub(crate) fn leave_out_call(&mut self) {
        self.0[register::ORIG_RAX] = NO_CALL;
    }

    /// Those of a system call at `instruction`, on `stack`.
    pub(crate) fn calling(
        mut self,
        number: u64,
        arguments: [u64; 3],
        instruction: u64,
        stack: u64,
    ) -> Registers {
        let words = &mut self.0;
        words[register::RAX] = number;
        words[register::ORIG_RAX] = NO_CALL;
        [words[RDI], words[RSI], words[RDX]] = arguments;
        // r10, r8 and r9: the fourth to sixth argument.
        [words[7], words[9], words[8]] = [0; 3];
        words[register::RIP] = instruction;
        words[register::RSP] = stack;
        words[register::FLAGS] &= !STEPS_AND_DIRECTION;
        self
    }
}

/// Instructions of the process that are used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gadgets {
    /// `syscall; ret`.
    pub(crate) call: u64,
    /// `mov $15, %rax; syscall`: rt_sigreturn(2), where handlers of signals return to (`__restore_rt` of glibc and musl).
    pub(crate) sigreturn: u64,
}

const CALL: [u8; 3] = [0x0f, 0x05, 0xc3];
const SIGRETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

impl Gadgets {
    pub(crate) fn are_complete(&self) -> bool {
        self.call != 0 && self.sigreturn != 0
    }

    /// Takes what is missing of code that lies at `start`.
    pub(crate) fn look_in(&mut self, code: &[u8], start: u64) {
        let find = |bytes: &[u8]| memchr::memmem::find(code, bytes).map(|at| start + at as u64);
        if self.call == 0 {
            self.call = find(&CALL).unwrap_or(0);
        }
        if self.sigreturn == 0 {
            self.sigreturn = find(&SIGRETURN).unwrap_or(0);
        }
    }

    /// What must lie at each of them.
    pub(crate) fn bytes(&self) -> [(u64, &'static [u8]); 2] {
        [(self.call, &CALL), (self.sigreturn, &SIGRETURN)]
    }
}

/// What is written below the red zone of the main thread's stack, as the kernel does for a signal, before anything is injected.
/// Whoever dies from then on: an injected call returns into rt_sigreturn(2), and the thread goes on as if there had been a signal.
pub(crate) struct Frames {
    /// Where the frames lie, and their bytes: one for the main thread, one for its copy.
    pub(crate) parts: [(u64, Vec<u8>); 2],
    /// The stack of injected calls: the main thread's frame.
    pub(crate) stack: u64,
    /// The stack that the copy is born with: its frame leads to exit_group(2), so that no copy ever runs anything else.
    pub(crate) copy_stack: u64,
    /// The lowest address that is used.
    pub(crate) lowest: u64,
}

/// Words of a frame before its XSAVE area: `ret`'s, `struct ucontext` (5 words, `sigcontext` of 32, the signal mask).
const FRAME_BYTES: u64 = 1024;
const FRAME_WORDS: usize = 128;
const _: () = assert!(size_of::<[u64; FRAME_WORDS]>() as u64 == FRAME_BYTES);
const APART: u64 = 2048;
const CONTEXT: usize = 1 + 5;
const MASK: usize = CONTEXT + 32;
/// UC_FP_XSTATE; UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS (asm/ucontext.h).
const HAS_XSAVE: u64 = 1;
const RESTORES_SS: u64 = 6;
/// Flags of an alternate stack that the kernel refuses (`do_sigaltstack`): the one there is stays.
const NO_STACK: u64 = 0x1234_5678;
/// FP_XSTATE_MAGIC1 and 2, and where they and XCR0 stand (asm/sigcontext.h, `_fpx_sw_bytes`).
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;
const SOFTWARE_BYTES: usize = 464;

impl Frames {
    pub(crate) fn of(registers: &Registers, mask: u64, xsave: &[u8], gadgets: Gadgets) -> Frames {
        let below = RED_ZONE + FRAME_BYTES + xsave.len() as u64 + 64;
        let stack = registers.stack().saturating_sub(below) & !63;
        let copy_stack = stack.saturating_sub(APART) & !63;
        let lowest = copy_stack.saturating_sub(APART);
        let ending = registers.calling(number::EXIT_GROUP, [0; 3], gadgets.call, lowest);
        let own = frame(stack, &registers.going_back(), mask, xsave, gadgets);
        let copy = frame(copy_stack, &ending, u64::MAX, &[], gadgets);
        Frames { parts: [(stack, own), (copy_stack, copy)], stack, copy_stack, lowest }
    }
}

/// Where XSAVE notes which of its parts hold anything (XSTATE_BV), and AMX's two parts, the last of the area (Intel SDM, volume
/// 1, 13.4 and 13.5).
const PARTS: std::ops::Range<usize> = 512..520;
const SOFTWARE_PARTS: std::ops::Range<usize> = SOFTWARE_BYTES..SOFTWARE_BYTES + 8;
const TILES: u64 = 3 << 17;

/// Shortens an XSAVE area by AMX's tiles, if they are empty. The kernel gives room for them of every thread, and takes none back
/// (`check_xstate_in_sigframe`) of one that has not asked for them.
pub(crate) fn leave_out_tiles(xsave: &mut Vec<u8>) {
    let word = |bytes: &[u8], at| {
        bytes.get(at).and_then(|part: &[u8]| part.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    let start = std::arch::x86_64::__cpuid_count(13, 17).ebx as usize;
    if start == 0 || start >= xsave.len() || word(xsave, PARTS) & TILES != 0 {
        return;
    }
    xsave.truncate(start);
    let parts = word(xsave, SOFTWARE_PARTS) & !TILES;
    if let Some(place) = xsave.get_mut(SOFTWARE_PARTS) {
        place.copy_from_slice(&parts.to_le_bytes());
    }
}

/// A frame of rt_sigreturn(2) at `at` (`struct rt_sigframe`); a `ret` takes its first word.
fn frame(at: u64, registers: &Registers, mask: u64, xsave: &[u8], gadgets: Gadgets) -> Vec<u8> {
    let from = &registers.0;
    let mut words = [0_u64; FRAME_WORDS];
    words[0] = gadgets.sigreturn;
    words[1] = RESTORES_SS | if xsave.is_empty() { 0 } else { HAS_XSAVE };
    words[4] = NO_STACK;
    let context = R8_TO_R11
        .into_iter()
        .chain(R12_TO_R15)
        .chain([RDI, RSI, RBP, RBX, RDX, register::RAX, RCX, register::RSP, register::RIP])
        .chain([register::FLAGS])
        .map(|index| from[index]);
    for (word, value) in words[CONTEXT..].iter_mut().zip(context) {
        *word = value;
    }
    words[CONTEXT + 18] = from[CS] | from[SS] << 48;
    words[CONTEXT + 23] = if xsave.is_empty() { 0 } else { at + FRAME_BYTES };
    words[MASK] = mask;
    let mut bytes = words.as_bytes().to_vec();
    if let (Some(features), Ok(length)) = (xsave.get(SOFTWARE_PARTS), u32::try_from(xsave.len())) {
        let mut area = xsave.to_vec();
        let mut software = [0; 48];
        software[..4].copy_from_slice(&MAGIC_1.to_le_bytes());
        software[4..8].copy_from_slice(&(length + 4).to_le_bytes());
        software[8..16].copy_from_slice(features);
        software[16..20].copy_from_slice(&length.to_le_bytes());
        area[SOFTWARE_BYTES..SOFTWARE_BYTES + 48].copy_from_slice(&software);
        bytes.extend_from_slice(&area);
        bytes.extend_from_slice(&MAGIC_2.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(call: i64, answer: i64) -> Registers {
        let mut words = [0; REGISTERS];
        words[register::ORIG_RAX] = call.cast_unsigned();
        words[register::RAX] = answer.cast_unsigned();
        words[register::RIP] = 0x1002;
        words[register::RSP] = 0x7ffc_0001_0008;
        Registers(words)
    }

    #[test]
    fn from_a_frame_an_interrupted_call_begins_again_or_has_been_interrupted() {
        let back = |call, answer| {
            let Registers(words) = registers(call, answer).going_back();
            (words[register::RAX].cast_signed(), words[register::RIP])
        };
        assert_eq!(back(202, -512), (202, 0x1000));
        assert_eq!(back(34, -514), (-4, 0x1002));
        assert_eq!(back(230, -516), (-4, 0x1002));
        assert_eq!(back(1, 8), (8, 0x1002));
        assert_eq!(back(232, -4), (-4, 0x1002));
        assert_eq!(back(-1, -512), (-512, 0x1002));
    }

    #[test]
    fn frames_lie_below_the_red_zone_and_apart() {
        let gadgets = Gadgets { call: 0x10, sigreturn: 0x20 };
        let xsave = vec![7; 2440];
        let frames = Frames::of(&registers(-1, 0), 5, &xsave, gadgets);
        let [(own_at, own), (copy_at, copy)] = &frames.parts;
        assert!(own_at + own.len() as u64 <= 0x7ffc_0001_0008 - RED_ZONE);
        assert!(copy_at + copy.len() as u64 <= *own_at && frames.lowest < *copy_at);
        assert_eq!((own_at % 64, copy_at % 64), (0, 0));
        let word = |bytes: &[u8], at: usize| {
            u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().expect("eight"))
        };
        assert_eq!((word(own, 0), word(own, MASK), word(copy, 0)), (0x20, 5, 0x20));
        assert_eq!(word(own, CONTEXT + 16), 0x1002, "the instruction");
        assert_eq!((word(copy, CONTEXT + 16), word(copy, CONTEXT + 13)), (0x10, 231));
    }
}
