//! What a monitor's thread waits for and reads on systems that are not Linux.

use super::GroupUse;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Rung by any thread; one thread waits for it.
#[derive(Default)]
pub(crate) struct Bell {
    is_rung: Mutex<bool>,
    rung: Condvar,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    Rung,
    Time,
}

impl Bell {
    /// # Errors
    ///
    /// None.
    #[allow(clippy::unnecessary_wraps)]
    pub(crate) fn new() -> std::io::Result<Bell> {
        Ok(Bell::default())
    }

    /// Only Linux has control groups.
    #[allow(clippy::unused_self)]
    pub(crate) fn listen_to_groups(&mut self) {}

    pub(crate) fn ring(&self) {
        *self.is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rung.notify_all();
    }

    /// Until it is rung or `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Woken {
        let mut is_rung = self.is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if std::mem::take(&mut *is_rung) {
                return Woken::Rung;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            is_rung = match left {
                Some(left) if left.is_zero() => return Woken::Time,
                Some(left) => {
                    let waited = self.rung.wait_timeout(is_rung, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.rung.wait(is_rung).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Resident memory and control groups are read on Linux alone.
pub(crate) struct Gauges;

#[allow(clippy::unused_self)]
impl Gauges {
    pub(crate) fn open() -> Gauges {
        Gauges
    }

    pub(crate) fn resident(&self) -> Option<u64> {
        None
    }

    pub(crate) fn group_use_with_cache(&self) -> Option<GroupUse> {
        None
    }

    pub(crate) fn group_use(&self) -> Option<GroupUse> {
        None
    }
}
