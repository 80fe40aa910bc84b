//! Files that are something else: what people hand to an analyzer by mistake, and what helps them.

use std::fmt;

/// What a file is that is no heap snapshot, told from its first bytes.
///
/// ```
/// use heapsnapshot::{Error, ForeignFile, Snapshot};
///
/// let page = Snapshot::read(&b"<!doctype html><title>Sign in</title>"[..]);
/// assert!(matches!(page, Err(Error::NotASnapshot { found: ForeignFile::WebPage, .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignFile {
    /// No bytes at all.
    Empty,
    /// Only zeros or white space.
    Blank,
    /// Stacks that allocated, as V8's sampling heap profiler writes them.
    SamplingProfile,
    /// Stacks that ran, as V8's CPU profiler writes them.
    CpuProfile,
    /// Events of Chrome's Performance panel or of `--trace-events-enabled`.
    Trace,
    /// A heap of JavaScriptCore.
    JscSnapshot,
    /// A heap of a Java virtual machine.
    JavaHeap,
    /// A report of `process.report` or `--report-on-fatalerror`.
    DiagnosticReport,
    /// What Git keeps in place of a large file.
    GitLfsPointer,
    /// HTML.
    WebPage,
    /// XML such as a store's error.
    Xml,
    /// A JSON answer that says what went wrong.
    JsonError,
    /// Any other JSON.
    Json,
    /// Text of two bytes a character.
    Utf16,
    /// Base64 of a snapshot.
    Base64,
    /// An archive of the zip family.
    Zip,
    /// A tar archive.
    Tar,
    /// Compressed in a way that is not read, or compressed twice.
    Compressed,
    /// The memory of a process, of which heapdump-rs makes a snapshot.
    HeapImage,
    /// The memory of a dead process.
    CoreDump,
    /// A program or a library.
    Program,
    /// Any other text.
    Text,
    /// Any other bytes.
    Binary,
}

impl ForeignFile {
    /// A stable name for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.texts().0
    }

    /// What can be done about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.texts().2
    }

    fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            ForeignFile::Empty => (
                "empty",
                "an empty file",
                "its writer was killed, its disk was full, or the copy failed: copy or take it again",
            ),
            ForeignFile::Blank => (
                "blank",
                "a file of zeros or white space",
                "its blocks were never written, as after a crash or on a full disk: copy or take it again",
            ),
            ForeignFile::SamplingProfile => (
                "sampling-profile",
                "a sampling heap profile (.heapprofile)",
                "it has the stacks that allocated, but no objects: open it in DevTools' Memory panel, or take a heap snapshot",
            ),
            ForeignFile::CpuProfile => (
                "cpu-profile",
                "a CPU profile (.cpuprofile)",
                "open it in DevTools' Performance panel, or take a heap snapshot",
            ),
            ForeignFile::Trace => (
                "trace",
                "a trace of events",
                "open it in DevTools' Performance panel or in Perfetto, or take a heap snapshot",
            ),
            ForeignFile::JscSnapshot => (
                "jsc-snapshot",
                "a heap snapshot of JavaScriptCore (Safari, Bun)",
                "open it in Safari's Web Inspector; in Bun, Bun.generateHeapSnapshot(\"v8\") gives one that can be read here",
            ),
            ForeignFile::JavaHeap => {
                ("java-heap", "a Java heap dump (.hprof)", "open it in Eclipse MAT or VisualVM")
            }
            ForeignFile::DiagnosticReport => (
                "diagnostic-report",
                "a diagnostic report of Node.js",
                "it has sums, but no objects: read it as JSON, or take a heap snapshot",
            ),
            ForeignFile::GitLfsPointer => (
                "git-lfs-pointer",
                "a Git LFS pointer",
                "the file itself is not here yet: run git lfs pull",
            ),
            ForeignFile::WebPage => (
                "web-page",
                "a web page (HTML)",
                "a login or an error page was saved in its place: download it again, signed in",
            ),
            ForeignFile::Xml => (
                "xml",
                "XML",
                "if a store answered so, the address is wrong or no longer valid: download it again with a new one",
            ),
            ForeignFile::JsonError => (
                "json-error",
                "a server's answer in JSON",
                "the download failed: see what it says, and download it again",
            ),
            ForeignFile::Json => (
                "json",
                "JSON of another kind",
                "a heap snapshot begins with {\"snapshot\":{\"meta\":…: is this the right file?",
            ),
            ForeignFile::Utf16 => (
                "utf-16",
                "text in UTF-16",
                "PowerShell's > writes so: (Get-Content -Raw FILE) | Set-Content -Encoding utf8 OTHER",
            ),
            ForeignFile::Base64 => ("base64", "base64", "decode it: base64 -d FILE > OTHER"),
            ForeignFile::Zip => ("zip", "a zip archive", "unpack it first: unzip FILE"),
            ForeignFile::Tar => ("tar", "a tar archive", "unpack it first: tar xf FILE"),
            ForeignFile::Compressed => (
                "compressed",
                "a compressed file",
                "unpack it first: what is read packed is gzip or zstd, once",
            ),
            ForeignFile::HeapImage => (
                "heap-image",
                "a heap image (.heapimage)",
                "make a snapshot of it: npx heapdump-rs node-snapshot --image FILE --output OTHER",
            ),
            ForeignFile::CoreDump => (
                "core-dump",
                "a core dump",
                "of Node.js on Linux x64, make a snapshot of it: npx heapdump-rs node-snapshot --core FILE --output OTHER",
            ),
            ForeignFile::Program => ("program", "a program or library", "is this the right file?"),
            ForeignFile::Text => (
                "text",
                "text",
                "it may be the message of the command that failed to copy the file",
            ),
            ForeignFile::Binary => (
                "binary",
                "binary data of an unknown kind",
                "it may be encrypted, compressed, or damaged: compare it with the original",
            ),
        }
    }
}

impl fmt::Display for ForeignFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.texts().1)
    }
}
