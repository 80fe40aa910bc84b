//! Snapshots in process, on the JavaScript thread, with the same guarantees for the file.

use super::unfinished::{PublishError, PublishStep};
use super::writer::{Form, Writer, local_progress, write_snapshot};
use super::{Kind, Mode, Output, Report, RequestOptions};
use crate::error::SnapshotError;
use crate::process::{Failure, Progress};
use crate::v8::{ChunkSink, Isolate, take_heap_snapshot};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Takes the snapshot now; the calling thread is the isolate's.
pub(crate) fn take_in_process(
    output: &Output,
    options: &RequestOptions,
    asked_at: Instant,
    fallback_reason: Option<String>,
) -> Result<Report, SnapshotError> {
    let start = Instant::now();
    let progress = local_progress();
    let form = Form {
        redaction: options.redaction()?,
        compression: options.compression,
        recipients: options.recipients()?,
    };
    let missing = |symbol: crate::v8::MissingSymbol| SnapshotError::Internal(symbol.to_string());
    let isolate = Isolate::current().map_err(missing)?;
    let snapshot = take_heap_snapshot(isolate, options.v8, None)
        .map_err(missing)?
        .ok_or(SnapshotError::Incomplete)?;
    let write = |file: &File| write_snapshot(&snapshot, file, form, &progress);
    let written = write_to(output, write, &progress);
    snapshot.delete();
    written?;
    Ok(report(output, &progress, start, asked_at, fallback_reason))
}

/// Makes the snapshot of a file that V8 wrote by itself, for a Node whose profiler cannot be reached: checks that it is
/// whole and gives it the same guarantees.
pub(crate) fn import_file(
    source: &Path,
    output: &Output,
    options: &RequestOptions,
    asked_at: Instant,
    fallback_reason: Option<String>,
) -> Result<Report, SnapshotError> {
    let start = Instant::now();
    let progress = local_progress();
    let compression = options.compression;
    if options.redaction()?.is_some() {
        return Err(SnapshotError::Redact(
            "V8 would write it to the disk as it is first".to_owned(),
        ));
    }
    if options.recipients()?.is_some() {
        return Err(SnapshotError::Encrypt(
            "V8 would write it to the disk in clear first".to_owned(),
        ));
    }
    let read_error = |error| SnapshotError::io("read", source, error);
    let mut input = File::open(source).map_err(read_error)?;
    let mut last = 0;
    let copy = |file: &File| {
        let mut writer = Writer::new(file, Form { compression, ..Form::default() }, &progress)?;
        let mut chunk = vec![0; 1 << 20];
        loop {
            let length = match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    progress.fail(Failure::Snapshot, 0);
                    break;
                }
            };
            let bytes = chunk.get(..length).unwrap_or_default();
            last = bytes.last().copied().unwrap_or(last);
            if writer.write(bytes).is_break() {
                break;
            }
        }
        // V8 ends a snapshot with the closing brace of its one object.
        if last != b'}' && last != b'\n' {
            progress.fail(Failure::Snapshot, 0);
        }
        writer.finish()
    };
    write_to(output, copy, &progress)?;
    Ok(report(output, &progress, start, asked_at, fallback_reason))
}

/// The error that a progress record tells of.
pub(super) fn error_of(failure: Failure, errno: i32, path: Option<&Path>) -> SnapshotError {
    let path = path.map_or_else(|| PathBuf::from("<stream>"), Path::to_owned);
    let source = || io::Error::from_raw_os_error(errno);
    match failure {
        Failure::Snapshot => SnapshotError::Incomplete,
        Failure::NoMemory => {
            SnapshotError::NoMemory("the child reached its memory limit".to_owned())
        }
        Failure::Write => SnapshotError::Io { syscall: "write", path, source: source() },
        Failure::Sync => SnapshotError::Io { syscall: "fsync", path, source: source() },
        Failure::Link => SnapshotError::Io { syscall: "link", path, source: source() },
        Failure::Rename => SnapshotError::Io { syscall: "rename", path, source: source() },
        Failure::Thread => SnapshotError::Io { syscall: "pthread_create", path, source: source() },
        Failure::Image => SnapshotError::ImageUnsupported(
            format!("the child could not read its own memory: {}", source()).into(),
        ),
        Failure::Redact => SnapshotError::Redact(
            "V8 wrote something else than is known of its snapshots; nothing was kept".to_owned(),
        ),
        Failure::Internal => SnapshotError::Internal("the writer panicked".to_owned()),
    }
}

/// Records which step of publishing failed.
pub(super) fn record_publish_failure(progress: &Progress, error: &PublishError) {
    let failure = match error.step {
        PublishStep::Sync => Failure::Sync,
        PublishStep::Link => Failure::Link,
        PublishStep::Rename => Failure::Rename,
    };
    progress.fail(failure, error.source.raw_os_error().unwrap_or(0));
}

fn write_to(
    output: &Output,
    write: impl FnOnce(&File) -> Result<(), ()>,
    progress: &Progress,
) -> Result<(), SnapshotError> {
    let written = write(output.file());
    if written.is_ok() {
        match output.publish() {
            Ok(()) => {
                output.sync_directory();
                output.clear_directory();
            }
            Err(error) => record_publish_failure(progress, &error),
        }
    }
    match progress.failure() {
        Some((failure, errno)) => Err(error_of(failure, errno, output.path())),
        None if written.is_err() => Err(SnapshotError::Incomplete),
        None => Ok(()),
    }
}

fn report(
    output: &Output,
    progress: &Progress,
    start: Instant,
    asked_at: Instant,
    fallback_reason: Option<String>,
) -> Report {
    Report {
        kind: Kind::Snapshot,
        path: output.path().map(Path::to_owned),
        bytes: progress.bytes.load(Relaxed),
        sha256: progress.digest(),
        nodes: progress.nodes.load(Relaxed),
        edges: progress.edges.load(Relaxed),
        mode: Mode::Inline,
        fallback_reason,
        attempts: 0,
        retry_reasons: Vec::new(),
        pause: start.elapsed(),
        barrier_wait: Duration::ZERO,
        fork_time: Duration::ZERO,
        duration: asked_at.elapsed(),
        child_peak_memory: 0,
        child_private_memory: 0,
    }
}
