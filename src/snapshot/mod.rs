//! One snapshot: what is asked for, where it goes, how it is made, what is said of it.
//!
//! The way of a request: [`queue`] lets one run at a time → [`fork`] makes a child take it (or [`inline`] takes it in
//! process) → [`writer`] writes V8's JSON into a [`target`] → a [`Report`].

mod announce;
#[cfg(target_os = "linux")]
mod attempt;
#[cfg(target_os = "linux")]
mod budget;
#[cfg(target_os = "linux")]
mod child;
mod content;
mod encryption;
#[cfg(target_os = "linux")]
mod fork;
#[cfg(target_os = "linux")]
mod image;
mod inline;
mod leftovers;
mod near_limit;
mod queue;
mod record;
mod redaction;
mod report;
mod sidecar;
mod start;
#[cfg(target_os = "linux")]
mod supervise;
mod target;
mod unfinished;
mod writer;

pub(crate) use announce::{
    announce_dumps, announce_end, announce_request, dumps_are_announced, expected_size, heap_now,
    say_end,
};
pub(crate) use content::{Content, Embed, IMAGE_IN_PROCESS, IMAGE_UNSUPPORTED, Kind};
pub(crate) use encryption::{encrypt_everything, encrypts_everything};
#[cfg(target_os = "linux")]
pub(crate) use image::remember_node;
pub(crate) use inline::{import_file, take_in_process};
pub(crate) use leftovers::{clear, clear_in_background, made_for};
pub(crate) use near_limit::{Announce as NearLimitAnnounce, AtLimit, NearLimitSettings, arm};
pub(crate) use queue::{Busy, QUEUE};
pub(crate) use record::{Record, record_path, remember_threshold};
pub(crate) use redaction::{Redaction, redact_everything, redacts_everything};
pub(crate) use report::{Mode, ProgressReport, Report};
pub(crate) use sidecar::{Origin, Sidecar, float, sidecar_of};
pub(crate) use start::{Accepted, Destination, Order, open_destination, start};
pub(crate) use target::Output;
pub(crate) use unfinished::Unfinished;
#[cfg(unix)]
pub(crate) use unfinished::above_standard;

use crate::environment::{Environment, NotRun, Pending, When};
use crate::error::SnapshotError;
use crate::facts::Entry;
use crate::v8::{SnapshotOptions, open_platform_gate, shut_platform_gate};
use heapcrypt::Recipients;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How the file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// As options say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// What is added to the file's name.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }
}

/// What the caller chose.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestOptions {
    pub(crate) content: Content,
    pub(crate) v8: SnapshotOptions,
    pub(crate) compression: Option<Compression>,
    /// In process from the start; nobody asked for a child.
    pub(crate) in_process: bool,
    /// Whether it may be taken in process when no child can be forked.
    pub(crate) fallback_inline: bool,
    /// Ids that later snapshots of this process agree on.
    pub(crate) stable_ids: bool,
    /// Texts are taken out.
    pub(crate) redact: Option<Redaction>,
    /// Who may read it; everybody, if there is nothing.
    pub(crate) encrypt: Option<Recipients>,
    /// From the call to the complete file.
    pub(crate) timeout: Option<Duration>,
    /// For tests: the child writes an image into this file first, and then its snapshot.
    pub(crate) twin: Option<PathBuf>,
}

impl RequestOptions {
    /// How what is written is to be redacted, whoever demands it.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Redact`]
    pub(crate) fn redaction(&self) -> Result<Option<heapredact::Options>, SnapshotError> {
        redaction::redaction(self.redact.as_ref())
    }

    /// Who may read what is written, whoever demands it; `None` for everybody.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Encrypt`]
    pub(crate) fn recipients(&self) -> Result<Option<Recipients>, SnapshotError> {
        encryption::recipients(self.encrypt.as_ref())
    }

    /// Whether it is to be encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.encrypt.is_some() || encrypts_everything()
    }

    /// How what lies beside it in clear is to be redacted: the JSON beside an encrypted snapshot tells no more than that
    /// beside a redacted one.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Redact`]
    pub(crate) fn redaction_of_record(&self) -> Result<Option<heapredact::Options>, SnapshotError> {
        match self.redaction()? {
            None if self.is_encrypted() => redaction::redaction(Some(&Redaction::default())),
            redaction => Ok(redaction),
        }
    }

    /// Whether it is to be redacted.
    pub(crate) fn is_redacted(&self) -> bool {
        self.redact.is_some() || redacts_everything()
    }
}

/// A snapshot that was accepted. It belongs to the thread that drives it.
pub(crate) struct Request {
    /// What the process says of it.
    pub(crate) entry: Entry,
    pub(crate) environment: Arc<Environment>,
    pub(crate) output: Arc<Output>,
    pub(crate) options: RequestOptions,
    pub(crate) listener: Box<dyn Listener>,
    /// Written by the child before its snapshot.
    pub(crate) record: Option<Arc<Record>>,
    /// Set by the caller to end it.
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) asked_at: Instant,
    /// Does not wait for others.
    pub(crate) urgent: bool,
    /// Held while the snapshot depends on the JavaScript thread.
    pub(crate) pending: Option<Pending>,
}

/// Hears of a request, on any thread.
pub(crate) trait Listener: Send {
    /// Whether V8 is to say how far it is, which takes it a tenth longer.
    fn wants_progress(&self) -> bool {
        false
    }

    /// It is its turn now; on the thread that drives it.
    fn begins(&self, _request: &Request) {}

    /// An image is written in the place of a snapshot, for which there is no memory.
    fn becomes_image(&self) {}

    /// A child has been forked: the snapshot depends on the JavaScript thread no longer, unless that child hangs or crashes.
    fn forked(&self) {}

    /// Called many times a second, if wanted.
    fn progress(&self, _report: ProgressReport) {}

    /// Once, at the end.
    fn done(self: Box<Self>, result: Result<Report, SnapshotError>);
}

/// The calling thread's event loop will not turn again: forks what it has asked for before it returns. On the main
/// thread nothing is forked any more after that.
pub(crate) fn flush(environment: &Environment) {
    // Short of what Kubernetes allows by default before it kills.
    const PATIENCE: Duration = Duration::from_secs(25);
    if environment.is_main {
        open_platform_gate();
    }
    QUEUE.expedite(environment.id);
    environment.run_jobs_until(PATIENCE, || !environment.has_pending_requests());
    if environment.is_main {
        if std::process::id() == 1 {
            // The kernel ends a container with its first process, children that are at work included.
            environment.run_jobs_until(PATIENCE, || !QUEUE.is_busy());
        }
        shut_platform_gate();
    }
}

/// Whether memory is the reason why no child can be forked, or becomes one in process.
///
/// # Errors
///
/// [`SnapshotError::NoMemory`]: a snapshot in process takes as much as a child would, from the application.
pub(crate) fn check_memory_in_process() -> Result<(), SnapshotError> {
    #[cfg(target_os = "linux")]
    if let Some(headroom) =
        crate::process::MemorySources::find(std::path::Path::new("/")).headroom()
    {
        budget::child_budget(&headroom, || None)?;
    }
    Ok(())
}

/// Whether the image that is wanted can be written, as far as system and options tell.
///
/// # Errors
///
/// [`SnapshotError::ImageUnsupported`]
pub(crate) fn check_image(options: &RequestOptions) -> Result<(), SnapshotError> {
    let in_process = options.in_process.then_some(IMAGE_IN_PROCESS);
    let in_clear = options.shows_what_is_redacted().then_some(redaction::IMAGE_REDACTED);
    match IMAGE_UNSUPPORTED.or(in_clear).or(in_process) {
        Some(reason) => Err(SnapshotError::ImageUnsupported(reason.into())),
        None => Ok(()),
    }
}

/// Why no child can be forked in this environment, as far as can be told without trying.
pub(crate) fn fork_unavailable(environment: &Environment) -> Option<String> {
    if let Some(reason) = crate::process::FORK_UNSUPPORTED {
        return Some(reason.to_owned());
    }
    environment.platform().err().map(|missing| missing.to_string())
}

static CHILDREN_ARE_PLAIN: AtomicBool = AtomicBool::new(false);

/// For good: children of this process take snapshots with V8 as it is, its name buffers not cut to size.
pub(crate) fn keep_children_plain() {
    CHILDREN_ARE_PLAIN.store(true, Relaxed);
}

/// What a child changes so that it needs less memory; `None` for a plain one.
#[cfg(target_os = "linux")]
fn name_buffers() -> Option<&'static crate::process::NameBuffers> {
    if CHILDREN_ARE_PLAIN.load(Relaxed) {
        return None;
    }
    crate::process::NameBuffers::of_this_process()
}

impl Request {
    /// Makes the snapshot; on a thread of its own. Always ends by telling the listener, after `before_telling`.
    fn run(mut self, before_telling: impl FnOnce()) {
        self.entry.running();
        let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.listener.begins(&self);
            self.take()
        }));
        let result = taken.unwrap_or_else(|_| {
            Err(SnapshotError::Internal("the driving thread panicked".to_owned()))
        });
        before_telling();
        self.end(result);
    }

    pub(crate) fn end(self, result: Result<Report, SnapshotError>) {
        let Request { entry, output, listener, pending, .. } = self;
        let file = output.identity();
        // The temporary file is gone, the reader of a stream sees its end, and the event loop is free to go, before the
        // caller is told.
        drop(output);
        drop(pending);
        entry.ended(&result, file);
        listener.done(result);
    }

    /// Whether an image will do; from here on it is what is written, under an image's name.
    #[cfg(target_os = "linux")]
    fn becomes_image(&mut self) -> bool {
        let Content::ImageIfNoMemory(embed) = self.options.content else { return false };
        if !self.options.may_become_image() {
            return false;
        }
        self.options.content = Content::Image(embed);
        self.output.become_image();
        self.entry.moved(&self.output);
        self.listener.becomes_image();
        true
    }

    /// The caller's own reasons to stop.
    fn ended_early(&self) -> Option<SnapshotError> {
        if self.cancelled.load(Relaxed) {
            return Some(SnapshotError::Aborted);
        }
        self.options
            .timeout
            .filter(|&timeout| self.asked_at.elapsed() > timeout)
            .map(SnapshotError::Timeout)
    }

    fn take(&mut self) -> Result<Report, SnapshotError> {
        if let Some(error) = self.ended_early() {
            return Err(error);
        }
        let wants_image = self.options.content.kind() == Kind::Image;
        if wants_image || self.options.twin.is_some() {
            check_image(&self.options)?;
        }
        if self.options.twin.is_some() && self.options.is_encrypted() {
            return Err(SnapshotError::Encrypt(
                "an image for a test is written in clear".to_owned(),
            ));
        }
        if self.options.in_process {
            return self.take_on_javascript_thread(None);
        }
        match self.take_in_child() {
            Ok(report) => Ok(report),
            Err(NoSnapshot::Failed(error)) => Err(error),
            // In process nobody would read a pipe while it is written: the JavaScript side streams by other means.
            Err(NoSnapshot::CannotFork(reason))
                if !self.options.fallback_inline
                    || wants_image
                    || matches!(*self.output, Output::Pipe(_)) =>
            {
                Err(SnapshotError::ForkUnavailable(reason))
            }
            Err(NoSnapshot::CannotFork(reason)) => {
                check_memory_in_process()?;
                self.take_on_javascript_thread(Some(reason))
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn take_in_child(&mut self) -> Result<Report, NoSnapshot> {
        fork::take_in_child(self)
    }

    #[cfg(not(target_os = "linux"))]
    fn take_in_child(&mut self) -> Result<Report, NoSnapshot> {
        Err(NoSnapshot::CannotFork(crate::process::FORK_UNSUPPORTED.unwrap_or_default().to_owned()))
    }

    fn take_on_javascript_thread(&self, reason: Option<String>) -> Result<Report, SnapshotError> {
        let output = Arc::clone(&self.output);
        let (options, asked_at) = (self.options.clone(), self.asked_at);
        let job = move || take_in_process(&output, &options, asked_at, reason);
        match self.environment.call(When::BetweenTurns, THREAD_PATIENCE, job) {
            Ok(result) => result,
            Err(NotRun::Closed) => Err(SnapshotError::Closed),
            Err(NotRun::TimedOut) => Err(SnapshotError::NotResponding(THREAD_PATIENCE)),
        }
    }
}

/// How long a JavaScript thread that is inside a native call may stay away.
const THREAD_PATIENCE: Duration = Duration::from_secs(60);

/// Why fork mode gave no snapshot.
enum NoSnapshot {
    /// It cannot be done here; in process it may.
    CannotFork(String),
    Failed(SnapshotError),
}
