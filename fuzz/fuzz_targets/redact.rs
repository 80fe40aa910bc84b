//! Any bytes, cut anywhere: nothing may panic or hang, and what comes out depends on the bytes alone.

#![no_main]

use heapredact::{Error, Key, Options, Redactor};
use libfuzzer_sys::fuzz_target;

fn redact(data: &[u8], piece: usize) -> (Result<(), Error>, Vec<u8>) {
    let options = Options { key: Key::new(b"fuzz"), given_key: true, hide_paths: false };
    let mut redactor = Redactor::new(options);
    let mut out = Vec::new();
    for chunk in data.chunks(piece) {
        if redactor.push(chunk, &mut out).is_err() {
            break;
        }
    }
    (redactor.finish(), out)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let (ended, whole) = redact(data, data.len().max(1));
    let (ended_too, cut) = redact(data, usize::from(first) + 1);
    assert_eq!(ended, ended_too);
    if ended.is_ok() {
        assert_eq!(whole, cut);
        // Nothing is redacted twice.
        assert_eq!(redact(&whole, 4096).0, Err(Error::AlreadyRedacted));
    }
});
