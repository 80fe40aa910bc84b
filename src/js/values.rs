//! JavaScript's values for ours. Errors cross as plain objects (`JsError`): `lib/errors.js` makes them `Error`s.

use crate::error::SnapshotError;
use crate::options::EnvironmentOptions;
use crate::snapshot::{
    Compression, Content, Embed, Kind, ProgressReport, Redaction, Report, RequestOptions,
};
use crate::v8::SnapshotOptions;
use heapcrypt::Recipients;
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options as `lib/options.js` has checked them.
#[napi(object)]
pub struct JsOptions {
    /// Taken in process although a child could be forked.
    pub in_process: bool,
    /// May be taken in process when no child can be forked.
    pub fallback_inline: bool,
    /// `image`, or `image-if-no-memory`; default: a snapshot.
    pub content: Option<String>,
    /// Every mapped file is copied into an image.
    pub embed_all: Option<bool>,
    /// For tests: the child writes an image into this file first, and then its snapshot.
    pub twin: Option<Buffer>,
    /// `gzip` or `zstd`.
    pub compress: Option<String>,
    /// Texts are taken out.
    pub redact: Option<JsRedaction>,
    /// Recipients of age, who alone may read it.
    pub encrypt: Option<Vec<String>>,
    pub expose_internals: bool,
    pub expose_numeric_values: bool,
    pub stable_ids: bool,
    /// Permission bits of the file.
    pub file_mode: u32,
    /// Milliseconds.
    pub timeout: Option<f64>,
    /// Fails instead of waiting while another snapshot runs.
    pub reject_when_busy: bool,
    /// Progress is wanted.
    pub progress: bool,
    /// Why this is in process, if a child was wanted.
    pub reason: Option<String>,
    /// Of a file without a path; default: the current directory.
    pub directory: Option<String>,
    /// Of a file without a path: its name without extension, to be numbered where it is taken; default: node-heapdump's.
    pub stem: Option<String>,
}

/// How texts are taken out.
#[napi(object)]
pub struct JsRedaction {
    /// Absent: this process' own.
    pub key: Option<Buffer>,
    pub hide_paths: bool,
}

impl JsRedaction {
    pub(super) fn read(&self) -> Redaction {
        let key = self.key.as_deref().map(heapredact::Key::new);
        Redaction { key, hide_paths: self.hide_paths }
    }
}

/// What a listener hears: exactly one of the fields.
#[napi(object)]
#[derive(Default)]
pub struct Event {
    /// An image is written in the place of a snapshot; a listener may hear of it before the end.
    pub becomes_image: Option<bool>,
    pub progress: Option<JsProgress>,
    pub report: Option<JsReport>,
    pub error: Option<JsError>,
}

/// How far a snapshot is.
#[napi(object)]
pub struct JsProgress {
    pub stage: String,
    pub done: u32,
    pub total: u32,
    pub bytes: f64,
}

/// A complete snapshot. Times in milliseconds, sizes in bytes.
#[napi(object)]
pub struct JsReport {
    /// `snapshot` or `image`.
    pub kind: String,
    pub path: Option<Buffer>,
    pub bytes: f64,
    pub sha256: String,
    pub nodes: f64,
    pub edges: f64,
    pub mode: String,
    pub fallback_reason: Option<String>,
    pub attempts: u32,
    pub retry_reasons: Vec<String>,
    pub pause: f64,
    pub barrier_wait: f64,
    pub fork_time: f64,
    pub duration: f64,
    pub child_peak_memory: f64,
    pub child_private_memory: f64,
}

/// Why there is none.
#[napi(object)]
pub struct JsError {
    /// Stable code; absent when `errno` names it.
    pub code: Option<String>,
    pub message: String,
    /// Of `ERR_HEAPDUMP_FORK_UNAVAILABLE`: the bare reason.
    pub reason: Option<String>,
    pub errno: Option<i32>,
    pub syscall: Option<String>,
    pub path: Option<Buffer>,
}

/// What became of a call at once.
#[napi(object)]
#[derive(Default)]
pub struct Started {
    /// The default name that the file gets.
    pub name: Option<String>,
    /// The file's absolute path.
    pub path: Option<Buffer>,
    /// The end, when it came before the call returned.
    pub end: Option<Event>,
    /// The reading end of a stream's pipe.
    pub fd: Option<i32>,
}

/// What Node's permission model said of a directory.
#[napi(object)]
pub struct JsPermission {
    pub directory: String,
    pub granted: bool,
}

/// Numbers that a person can watch.
#[napi(object)]
pub struct Status {
    pub running: u32,
    pub waiting: u32,
    pub last: Option<Event>,
}

/// `NODE_HEAPDUMP_OPTIONS`, read.
#[napi(object)]
pub struct JsEnvironmentOptions {
    /// `SIGUSR2` for instance; absent for none.
    pub signal: Option<String>,
    pub in_process: bool,
    pub fallback_inline: bool,
    pub directory: Option<String>,
    /// Who said so: `dir=` or `--diagnostic-dir`.
    pub directory_from: Option<String>,
    /// `name=`.
    pub name: Option<String>,
    pub compress: Option<String>,
    /// `snapshot` or `image`.
    pub output: String,
    /// `error` or `image`.
    pub low_memory: String,
    /// `auto` or `all`.
    pub embed: String,
    /// `texts` or `paths`: what is hidden of all that this process writes; absent for nothing.
    pub redact: Option<String>,
    /// Recipients; empty where one is none, and nothing is written.
    pub encrypt: Option<Vec<String>>,
    pub workers: bool,
    /// Absent where nobody said so.
    pub announce: Option<bool>,
    /// Of `lib/register.js`.
    pub automatic: Vec<JsSetting>,
    pub unrecognized: Vec<String>,
}

/// A word of `NODE_HEAPDUMP_OPTIONS` and its value, empty where it has none.
#[napi(object)]
pub struct JsSetting {
    pub name: String,
    pub value: String,
}

/// What `lib/oom.js` asks for at V8's heap limit.
#[napi(object)]
pub struct JsNearLimit {
    /// The first file; later ones are numbered.
    pub path: Buffer,
    /// Nor is the first one written over another.
    pub never_over_another: bool,
    /// `continue`, `wait` or `exit`.
    pub at_limit: String,
    /// Snapshots at most.
    pub most: u32,
    /// A line on standard error says what is about to be done.
    pub announce: bool,
    /// The record stays beside a complete snapshot.
    pub keep_record: bool,
    pub host: String,
    /// Node's version.
    pub node: String,
    pub thread: u32,
    /// What the process runs: its main script.
    pub program: Option<String>,
}

impl JsOptions {
    pub(super) fn request(&self) -> RequestOptions {
        let embed = if self.embed_all == Some(true) { Embed::All } else { Embed::Auto };
        RequestOptions {
            content: match self.content.as_deref() {
                Some("image") => Content::Image(embed),
                Some("image-if-no-memory") => Content::ImageIfNoMemory(embed),
                _ => Content::Snapshot,
            },
            v8: SnapshotOptions {
                expose_internals: self.expose_internals,
                expose_numeric_values: self.expose_numeric_values,
            },
            compression: match self.compress.as_deref() {
                Some("gzip") => Some(Compression::Gzip),
                Some("zstd") => Some(Compression::Zstd),
                _ => None,
            },
            redact: self.redact.as_ref().map(JsRedaction::read),
            // They have been checked. What is none would leave nobody, for whom nothing is written.
            encrypt: self
                .encrypt
                .as_ref()
                .map(|texts| Recipients::parse(texts).unwrap_or_default()),
            in_process: self.in_process,
            fallback_inline: self.fallback_inline,
            stable_ids: self.stable_ids,
            timeout: self.timeout.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok()),
            twin: self.twin.as_deref().map(path_of),
        }
    }
}

impl From<Result<Report, SnapshotError>> for Event {
    fn from(result: Result<Report, SnapshotError>) -> Event {
        match result {
            Ok(report) => Event { report: Some(report.into()), ..Event::default() },
            Err(error) => Event { error: Some(error.into()), ..Event::default() },
        }
    }
}

impl From<ProgressReport> for JsProgress {
    fn from(report: ProgressReport) -> JsProgress {
        JsProgress {
            stage: report.stage.to_owned(),
            done: report.done,
            total: report.total,
            bytes: number(report.bytes),
        }
    }
}

impl From<Report> for JsReport {
    fn from(report: Report) -> JsReport {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        JsReport {
            kind: report.kind.name().to_owned(),
            path: report.path.as_deref().map(buffer_of),
            bytes: number(report.bytes),
            sha256: report.sha256.into(),
            nodes: number(report.nodes),
            edges: number(report.edges),
            mode: report.mode.name().to_owned(),
            fallback_reason: report.fallback_reason,
            attempts: report.attempts,
            retry_reasons: report.retry_reasons,
            pause: milliseconds(report.pause),
            barrier_wait: milliseconds(report.barrier_wait),
            fork_time: milliseconds(report.fork_time),
            duration: milliseconds(report.duration),
            child_peak_memory: number(report.child_peak_memory),
            child_private_memory: number(report.child_private_memory),
        }
    }
}

impl From<SnapshotError> for JsError {
    fn from(error: SnapshotError) -> JsError {
        let (errno, syscall, path) = match &error {
            SnapshotError::Io { syscall, path, source } => {
                (Some(errno_of(source)), Some((*syscall).to_owned()), Some(buffer_of(path)))
            }
            SnapshotError::NotAFile { path, .. } => (None, None, Some(buffer_of(path))),
            _ => (None, None, None),
        };
        let reason = match &error {
            SnapshotError::ForkUnavailable(reason) => Some(reason.clone()),
            _ => None,
        };
        JsError {
            reason,
            code: error.code().map(str::to_owned),
            message: error.to_string(),
            errno,
            syscall,
            path,
        }
    }
}

impl From<&EnvironmentOptions> for JsEnvironmentOptions {
    fn from(options: &EnvironmentOptions) -> JsEnvironmentOptions {
        JsEnvironmentOptions {
            signal: options.signal.name().map(str::to_owned),
            in_process: options.in_process,
            fallback_inline: options.fallback_inline,
            directory: options.directory.clone(),
            directory_from: options.directory_from.map(|source| source.name().to_owned()),
            name: options.name.as_ref().map(|name| name.text().to_owned()),
            compress: options.compression.map(|compression| compression.name().to_owned()),
            output: if options.image { Kind::Image } else { Kind::Snapshot }.name().to_owned(),
            low_memory: if options.image_if_no_memory { "image" } else { "error" }.to_owned(),
            embed: if options.embed == Embed::All { "all" } else { "auto" }.to_owned(),
            redact: options.redact.map(|redact| redact.name().to_owned()),
            encrypt: options
                .encrypt
                .as_ref()
                .map(|encrypt| encrypt.as_ref().map(Recipients::texts).unwrap_or_default()),
            workers: options.workers,
            announce: options.announce,
            automatic: options
                .automatic
                .iter()
                .cloned()
                .map(|(name, value)| JsSetting { name, value })
                .collect(),
            unrecognized: options.unrecognized.clone(),
        }
    }
}

/// libuv's number for an error: the negated errno on Unix.
#[cfg(unix)]
fn errno_of(error: &std::io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EIO)
}

/// libuv's number for an error (uv/errno.h); Windows' own codes are not errno values.
#[cfg(windows)]
fn errno_of(error: &std::io::Error) -> i32 {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => -4058,
        ErrorKind::PermissionDenied => -4092,
        ErrorKind::AlreadyExists => -4075,
        ErrorKind::IsADirectory => -4068,
        ErrorKind::NotADirectory => -4052,
        ErrorKind::StorageFull => -4055,
        ErrorKind::InvalidFilename => -4064,
        _ => -4070,
    }
}

/// JavaScript's numbers are exact up to 2⁵³, which no size here reaches.
#[allow(clippy::cast_precision_loss)]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(unix)]
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(windows)]
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(unix)]
pub(super) fn buffer_of(path: &Path) -> Buffer {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().into()
}

#[cfg(windows)]
pub(super) fn buffer_of(path: &Path) -> Buffer {
    path.to_string_lossy().into_owned().into_bytes().into()
}

/// Not negative, as checked; infinity becomes the largest size there is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn size(bytes: f64) -> u64 {
    bytes as u64
}
