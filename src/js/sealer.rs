//! What comes from elsewhere, encrypted: for `lib/encrypt.js`.
#![allow(
    unreachable_pub,
    reason = "napi makes functions of them that Node.js finds by their names"
)]

use heapcrypt::{Recipients, Sealer};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use std::io::{self, Write};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

/// A file on its way to its recipients.
#[napi(js_name = "Sealer")]
pub struct JsSealer {
    /// `None`: it is over.
    sealer: Option<Sealer<Out>>,
    out: Out,
}

/// What has been encrypted and not been handed on.
#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

#[napi]
impl JsSealer {
    /// For one file.
    #[napi(constructor, catch_unwind)]
    pub fn new(recipients: Vec<String>) -> napi::Result<JsSealer> {
        let recipients = Recipients::parse(recipients).map_err(reason)?;
        let out = Out::default();
        let sealer = recipients.seal(out.clone()).map_err(reason)?;
        Ok(JsSealer { sealer: Some(sealer), out })
    }

    /// Why a text is no recipient of age; absent where it is one.
    #[napi(catch_unwind)]
    pub fn refuse(text: String) -> Option<String> {
        Recipients::parse([text]).err().map(|error| error.to_string())
    }

    /// Takes a chunk; returns what can be handed on by now.
    #[napi(catch_unwind)]
    pub fn push(&mut self, chunk: Buffer) -> napi::Result<Buffer> {
        let sealer = self.sealer.as_mut().ok_or_else(|| reason("the file is over"))?;
        sealer.write_all(&chunk).map_err(reason)?;
        Ok(self.out.take().into())
    }

    /// The end of the file.
    #[napi(catch_unwind)]
    pub fn finish(&mut self) -> napi::Result<Buffer> {
        let sealer = self.sealer.take().ok_or_else(|| reason("the file is over"))?;
        sealer.finish().map_err(reason)?;
        Ok(self.out.take().into())
    }
}

impl Out {
    fn take(&self) -> Vec<u8> {
        take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reason(error: impl std::fmt::Display) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
