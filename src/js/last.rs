//! The last snapshot of the process, all threads together.

use super::values::{Event, JsError, Status};
use crate::error::SnapshotError;
use crate::snapshot::{QUEUE, Report};
use std::sync::{Mutex, PoisonError};

pub(crate) fn status() -> Status {
    let (running, waiting) = QUEUE.load();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let last = last.as_ref().map(|last| match last {
        Ok(report) => Event { report: Some(report.clone().into()), ..Event::default() },
        Err((code, message)) => Event {
            error: Some(JsError {
                code: code.map(str::to_owned),
                message: message.clone(),
                reason: None,
                errno: None,
                syscall: None,
                path: None,
            }),
            ..Event::default()
        },
    });
    Status { running: count(running), waiting: count(waiting), last }
}

/// The last snapshot of the process, for `status`.
static LAST: Mutex<Option<Result<Report, LastError>>> = Mutex::new(None);

/// Code and message.
type LastError = (Option<&'static str>, String);

pub(super) fn remember(result: &Result<Report, SnapshotError>) {
    let last = match result {
        Ok(report) => Ok(report.clone()),
        Err(error) => Err((error.code(), error.to_string())),
    };
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
}
