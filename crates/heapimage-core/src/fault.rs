use thiserror::Error;

/// Why no image can be made of a core file. Each says what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CoreFault {
    /// Another kind of file.
    #[error("it is no core file (ELF, 64 bits, ET_CORE)")]
    NotACore,
    /// Of another machine.
    #[error("it is of ELF machine {0}; cores of x86-64 (62) can be read")]
    Architecture(u16),
    /// The end is missing.
    #[error(
        "it is cut short: {found} of {expected} bytes are there. `ulimit -c`, a full disk or systemd-coredump's ProcessSizeMax= and ExternalSizeMax= cut it"
    )]
    CutShort {
        /// In bytes.
        expected: u64,
        /// In bytes.
        found: u64,
    },
    /// A note or segment that neither the kernel nor gdb writes.
    #[error("{0}")]
    Malformed(&'static str),
    /// The process was none of Node's.
    #[error("the process was not Node.js: neither {program} nor a libnode in it has {symbol}")]
    NotNode {
        /// Its path.
        program: String,
        /// What is looked for.
        symbol: &'static str,
    },
    /// Files that the process cannot be made of again without.
    #[error("it needs {}", list(.0))]
    Files(Vec<Missing>),
    /// The main thread's isolate cannot be brought to a safe point.
    #[error(
        "its main thread is inside JavaScript, and this Node.js has no v8::Isolate::RequestInterrupt to bring it to where a snapshot can be taken"
    )]
    InsideJavaScript,
    /// The image would hold more than the format can.
    #[error("it has more {0} than an image can hold")]
    TooMany(&'static str),
}

/// A file that is needed, and is not there as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where the process had it.
    pub path: String,
    /// Its build-id, in hexadecimal digits; nothing where the core does not tell.
    pub build_id: String,
    /// That of the file which was opened instead; `None` where there was none.
    pub found: Option<String>,
    /// The version of Node.js, where the file is Node.js and the core tells.
    pub version: Option<String>,
    /// The version of the file which was opened instead, where it is Node.js.
    pub found_version: Option<String>,
}

fn list(files: &[Missing]) -> String {
    files.iter().map(Missing::describe).collect::<Vec<_>>().join("; ")
}

impl Missing {
    fn describe(&self) -> String {
        let Missing { path, build_id, found, version, found_version } = self;
        let version =
            version.as_ref().map(|version| format!(" of Node.js {version}")).unwrap_or_default();
        let wanted = match build_id.as_str() {
            "" => format!("{path}{version}"),
            build_id => format!("{path}{version} (build-id {build_id})"),
        };
        let found_version = found_version
            .as_ref()
            .map(|version| format!("of Node.js {version}, "))
            .unwrap_or_default();
        match found.as_deref() {
            None => format!("{wanted}, which is not here"),
            Some("") => format!("{wanted}, and the file here has no build-id"),
            Some(found) => {
                format!("{wanted}, and the file here is another ({found_version}build-id {found})")
            }
        }
    }
}
