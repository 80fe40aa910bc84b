//! Analysis of snapshot files, off the JavaScript thread: each question is a task of libuv's thread pool.

use heapdump_cli::source_maps::SourceMaps;
use heapsnapshot::{LoadOptions, Snapshot};
use napi::{Either, Env, Task};
use napi_derive::napi;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A loaded snapshot that JavaScript holds; empty once it is closed.
#[derive(Clone)]
pub(crate) struct Loaded(Arc<Mutex<Option<Arc<Snapshot>>>>);

impl Loaded {
    /// Gives the memory back as soon as no task uses it any more.
    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn get(&self) -> napi::Result<Arc<Snapshot>> {
        let snapshot = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        snapshot.ok_or_else(|| failed("the snapshot has been closed"))
    }
}

/// How many bytes of a file are read.
#[derive(Clone, Default)]
pub(crate) struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Loads a file.
pub struct Open {
    pub(crate) path: PathBuf,
    pub(crate) salvage: bool,
    /// Files of identities, where the snapshot may be encrypted.
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) source_maps: bool,
    pub(crate) source_root: Option<PathBuf>,
    pub(crate) progress: Option<BytesRead>,
}

/// Why a file cannot be used, for `lib/analyze.js` to throw.
#[napi(object)]
pub struct Refused {
    pub message: String,
    /// What the file is, if it is something else.
    pub found: Option<String>,
    /// Whether it is encrypted, and was not opened.
    pub encrypted: bool,
}

impl Task for Open {
    type Output = Result<Snapshot, Refused>;
    type JsValue = Either<crate::Analysis, Refused>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let identities = match heapdump_cli::identities(&self.identities) {
            Ok(identities) => identities,
            Err(message) => return Ok(Err(Refused { message, found: None, encrypted: true })),
        };
        let mut options = LoadOptions::new().salvage(self.salvage).identities(identities);
        if let Some(BytesRead(read)) = self.progress.take() {
            options = options.on_progress(move |bytes| read.store(bytes, Ordering::Relaxed));
        }
        let mut opened = options.open(&self.path);
        if let Ok(snapshot) = &mut opened
            && (self.source_maps || self.source_root.is_some())
        {
            Arc::new(SourceMaps::new(self.source_root.take())).apply(snapshot);
        }
        Ok(opened.map_err(|error| Refused {
            message: error.to_string(),
            found: error.found().map(|found| found.code().to_owned()),
            encrypted: error.is_encrypted(),
        }))
    }

    fn resolve(&mut self, _env: Env, opened: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(match opened {
            Ok(snapshot) => Either::A(crate::Analysis::of(Loaded(Arc::new(Mutex::new(Some(
                Arc::new(snapshot),
            )))))),
            Err(refused) => Either::B(refused),
        })
    }
}

/// A question about loaded snapshots; the answer is JSON.
pub struct Ask {
    pub(crate) snapshots: Vec<Loaded>,
    pub(crate) question: Question,
    /// JSON.
    pub(crate) options: String,
}

/// What is asked.
pub(crate) enum Question {
    /// About one snapshot, by the name that `heapdump_cli::ask` knows.
    Named(String),
    Compare,
    FindLeaks,
    Trend,
}

impl Task for Ask {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<String> {
        let snapshots = self.snapshots.iter().map(Loaded::get).collect::<napi::Result<Vec<_>>>()?;
        let snapshots: Vec<&Snapshot> = snapshots.iter().map(AsRef::as_ref).collect();
        match (&self.question, snapshots.as_slice()) {
            (Question::Named(name), [snapshot]) => {
                heapdump_cli::ask::ask(snapshot, name, &self.options)
            }
            (Question::Compare, [base, target]) => {
                heapdump_cli::ask::compare(base, target, &self.options)
            }
            (Question::FindLeaks, all) => heapdump_cli::ask::find_leaks(all, &self.options),
            (Question::Trend, all) => heapdump_cli::ask::trend(all, &self.options),
            _ => {
                return Err(failed(
                    "a question about one or two snapshots was asked of another number of them",
                ));
            }
        }
        .map_err(failed)
    }

    fn resolve(&mut self, _env: Env, answer: String) -> napi::Result<String> {
        Ok(answer)
    }
}

fn failed(error: impl Display) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
