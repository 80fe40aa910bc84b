//! A snapshot that comes from elsewhere, without its texts.

use super::values::JsRedaction;
use crate::snapshot::RequestOptions;
use napi::bindgen_prelude::Buffer;

pub(crate) fn redactor(redaction: &JsRedaction) -> napi::Result<heapredact::Redactor> {
    let options = RequestOptions { redact: Some(redaction.read()), ..RequestOptions::default() };
    match options.redaction() {
        Ok(Some(options)) => Ok(heapredact::Redactor::new(options)),
        Ok(None) => Err(napi::Error::from_reason("nothing is to be redacted")),
        Err(error) => Err(napi::Error::from_reason(error.to_string())),
    }
}

pub(crate) fn redact(redactor: &mut heapredact::Redactor, chunk: &[u8]) -> napi::Result<Buffer> {
    let mut out = Vec::new();
    redactor.push(chunk, &mut out).map_err(reason)?;
    Ok(out.into())
}

pub(crate) fn redacted(redactor: &mut heapredact::Redactor) -> napi::Result<()> {
    redactor.finish().map_err(reason)
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it on")]
fn reason(error: heapredact::Error) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}
