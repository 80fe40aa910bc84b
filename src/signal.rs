//! A signal asks for dumps: which threads, where to, and how many of a burst.

use crate::environment::Environment;
use crate::error::SnapshotError;
use crate::facts::{self, Cause, Entry};
use crate::options::{EnvironmentOptions, SignalChoice};
use crate::snapshot::{
    Destination, Listener, QUEUE, Report, Request, RequestOptions, announce_request,
    clear_in_background, open_destination,
};
use crate::v8::SnapshotOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// A signal so soon after one that was accepted is the same request: people send twice, and so does what passes signals on.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Dumps of one thread that may be accepted and not have ended: one at work and one behind it. A further signal changes
/// nothing: the one that waits shows a later state than was asked for.
const AT_ONCE: usize = 2;

/// What Node's permission model said of a thread's dumps when it loaded the package: native code is not stopped by it.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    /// Absolute.
    pub(crate) directory: String,
    pub(crate) granted: bool,
}

/// Tells one thread's JavaScript of its dumps.
pub(crate) type Announce = Arc<dyn Fn(Result<Report, SnapshotError>) + Send + Sync>;

/// Makes `environment` a target of the signal, and installs the signal's watcher the first time in a process. `permission`: what
/// Node's permission model said, where it is in force.
///
/// # Errors
///
/// What [`crate::process::watch_signal`] says.
pub(crate) fn attach(
    environment: &Arc<Environment>,
    options: &EnvironmentOptions,
    permission: Option<Permission>,
    announce: &Announce,
) -> io::Result<()> {
    // So that a thread that never returns to its event loop can be dumped: this needs JavaScript's context.
    let _ = environment.platform();
    let directory = permission.as_ref().map(|permission| permission.directory.clone());
    lock_targets().push(Target {
        environment: Arc::clone(environment),
        announce: Arc::clone(announce),
        permission,
        outstanding: Arc::default(),
    });
    if SETTINGS.set(options.clone()).is_ok() {
        // The one that was named for dumps; what is current may be anything.
        if let Some(directory) = &options.directory {
            clear_in_background(Path::new(directory));
        }
        watch(options.signal)?;
        facts::watched(options);
    }
    facts::dumped(environment, directory.as_deref());
    Ok(())
}

/// `environment` has ended.
pub(crate) fn detach(environment: &Environment) {
    lock_targets().retain(|target| target.environment.id != environment.id);
}

/// Whether signals are answered.
static ACCEPTING: RwLock<bool> = RwLock::new(true);

/// The process is about to exit: a dump that is accepted from here on would never be forked. Waits for one that is being
/// accepted.
pub(crate) fn stop_accepting() {
    *ACCEPTING.write().unwrap_or_else(PoisonError::into_inner) = false;
}

/// The process goes on after all, or forks once more what it has accepted.
pub(crate) fn start_accepting() {
    *ACCEPTING.write().unwrap_or_else(PoisonError::into_inner) = true;
}

/// Runs `act` if nothing keeps the process from forking what it begins; a process that is about to exit waits for it.
pub(crate) fn while_accepting<T>(act: impl FnOnce() -> T) -> Option<T> {
    let accepting = ACCEPTING.read().unwrap_or_else(PoisonError::into_inner);
    accepting.then(act)
}

/// The last signal that was accepted.
static ACCEPTED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Whether somebody else in the process dumps for the signal: ours would be a second file.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// The signal is answered by another (`true`), or by this package again.
pub(crate) fn hand_over(to_another: bool) {
    HANDED_OVER.store(to_another, SeqCst);
    facts::handed_over(to_another);
}

/// The first environment's settings hold for the process, as its signal does.
static SETTINGS: OnceLock<EnvironmentOptions> = OnceLock::new();
static TARGETS: Mutex<Vec<Target>> = Mutex::new(Vec::new());

#[derive(Clone)]
struct Target {
    environment: Arc<Environment>,
    announce: Announce,
    permission: Option<Permission>,
    outstanding: Arc<AtomicUsize>,
}

fn lock_targets() -> std::sync::MutexGuard<'static, Vec<Target>> {
    TARGETS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn watch(signal: SignalChoice) -> io::Result<()> {
    let number = match signal {
        SignalChoice::Usr2 => libc::SIGUSR2,
        SignalChoice::Usr1 => libc::SIGUSR1,
        SignalChoice::Hup => libc::SIGHUP,
        SignalChoice::Quit => libc::SIGQUIT,
        SignalChoice::Off => return Ok(()),
    };
    crate::process::watch_signal(number, on_signal)
}

/// Windows has no such signals; node-heapdump does nothing there either.
#[cfg(windows)]
fn watch(_signal: SignalChoice) -> io::Result<()> {
    Ok(())
}

/// On the signal watcher's thread.
#[cfg_attr(windows, allow(dead_code))]
fn on_signal() {
    let _answer = facts::Answer;
    let Some(settings) = SETTINGS.get() else { return };
    // Held until the requests are in the queue: whoever stops it then finds all that were accepted there.
    let accepting = ACCEPTING.read().unwrap_or_else(PoisonError::into_inner);
    if !*accepting || HANDED_OVER.load(SeqCst) {
        return;
    }
    let mut accepted_at = ACCEPTED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    if accepted_at.is_some_and(|at| at.elapsed() < ONE_REQUEST) {
        return;
    }
    let now = Instant::now();
    let mut targets = lock_targets().clone();
    if !settings.workers {
        targets.sort_by_key(|target| (!target.environment.is_main, target.environment.id));
        targets.truncate(1);
    }
    // Not where all that may be accepted is: then a signal after the first of them is one of its own.
    if targets.into_iter().filter_map(|target| target.dump(settings).then_some(())).count() > 0 {
        *accepted_at = Some(now);
    }
}

impl Target {
    /// Whether the signal was answered, be it by an error.
    fn dump(self, settings: &EnvironmentOptions) -> bool {
        if let Some(Permission { directory, granted: false }) = &self.permission {
            self.refuse(SnapshotError::AccessDenied(directory.clone()));
            return true;
        }
        // The one that was asked for, also when the process has changed its directory since.
        let permitted = self.permission.map(|permission| permission.directory);
        let directory =
            PathBuf::from(permitted.as_deref().or(settings.directory.as_deref()).unwrap_or("."));
        let accepted = self
            .outstanding
            .fetch_update(SeqCst, SeqCst, |count| (count < AT_ONCE).then_some(count + 1));
        if accepted.is_err() {
            return false;
        }
        let is_main = self.environment.is_main;
        let listener = SignalListener {
            signal: settings.signal.name().unwrap_or_default(),
            announce: self.announce,
            _place: Place(self.outstanding),
        };
        match request(self.environment, settings, directory, listener) {
            Ok(request) => {
                if let Err(given_back) = QUEUE.submit(request) {
                    let (request, error) = *given_back;
                    let reason = format!("no thread can be started: {error}");
                    request.end(Err(SnapshotError::ForkUnavailable(reason)));
                }
            }
            Err((listener, error)) => {
                Entry::refused(Cause::Signal, is_main, &error);
                Box::new(listener).done(Err(error));
            }
        }
        true
    }

    fn refuse(&self, error: SnapshotError) {
        Entry::refused(Cause::Signal, self.environment.is_main, &error);
        (self.announce)(Err(error));
    }
}

fn request(
    environment: Arc<Environment>,
    settings: &EnvironmentOptions,
    directory: PathBuf,
    listener: SignalListener,
) -> Result<Request, (SignalListener, SnapshotError)> {
    let options = RequestOptions {
        content: settings.content(),
        v8: SnapshotOptions::default(),
        compression: settings.compression,
        // The words for them hold for the whole process.
        redact: None,
        encrypt: None,
        in_process: settings.in_process,
        fallback_inline: settings.fallback_inline,
        stable_ids: false,
        timeout: None,
        twin: None,
    };
    let mode = 0o600;
    let stem = settings.name.as_ref().map(|name| name.expand("signal", environment.thread));
    match open_destination(Destination::Default(directory, stem), &options, mode) {
        Ok((output, _name)) => Ok(Request {
            entry: Entry::waiting(Cause::Signal, environment.is_main, &output),
            pending: Some(environment.begin_request()),
            urgent: false,
            environment,
            output: Arc::new(output),
            options,
            listener: Box::new(listener),
            record: None,
            cancelled: Arc::new(AtomicBool::new(false)),
            asked_at: Instant::now(),
        }),
        Err(error) => Err((listener, error)),
    }
}

struct SignalListener {
    /// Its name.
    signal: &'static str,
    announce: Announce,
    _place: Place,
}

/// A place among [`AT_ONCE`]; free again when dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Listener for SignalListener {
    fn begins(&self, request: &Request) {
        announce_request(self.signal, request);
    }

    fn done(self: Box<Self>, result: Result<Report, SnapshotError>) {
        (self.announce)(result);
    }
}
