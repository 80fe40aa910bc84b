//! What the process that takes a snapshot tells the one that waits for it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64};

/// What a child tells while it works. Every field is an atomic: the reader is another process.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Progress {
    stage: AtomicU32,
    failure: AtomicU32,
    errno: AtomicI32,
    /// Objects that V8 has visited, and how many it expects.
    pub(crate) done: AtomicU32,
    /// See `done`.
    pub(crate) total: AtomicU32,
    /// Name buffers are cut to size, or were about to be: a crash may come of it.
    pub(crate) names_cut: AtomicBool,
    /// A write(2) is under way: its reader or disk may be slow.
    pub(crate) writing: AtomicBool,
    /// Bytes that reached the output.
    pub(crate) bytes: AtomicU64,
    /// From the snapshot's own header.
    pub(crate) nodes: AtomicU64,
    /// From the snapshot's own header.
    pub(crate) edges: AtomicU64,
    /// Memory that the child held alone when it was done, in bytes.
    pub(crate) private_bytes: AtomicU64,
    /// SHA-256 of the output, once it is complete.
    digest: [AtomicU64; 4],
    /// Which of its names the output has got, counted from 1.
    name: AtomicU32,
    /// Device and inode of the copy that has it in the output's place, or zeros.
    copy: [AtomicU64; 2],
}

/// How far a child has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Stage {
    /// Forked; V8 collects garbage.
    Started = 0,
    /// V8 records objects.
    Recording = 1,
    /// The JSON is written.
    Writing = 2,
    /// The file is complete under its name, or the stream has ended.
    Complete = 3,
}

/// Why a child gave up of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Failure {
    /// V8 gave no snapshot or did not finish it.
    Snapshot = 1,
    /// An allocation failed at the child's memory limit.
    NoMemory = 2,
    /// Opening or writing failed.
    Write = 3,
    /// fsync failed.
    Sync = 4,
    /// rename failed.
    Rename = 5,
    /// link failed.
    Link = 8,
    /// The compressing thread could not be started.
    Thread = 7,
    /// The child could not read its own memory.
    Image = 9,
    /// What V8 wrote is not what can be redacted.
    Redact = 10,
    /// The child's own code failed.
    Internal = 6,
}

impl Progress {
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            0 => Stage::Started,
            1 => Stage::Recording,
            2 => Stage::Writing,
            _ => Stage::Complete,
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u32, Relaxed);
    }

    /// The first failure counts.
    pub(crate) fn fail(&self, failure: Failure, errno: i32) {
        if self.failure.compare_exchange(0, failure as u32, Relaxed, Relaxed).is_ok() {
            self.errno.store(errno, Relaxed);
        }
    }

    pub(crate) fn set_digest(&self, digest: [u8; 32]) {
        for (word, bytes) in self.digest.iter().zip(digest.as_chunks().0) {
            word.store(u64::from_be_bytes(*bytes), Relaxed);
        }
    }

    /// SHA-256 of the output in hexadecimal digits.
    pub(crate) fn digest(&self) -> Box<str> {
        let digits = self.digest.iter().map(|word| format!("{:016x}", word.load(Relaxed)));
        digits.collect::<String>().into()
    }

    /// The output stands under the name of this index; `copy`: device and inode of what stands there in its place.
    pub(crate) fn set_published(&self, name: usize, copy: Option<(u64, u64)>) {
        if let Some((device, inode)) = copy {
            self.copy[0].store(device, Relaxed);
            self.copy[1].store(inode, Relaxed);
        }
        self.name.store(u32::try_from(name + 1).unwrap_or(0), Relaxed);
    }

    /// `None` where nothing has been told.
    pub(crate) fn published(&self) -> Option<(usize, Option<(u64, u64)>)> {
        let name = self.name.load(Relaxed).checked_sub(1)?;
        let [device, inode] = [0, 1].map(|word| self.copy[word].load(Relaxed));
        Some((name as usize, (inode != 0).then_some((device, inode))))
    }

    /// What went wrong, with the errno where there is one.
    pub(crate) fn failure(&self) -> Option<(Failure, i32)> {
        let failure = match self.failure.load(Relaxed) {
            0 => return None,
            1 => Failure::Snapshot,
            2 => Failure::NoMemory,
            3 => Failure::Write,
            4 => Failure::Sync,
            5 => Failure::Rename,
            7 => Failure::Thread,
            8 => Failure::Link,
            9 => Failure::Image,
            10 => Failure::Redact,
            _ => Failure::Internal,
        };
        Some((failure, self.errno.load(Relaxed)))
    }
}
