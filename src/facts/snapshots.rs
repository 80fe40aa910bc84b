//! Snapshots of this process, whoever asks for them: those that run or wait, and the last ones before.

use super::update;
use crate::error::SnapshotError;
use crate::monitor::wall_clock;
use crate::process;
use crate::snapshot::{Output, Report};
use serde::Serialize;

/// Who asked for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    Call,
    Signal,
    Oom,
    Monitor,
}

/// A snapshot on the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(u64);

impl Entry {
    /// Accepted, and waiting for others.
    pub(crate) fn waiting(cause: Cause, is_main: bool, output: &Output) -> Entry {
        let path = output.path().map(|path| path.to_string_lossy().into_owned());
        Entry::add(cause, is_main, path, output.identity())
    }

    /// Not accepted.
    pub(crate) fn refused(cause: Cause, is_main: bool, error: &SnapshotError) {
        Entry::add(cause, is_main, None, None).failed(error);
    }

    pub(crate) fn running(self) {
        self.change(|snapshot| snapshot.state = Stage::Running);
    }

    /// Its file will have another name.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn moved(self, output: &Output) {
        let path = output.path().map(|path| path.to_string_lossy().into_owned());
        self.change(|snapshot| snapshot.path = path);
    }

    /// `file`: device and inode of what stands under the name, if a file does.
    pub(crate) fn ended(self, result: &Result<Report, SnapshotError>, file: Option<(u64, u64)>) {
        match result {
            Err(error) => self.failed(error),
            Ok(report) => self.change(|snapshot| {
                snapshot.state = Stage::Complete;
                snapshot.ended_at = Some(wall_clock());
                snapshot.bytes = Some(report.bytes);
                // A copy may have taken its place.
                snapshot.file = file.map(named);
                // Its name may have become another's meanwhile.
                if let Some(path) = &report.path {
                    snapshot.path = Some(path.to_string_lossy().into_owned());
                }
            }),
        }
    }

    fn failed(self, error: &SnapshotError) {
        self.change(|snapshot| {
            snapshot.state = Stage::Failed;
            snapshot.ended_at = Some(wall_clock());
            snapshot.code = error.code();
            if let SnapshotError::Io { source, .. } = error {
                snapshot.errno = source.raw_os_error();
            }
            snapshot.message = Some(error.to_string().chars().take(MOST_CHARACTERS).collect());
        });
    }

    fn add(cause: Cause, main: bool, path: Option<String>, file: Option<(u64, u64)>) -> Entry {
        let mut entry = Entry(0);
        update(|facts| {
            entry = facts.snapshots.add(cause, main, path, file.map(named));
        });
        entry
    }

    fn change(self, change: impl FnOnce(&mut Snapshot)) {
        update(|facts| facts.snapshots.change(self, change));
    }
}

/// Takes a snapshot on the calling thread, a JavaScript thread that stands still for it.
pub(crate) fn while_taken(
    output: &Output,
    take: impl FnOnce() -> Result<Report, SnapshotError>,
) -> Result<Report, SnapshotError> {
    let entry = Entry::waiting(Cause::Call, process::is_main_thread(), output);
    entry.running();
    let result = take();
    entry.ended(&result, output.identity());
    result
}

/// A file, as [`Snapshot::file`] has it.
fn named((device, inode): (u64, u64)) -> String {
    format!("{device}:{inode}")
}

/// Snapshots that are remembered.
const MOST_SNAPSHOTS: usize = 24;
/// Of an error's message.
const MOST_CHARACTERS: usize = 400;

/// The oldest first.
#[derive(Default)]
pub(super) struct Snapshots {
    list: Vec<Snapshot>,
    last_number: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    number: u64,
    cause: Cause,
    state: Stage,
    main: bool,
    path: Option<String>,
    file: Option<String>,
    asked_at: u64,
    ended_at: Option<u64>,
    bytes: Option<u64>,
    code: Option<&'static str>,
    errno: Option<i32>,
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Waiting,
    Running,
    Complete,
    Failed,
}

impl Snapshots {
    pub(super) fn without_oldest(&self, count: usize) -> &[Snapshot] {
        self.list.get(count..).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    fn add(
        &mut self,
        cause: Cause,
        main: bool,
        path: Option<String>,
        file: Option<String>,
    ) -> Entry {
        self.last_number += 1;
        self.list.push(Snapshot {
            number: self.last_number,
            cause,
            state: Stage::Waiting,
            main,
            path,
            file,
            asked_at: wall_clock(),
            ended_at: None,
            bytes: None,
            code: None,
            errno: None,
            message: None,
        });
        self.forget_old_ones();
        Entry(self.last_number)
    }

    fn change(&mut self, Entry(number): Entry, change: impl FnOnce(&mut Snapshot)) {
        // It may be forgotten.
        self.list.iter_mut().find(|snapshot| snapshot.number == number).map(change);
    }

    /// Those that have ended go first, and what another process may wait for last.
    fn forget_old_ones(&mut self) {
        while self.list.len() > MOST_SNAPSHOTS {
            let oldest = |goes: fn(&Snapshot) -> bool| self.list.iter().position(goes);
            let goes = oldest(|snapshot| snapshot.ended_at.is_some())
                .or_else(|| oldest(|snapshot| snapshot.cause == Cause::Call))
                .unwrap_or(0);
            self.list.remove(goes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(snapshots: &Snapshots) -> Vec<u64> {
        snapshots.list.iter().map(|snapshot| snapshot.number).collect()
    }

    #[test]
    fn what_has_ended_is_forgotten_first_and_a_signal_s_dump_last() {
        let mut snapshots = Snapshots::default();
        snapshots.add(Cause::Signal, true, None, None);
        let ended = snapshots.add(Cause::Call, true, None, None);
        snapshots.change(ended, |snapshot| snapshot.ended_at = Some(1));
        for _ in 0..MOST_SNAPSHOTS - 1 {
            snapshots.add(Cause::Call, true, None, None);
        }
        let expected: Vec<u64> = [1].into_iter().chain(3..=25).collect();
        assert_eq!(numbers(&snapshots), expected);
        snapshots.add(Cause::Call, true, None, None);
        let expected: Vec<u64> = [1].into_iter().chain(4..=26).collect();
        assert_eq!(numbers(&snapshots), expected);
        snapshots.change(ended, |_| panic!("it is forgotten"));
    }
}
