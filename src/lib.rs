//! Heap snapshots of a live Node.js process: the Node-API surface. Functions here only delegate; `index.js` and `lib/`
//! are the public API over them.

// Elsewhere there is no fork mode, and much of what serves it here and there is of no use.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod beside;
#[cfg(target_os = "linux")]
mod core_file;
mod environment;
mod error;
mod facts;
mod filename;
mod js;
mod monitor;
mod node_options;
mod options;
mod process;
mod signal;
mod snapshot;
mod v8;

use js::{
    Ask, BytesRead, Event, EventListener, JsEnvironmentOptions, JsError, JsFigures, JsMonitor,
    JsMonitorEvent, JsNearLimit, JsNewFile, JsOptions, JsOutcome, JsPermission, JsProgram,
    JsRedaction, Loaded, Open, Question, Started, Status, Unpack,
};
use napi::bindgen_prelude::{AsyncTask, Buffer, ClassInstance, Either, FnArgs, Function};
use napi_derive::napi;
use std::sync::Arc;

/// What one Node environment (the main thread, a worker) keeps of this addon.
#[napi]
pub struct Heap {
    environment: Arc<environment::Environment>,
    options: options::EnvironmentOptions,
    cancellations: js::Cancellations,
}

#[napi]
impl Heap {
    /// For the calling thread's environment. `options`: the value of `NODE_HEAPDUMP_OPTIONS`; `node_options` of
    /// `NODE_OPTIONS`; `arguments`: `process.execArgv`; `thread`: Node's number of the thread, where `options` ask for it.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: &napi::Env,
        options: String,
        node_options: String,
        arguments: Vec<String>,
        thread: Option<u32>,
    ) -> napi::Result<Heap> {
        let is_main = process::is_main_thread();
        let environment =
            Arc::new(environment::Environment::new(is_main, thread.unwrap_or_default()));
        js::connect(env, &environment)?;
        let of_node = node_options::diagnostic_directory(&node_options, &arguments);
        let options = options::parse(&options).or_directory(of_node);
        facts::loaded(&environment, &options);
        #[cfg(target_os = "linux")]
        snapshot::remember_node(|| js::node_version(env));
        if let Some(hidden) = options.redact {
            snapshot::redact_everything(hidden == options::Hidden::Paths);
        }
        if let Some(recipients) = &options.encrypt {
            snapshot::encrypt_everything(recipients.clone());
        }
        if options.plain {
            snapshot::keep_children_plain();
        }
        if options.announce == Some(true) {
            snapshot::announce_dumps();
        }
        Ok(Heap { environment, options, cancellations: js::Cancellations::default() })
    }

    /// Starts a snapshot into a file. `id` is the caller's, for `cancel`; without a `path` it gets a default name in
    /// the options' directory. `listener` hears of progress and, unless the end is returned, of the end.
    #[napi(catch_unwind)]
    pub fn write(
        &self,
        id: u32,
        path: Option<Buffer>,
        options: JsOptions,
        listener: Function<FnArgs<(Event,)>, ()>,
    ) -> napi::Result<Started> {
        let cancelled = self.cancellations.begin(id);
        let opened = js::open(path, &options);
        js::started(
            &self.environment,
            opened,
            &options,
            cancelled,
            EventListener::new(listener, &options)?,
        )
    }

    /// Takes a snapshot in process, now.
    #[napi(catch_unwind)]
    pub fn write_sync(&self, path: Option<Buffer>, options: JsOptions) -> Started {
        js::write_sync(path, &options)
    }

    /// Starts a snapshot into a pipe, whose reading end is returned.
    #[napi(catch_unwind)]
    pub fn stream(
        &self,
        id: u32,
        options: JsOptions,
        listener: Function<FnArgs<(Event,)>, ()>,
    ) -> napi::Result<Started> {
        let cancelled = self.cancellations.begin(id);
        js::stream(&self.environment, &options, cancelled, EventListener::new(listener, &options)?)
    }

    /// Gives a snapshot that V8 wrote into the file `source` by itself its place and guarantees.
    #[napi(catch_unwind)]
    pub fn import_file(&self, source: Buffer, path: Option<Buffer>, options: JsOptions) -> Started {
        js::import_file(&source, path, &options)
    }

    /// Ends the request `id`; its listener hears that it was aborted.
    #[napi(catch_unwind)]
    pub fn cancel(&self, id: u32) {
        self.cancellations.cancel(id);
        snapshot::QUEUE.end_early();
    }

    /// To be called when the event loop will not turn again: what was accepted is forked before this returns.
    #[napi(catch_unwind)]
    pub fn flush(&self) {
        js::flush(&self.environment);
    }

    /// To be called when the event loop turns after all, or before what is flushed next.
    #[napi(catch_unwind)]
    pub fn resume(&self) {
        js::resume(&self.environment);
    }

    /// Why a snapshot in process would be too much for the memory that is left.
    #[napi(catch_unwind)]
    pub fn too_little_memory(&self) -> Option<JsError> {
        snapshot::check_memory_in_process().err().map(Into::into)
    }

    /// `NODE_HEAPDUMP_OPTIONS`, read.
    #[napi(catch_unwind)]
    pub fn options(&self) -> JsEnvironmentOptions {
        (&self.options).into()
    }

    /// What is wrong with a pattern for names.
    #[napi(catch_unwind)]
    pub fn wrong_name(&self, pattern: String) -> Option<String> {
        filename::NamePattern::parse(&pattern).err()
    }

    /// The name, without its extension, that a right pattern gives now.
    #[napi(catch_unwind)]
    pub fn expand_name(&self, pattern: String, reason: String, thread: u32) -> Option<String> {
        let pattern = filename::NamePattern::parse(&pattern).ok()?;
        Some(pattern.expand(&reason, thread))
    }

    /// Answers the signal that the options name by dumps of this thread; `listener` hears of each, and at once of an
    /// error when the signal cannot be watched. `permission`: what Node's permission model says of
    /// their directory, where it is in force.
    #[napi(catch_unwind)]
    pub fn install_signal(
        &self,
        listener: Function<FnArgs<(Event,)>, ()>,
        permission: Option<JsPermission>,
    ) -> napi::Result<()> {
        js::install_signal(&self.environment, &self.options, permission, listener)
    }

    /// Lines on standard error say of each dump of this process that nobody awaits when it begins and how it ends.
    #[napi(catch_unwind)]
    pub fn announce_dumps(&self) {
        snapshot::announce_dumps();
    }

    /// Whether they do.
    #[napi(catch_unwind)]
    pub fn dumps_are_announced(&self) -> bool {
        snapshot::dumps_are_announced()
    }

    /// Whether another part of the application answers the signal, so that this package is not to.
    #[napi(catch_unwind)]
    pub fn hand_over_signal(&self, to_another: bool) {
        signal::hand_over(to_another);
    }

    /// Takes a snapshot when V8's heap comes near its limit. Returns why that cannot be arranged.
    #[napi(catch_unwind)]
    pub fn arm_near_heap_limit(
        &self,
        limit: JsNearLimit,
        options: JsOptions,
        listener: Function<FnArgs<(Event,)>, ()>,
    ) -> napi::Result<Option<JsError>> {
        js::arm_near_heap_limit(&self.environment, &limit, &options, listener)
    }

    /// Watches this process's memory and takes snapshots of this thread; `listener` hears of it.
    #[napi(catch_unwind)]
    pub fn monitor(
        &self,
        settings: JsMonitor,
        options: JsOptions,
        listener: Function<FnArgs<(JsMonitorEvent,)>, ()>,
    ) -> napi::Result<Monitor> {
        let (monitor, missing) =
            js::start_monitor(&self.environment, settings, &options, listener)?;
        Ok(Monitor { monitor, missing })
    }

    /// Why no child can be forked, as far as can be told without trying.
    #[napi(catch_unwind)]
    pub fn fork_unavailable(&self) -> Option<String> {
        snapshot::fork_unavailable(&self.environment)
    }

    /// Why V8's profiler cannot be reached.
    #[napi(catch_unwind)]
    pub fn profiler_unavailable(&self) -> Option<String> {
        v8::profiler_available().err().map(|missing| missing.to_string())
    }

    /// What runs and waits in this process, all threads together, and the last snapshot of it.
    #[napi(catch_unwind)]
    pub fn status(&self) -> Status {
        js::status()
    }
}

/// A monitor that runs until it is stopped or its thread ends.
#[napi]
pub struct Monitor {
    monitor: Arc<monitor::Monitor>,
    missing: Vec<String>,
}

#[napi]
impl Monitor {
    /// What cannot be watched here, and why.
    #[napi(catch_unwind)]
    pub fn missing(&self) -> Vec<String> {
        self.missing.clone()
    }

    /// Takes a snapshot when V8's heap comes near its limit too. Returns why that cannot be arranged.
    #[napi(catch_unwind)]
    pub fn arm_at_limit(&self, at_limit: String) -> Option<JsError> {
        js::arm_at_limit(&self.monitor, &at_limit)
    }

    /// What it knows now.
    #[napi(catch_unwind)]
    pub fn figures(&self) -> JsFigures {
        js::figures(&self.monitor)
    }

    /// No snapshot is begun from here on.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.monitor.stop();
    }
}

/// Takes the texts out of a snapshot that JavaScript hands on, for `lib/redact.js`.
#[napi]
pub struct Redactor(heapredact::Redactor);

#[napi]
impl Redactor {
    /// For one snapshot.
    #[napi(constructor, catch_unwind)]
    pub fn new(redaction: JsRedaction) -> napi::Result<Redactor> {
        js::redactor(&redaction).map(Redactor)
    }

    /// Takes a chunk; returns what can be handed on by now.
    #[napi(catch_unwind)]
    pub fn push(&mut self, chunk: Buffer) -> napi::Result<Buffer> {
        js::redact(&mut self.0, &chunk)
    }

    /// Throws where the snapshot was not whole.
    #[napi(catch_unwind)]
    pub fn finish(&mut self) -> napi::Result<()> {
        js::redacted(&mut self.0)
    }
}

/// A file for JavaScript to write, for `lib/new-file.js`. It appears whole or not at all.
#[napi]
pub struct NewFile(JsNewFile);

#[napi]
impl NewFile {
    /// What JavaScript writes to; on Windows -1.
    #[napi(catch_unwind)]
    pub fn descriptor(&self) -> Option<i32> {
        self.0.descriptor()
    }

    /// The temporary name, where it has one.
    #[napi(catch_unwind)]
    pub fn temporary(&self) -> Option<Buffer> {
        self.0.temporary()
    }

    /// Fills it with what another file holds, decrypted and decompressed. Rejects with what the system says.
    #[napi(catch_unwind)]
    pub fn unpack(&self, from: Buffer, identities: Vec<String>) -> AsyncTask<Unpack> {
        AsyncTask::new(self.0.unpack(&from, identities.into_iter().map(Into::into).collect()))
    }

    /// Has who fills it stop.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Sets its time of last change, in milliseconds since 1970.
    #[napi(catch_unwind)]
    pub fn set_modified(&self, time: f64) {
        self.0.set_modified(time);
    }

    /// Gives it its name, in the place of what has it, or only if nothing has. Returns why that cannot be done.
    #[napi(catch_unwind)]
    pub fn publish(&self, replace: bool) -> Option<JsError> {
        self.0.publish(replace)
    }

    /// Closes it; without a name it is gone.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.0.close();
    }
}

/// Runs a program of ours beside the application, when and as long as there is memory for it, for `lib/leave-report.js`; `listener`
/// hears how it ended.
#[napi(catch_unwind)]
pub fn run_beside(
    program: JsProgram,
    listener: Function<FnArgs<(JsOutcome,)>, ()>,
) -> napi::Result<()> {
    js::run_beside(program, listener)
}

/// In such a program: lets the application go first, and limits what may be allocated, in bytes. Whether it could be limited.
#[napi(catch_unwind)]
pub fn stand_aside(budget: f64) -> bool {
    process::stand_aside(js::size(budget))
}

/// Opens a file that is to be `path`; `named`: under a temporary name in any case.
#[napi(catch_unwind)]
pub fn open_new_file(path: Buffer, mode: u32, named: bool) -> Either<NewFile, JsError> {
    match JsNewFile::open(&path, mode, named) {
        Ok(file) => Either::A(NewFile(file)),
        Err(error) => Either::B(error.into()),
    }
}

/// A loaded snapshot file, for `lib/analyze.js`.
#[napi]
pub struct Analysis(Loaded);

impl Analysis {
    pub(crate) fn of(loaded: Loaded) -> Analysis {
        Analysis(loaded)
    }
}

#[napi]
impl Analysis {
    /// Answers a question of `heapdump_cli::ask`; options and answer are JSON.
    #[napi(catch_unwind)]
    pub fn ask(&self, question: String, options: String) -> AsyncTask<Ask> {
        let question = Question::Named(question);
        AsyncTask::new(Ask { snapshots: vec![self.0.clone()], question, options })
    }

    /// Compares this snapshot with a later one.
    #[napi(catch_unwind)]
    pub fn compare(&self, target: &Analysis, options: String) -> AsyncTask<Ask> {
        let snapshots = vec![self.0.clone(), target.0.clone()];
        AsyncTask::new(Ask { snapshots, question: Question::Compare, options })
    }

    /// Finds leaks in this snapshot and the later ones.
    #[napi(catch_unwind)]
    pub fn find_leaks(
        &self,
        later: Vec<ClassInstance<Analysis>>,
        options: String,
    ) -> AsyncTask<Ask> {
        let later = later.iter().map(|analysis| analysis.0.clone());
        let snapshots = std::iter::once(self.0.clone()).chain(later).collect();
        AsyncTask::new(Ask { snapshots, question: Question::FindLeaks, options })
    }

    /// What grows from this snapshot over the later ones.
    #[napi(catch_unwind)]
    pub fn trend(&self, later: Vec<ClassInstance<Analysis>>, options: String) -> AsyncTask<Ask> {
        let later = later.iter().map(|analysis| analysis.0.clone());
        let snapshots = std::iter::once(self.0.clone()).chain(later).collect();
        AsyncTask::new(Ask { snapshots, question: Question::Trend, options })
    }

    /// Frees the memory.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.0.close();
    }
}

/// Loads a snapshot file, which may be compressed, and encrypted to one of what the files of identities say.
#[napi(catch_unwind)]
pub fn open_snapshot(
    path: String,
    salvage: bool,
    source_maps: bool,
    source_root: Option<String>,
    progress: Option<ClassInstance<LoadProgress>>,
    identities: Vec<String>,
) -> AsyncTask<Open> {
    let source_root = source_root.map(Into::into);
    let progress = progress.map(|progress| progress.0.clone());
    AsyncTask::new(Open {
        path: path.into(),
        salvage,
        identities: identities.into_iter().map(Into::into).collect(),
        source_maps,
        source_root,
        progress,
    })
}

/// How far `open_snapshot` is.
#[napi]
pub struct LoadProgress(BytesRead);

#[napi]
impl LoadProgress {
    /// Of one file.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default, reason = "JavaScript's constructor")]
    pub fn new() -> LoadProgress {
        LoadProgress(BytesRead::default())
    }

    /// How many bytes of the file have been read.
    #[napi(catch_unwind)]
    pub fn bytes(&self) -> f64 {
        self.0.get() as f64
    }
}

/// Makes a heap image of the core file `name`, for the restorer. `core` is a descriptor. `map`: files or directories of
/// its machine, and where they are here; `program`: where Node.js is.
#[cfg(target_os = "linux")]
#[napi(catch_unwind)]
pub fn image_of_core(
    name: String,
    core: i32,
    program: Option<String>,
    map: Vec<(String, String)>,
    image: &NewFile,
) -> AsyncTask<js::CoreImage> {
    AsyncTask::new(js::CoreImage::new(name, core, program, map, image.0.fill()))
}

/// What a command of `npx heapdump-rs` did.
#[napi(object)]
pub struct Captured {
    /// Its exit code.
    pub code: u8,
    /// What it wrote to standard output.
    pub output: Buffer,
}

/// Runs a command of `npx heapdump-rs`; only what it says on standard error goes there.
#[napi(catch_unwind)]
pub fn capture_command(arguments: Vec<String>) -> Captured {
    let (code, output) = heapdump_cli::run_captured(arguments);
    Captured { code, output: output.into() }
}

/// Runs a command of `npx heapdump-rs` on the process's own output; returns its exit code.
#[napi(catch_unwind)]
pub fn run_command(arguments: Vec<String>) -> u8 {
    heapdump_cli::run_process(arguments)
}
