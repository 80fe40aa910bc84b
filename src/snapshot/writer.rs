//! From V8's chunks to the output: counted, looked at for the header, without their texts, compressed on a thread, encrypted if
//! wanted, in this order.

use super::Compression;
use crate::process::{Failure, Progress, Stage};
use crate::v8::{ChunkSink, HeapSnapshot};
use heapcrypt::{Recipients, Sealer};
use heapredact::Redactor;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Serializes `snapshot` into `output`. Failures are recorded in `progress`; `Err` says that there is one.
pub(super) fn write_snapshot<P: SharedProgress>(
    snapshot: &HeapSnapshot,
    output: &File,
    form: Form,
    progress: &P,
) -> Result<(), ()> {
    progress.enter(Stage::Writing);
    progress.nodes.store(snapshot.node_count(), Relaxed);
    let mut writer = Writer::new(output, form, progress)?;
    let ended = snapshot.serialize(&mut writer);
    writer.finish()?;
    if !ended {
        progress.fail(Failure::Snapshot, 0);
        return Err(());
    }
    Ok(())
}

/// What becomes of V8's bytes.
#[derive(Default)]
pub(super) struct Form {
    pub(super) redaction: Option<heapredact::Options>,
    pub(super) compression: Option<Compression>,
    pub(super) recipients: Option<Recipients>,
}

/// A [`Progress`] that a compressing thread can hold too.
pub(super) trait SharedProgress:
    std::ops::Deref<Target = Progress> + Clone + Send + 'static
{
}
impl<P: std::ops::Deref<Target = Progress> + Clone + Send + 'static> SharedProgress for P {}

/// A [`ChunkSink`] over a file.
pub(super) struct Writer<P: SharedProgress> {
    redactor: Option<Redacting>,
    encoder: Encoder<P>,
    progress: P,
    header_seen: bool,
}

/// What takes the texts out, and a chunk without them.
struct Redacting {
    redactor: Redactor,
    chunk: Vec<u8>,
}

impl Redacting {
    fn new(options: heapredact::Options) -> Redacting {
        Redacting { redactor: Redactor::new(options), chunk: Vec::new() }
    }

    fn push(&mut self, chunk: &[u8]) -> Result<&[u8], heapredact::Error> {
        self.chunk.clear();
        self.redactor.push(chunk, &mut self.chunk)?;
        Ok(&self.chunk)
    }
}

enum Encoder<P: SharedProgress> {
    Plain(Sink<P>),
    /// Chunks go to a thread; at most as many wait as the channel holds.
    Threaded(SyncSender<Vec<u8>>, JoinHandle<io::Result<()>>),
}

/// Chunks of V8 (1 MiB) that may wait for the compressing thread.
const WAITING_CHUNKS: usize = 8;

impl<P: SharedProgress> Writer<P> {
    pub(super) fn new(output: &File, form: Form, progress: &P) -> Result<Writer<P>, ()> {
        let Form { redaction, compression, recipients } = form;
        let file = output.try_clone().map_err(|error| fail(progress, &error))?;
        let file = CountingFile { file, progress: progress.clone(), hash: Sha256::new() };
        let file = Sink::open(file, recipients.as_ref()).map_err(|error| fail(progress, &error))?;
        let encoder = match compression {
            None => Encoder::Plain(file),
            Some(compression) => {
                let (sender, receiver) = sync_channel::<Vec<u8>>(WAITING_CHUNKS);
                let thread = std::thread::Builder::new()
                    .name("heapdump-zip".to_owned())
                    .spawn(move || compress(compression, file, receiver.into_iter()))
                    .map_err(|error| {
                        progress.fail(Failure::Thread, error.raw_os_error().unwrap_or(0))
                    })?;
                Encoder::Threaded(sender, thread)
            }
        };
        let redactor = redaction.map(Redacting::new);
        Ok(Writer { redactor, encoder, progress: progress.clone(), header_seen: false })
    }

    /// Waits for the compressing thread, if there is one.
    pub(super) fn finish(mut self) -> Result<(), ()> {
        if let Some(redacting) = &mut self.redactor
            && self.progress.failure().is_none()
            && let Err(error) = redacting.redactor.finish()
        {
            refuse(&self.progress, &error);
        }
        match self.encoder {
            Encoder::Plain(file) => {
                if self.progress.failure().is_none()
                    && let Err(error) = file.finish()
                {
                    fail(&self.progress, &error);
                }
            }
            Encoder::Threaded(sender, thread) => {
                drop(sender);
                match thread.join() {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => fail(&self.progress, &error),
                    Err(_) => self.progress.fail(Failure::Internal, 0),
                }
            }
        }
        if self.progress.failure().is_some() { Err(()) } else { Ok(()) }
    }
}

impl<P: SharedProgress> ChunkSink for Writer<P> {
    fn write(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        if !self.header_seen {
            self.header_seen = true;
            if let Some(edges) = header_number(chunk, b"\"edge_count\":") {
                self.progress.edges.store(edges, Relaxed);
            }
            if let Some(nodes) = header_number(chunk, b"\"node_count\":") {
                self.progress.nodes.store(nodes, Relaxed);
            }
        }
        let chunk = match &mut self.redactor {
            None => chunk,
            Some(redacting) => match redacting.push(chunk) {
                Ok(redacted) => redacted,
                Err(error) => {
                    refuse(&self.progress, &error);
                    return ControlFlow::Break(());
                }
            },
        };
        match &mut self.encoder {
            Encoder::Plain(file) => {
                if let Err(error) = file.write_all(chunk) {
                    fail(&self.progress, &error);
                    return ControlFlow::Break(());
                }
            }
            // The receiver is gone when the thread failed; `finish` learns why.
            Encoder::Threaded(sender, _) => {
                if sender.send(chunk.to_vec()).is_err() {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn compress<P: SharedProgress>(
    compression: Compression,
    file: Sink<P>,
    chunks: impl Iterator<Item = Vec<u8>>,
) -> io::Result<()> {
    // Level 1: 4 to 8 times smaller at a few per cent of the child's time; higher levels would delay the file.
    match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::new(1));
            for chunk in chunks {
                encoder.write_all(&chunk)?;
            }
            encoder.finish()?.finish()
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(file, 1)?;
            encoder.include_checksum(true)?;
            for chunk in chunks {
                encoder.write_all(&chunk)?;
            }
            encoder.finish()?.finish()
        }
    }
}

/// Nothing of what cannot be redacted has been written.
fn refuse(progress: &Progress, error: &heapredact::Error) {
    let failure = match error {
        heapredact::Error::Memory => Failure::NoMemory,
        // V8 gave up: that is what is told.
        heapredact::Error::Truncated => Failure::Snapshot,
        _ => Failure::Redact,
    };
    progress.fail(failure, 0);
}

fn fail(progress: &Progress, error: &io::Error) {
    match error.raw_os_error() {
        Some(errno) => progress.fail(Failure::Write, errno),
        // An encoder's own: it could not allocate.
        None => progress.fail(Failure::NoMemory, 0),
    }
}

/// Where bytes go in the end.
enum Sink<P: SharedProgress> {
    Clear(CountingFile<P>),
    Sealed(Sealer<CountingFile<P>>),
}

impl<P: SharedProgress> Sink<P> {
    /// The header of what is encrypted is written at once.
    fn open(file: CountingFile<P>, recipients: Option<&Recipients>) -> io::Result<Sink<P>> {
        match recipients {
            None => Ok(Sink::Clear(file)),
            Some(recipients) => recipients.seal(file).map(Sink::Sealed),
        }
    }

    /// Everything is written.
    fn finish(self) -> io::Result<()> {
        match self {
            Sink::Clear(file) => file.finish(),
            Sink::Sealed(sealer) => sealer.finish()?.finish(),
        }
        Ok(())
    }
}

impl<P: SharedProgress> Write for Sink<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Clear(file) => file.write(bytes),
            Sink::Sealed(sealer) => sealer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts and hashes bytes and says when a write is under way. Repeats after EINTR: not every encoder above does.
struct CountingFile<P> {
    file: File,
    progress: P,
    /// Of what is in the file, so that a copy of it can be compared.
    hash: Sha256,
}

impl<P: SharedProgress> CountingFile<P> {
    /// Everything is written.
    fn finish(self) {
        self.progress.set_digest(self.hash.finalize().into());
    }
}

impl<P: SharedProgress> Write for CountingFile<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.writing.store(true, Relaxed);
        let written = loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => break written,
            }
        };
        self.progress.writing.store(false, Relaxed);
        if let Ok(written) = written {
            self.hash.update(bytes.get(..written).unwrap_or_default());
            self.progress.bytes.fetch_add(written as u64, Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In-process progress, shared with a compressing thread.
pub(super) fn local_progress() -> Arc<Progress> {
    Arc::new(Progress::default())
}

/// The number behind `key` in the snapshot's header, which is whole in V8's first chunk.
fn header_number(chunk: &[u8], key: &[u8]) -> Option<u64> {
    // The header's meta section is about 2 KB.
    let head = chunk.get(..chunk.len().min(16 * 1024))?;
    let start = head.windows(key.len()).position(|window| window == key)? + key.len();
    let digits = head.get(start..)?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(digits.get(..length)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_header() {
        let chunk = br#"{"snapshot":{"meta":{},"node_count":12,"edge_count":345,"trace_function_count":0},"nodes":[1"#;
        assert_eq!(header_number(chunk, b"\"edge_count\":"), Some(345));
        assert_eq!(header_number(chunk, b"\"node_count\":"), Some(12));
        assert_eq!(header_number(chunk, b"\"absent\":"), None);
    }
}
