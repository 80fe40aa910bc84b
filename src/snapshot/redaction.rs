//! Whether texts are taken out of what is written, and with which key.

use crate::error::SnapshotError;
use heapredact::{Key, Options};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// What a caller asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redaction {
    /// `None`: this process' own.
    pub(crate) key: Option<Key>,
    /// Script paths are hidden too.
    pub(crate) hide_paths: bool,
}

/// Why no image can be written.
pub(crate) const IMAGE_REDACTED: &str = "an image is all of a process' memory, and the snapshot is to be redacted: encrypt it as well, or leave redact away, or the image";

static OF_PROCESS: AtomicU8 = AtomicU8::new(0);
const REDACT: u8 = 1;
const HIDE_PATHS: u8 = 2;

/// For good: all that this process writes is redacted.
pub(crate) fn redact_everything(hide_paths: bool) {
    OF_PROCESS.fetch_or(if hide_paths { REDACT | HIDE_PATHS } else { REDACT }, Relaxed);
}

/// Whether all that this process writes is redacted.
pub(crate) fn redacts_everything() -> bool {
    OF_PROCESS.load(Relaxed) & REDACT != 0
}

/// How what a caller asks for, and the process demands, is to be redacted; `None` for not at all.
///
/// # Errors
///
/// [`SnapshotError::Redact`] where there is no key: nothing is written then.
pub(crate) fn redaction(asked: Option<&Redaction>) -> Result<Option<Options>, SnapshotError> {
    let demanded = OF_PROCESS.load(Relaxed);
    if asked.is_none() && demanded & REDACT == 0 {
        return Ok(None);
    }
    let given = asked.and_then(|asked| asked.key.clone());
    let given_key = given.is_some();
    let key = match given {
        Some(key) => key,
        None => key_of_process()?,
    };
    let hide_paths = demanded & HIDE_PATHS != 0 || asked.is_some_and(|asked| asked.hide_paths);
    Ok(Some(Options { key, given_key, hide_paths }))
}

/// Random, and the same until the process ends.
fn key_of_process() -> Result<Key, SnapshotError> {
    static KEY: OnceLock<Key> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key.clone());
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| SnapshotError::Redact(format!("no random key can be had: {error}")))?;
    Ok(KEY.get_or_init(|| Key::new(&random)).clone())
}
