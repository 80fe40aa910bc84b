//! To whom what is written is encrypted. The key of a snapshot is made where it is written, in the forked child. A child that writes an
//! image allocates nothing: its parent makes the key, and forgets it with what else the child needed.

use crate::error::SnapshotError;
use heapcrypt::{RecipientError, Recipients};
use std::sync::OnceLock;

/// What NODE_HEAPDUMP_OPTIONS demands.
static OF_PROCESS: OnceLock<Result<Recipients, RecipientError>> = OnceLock::new();

/// For good: all that this process writes is for these, and nobody else. Where one of them is no recipient nothing is
/// written.
pub(crate) fn encrypt_everything(recipients: Result<Recipients, RecipientError>) {
    let _ = OF_PROCESS.set(recipients);
}

/// Whether all that this process writes is encrypted.
pub(crate) fn encrypts_everything() -> bool {
    OF_PROCESS.get().is_some()
}

/// Who may read what a caller asks for, or the process demands; `None` for everybody.
///
/// # Errors
///
/// [`SnapshotError::Encrypt`] where there is nobody: nothing is written then.
pub(crate) fn recipients(asked: Option<&Recipients>) -> Result<Option<Recipients>, SnapshotError> {
    let recipients = match (OF_PROCESS.get(), asked) {
        (Some(Err(error)), _) => {
            return Err(SnapshotError::Encrypt(format!(
                "NODE_HEAPDUMP_OPTIONS says encrypt= with {error}"
            )));
        }
        (Some(Ok(demanded)), _) => demanded.clone(),
        (None, Some(asked)) => asked.clone(),
        (None, None) => return Ok(None),
    };
    if recipients.is_empty() {
        return Err(SnapshotError::Encrypt("there is no recipient".to_owned()));
    }
    Ok(Some(recipients))
}
