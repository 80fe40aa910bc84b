//! Files that are something else are named from their content, and what DevTools loads is loaded.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test")]

mod common;

use std::io::Write;

use common::small;
use heapsnapshot::{EdgeKind, Error, ForeignFile, LoadOptions, NodeKind, NodeOrdinal, Snapshot};

fn read(bytes: &[u8]) -> Result<Snapshot, Error> {
    Snapshot::read(bytes)
}

fn file(name: &str) -> Vec<u8> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/");
    std::fs::read(format!("{directory}{name}")).unwrap()
}

#[track_caller]
fn found(bytes: &[u8]) -> (ForeignFile, String, bool) {
    let strict = read(bytes).unwrap_err();
    let salvaged = LoadOptions::new().salvage(true).read(bytes).unwrap_err();
    assert_eq!(strict.to_string(), salvaged.to_string());
    match strict {
        Error::NotASnapshot { found, said, packed } => (found, said, packed),
        other => panic!("{other}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// What people have handed in, as it begins.
fn wrong_files() -> Vec<(ForeignFile, Vec<u8>)> {
    let mut tar = vec![0; 1024];
    tar[..7].copy_from_slice(b"app.txt");
    tar[257..262].copy_from_slice(b"ustar");
    let elf = |kind: u8| {
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[16] = kind;
        elf
    };
    let utf16 = |mark: bool| {
        let units = small().json();
        let mark = if mark { &[0xff, 0xfe][..] } else { &[] };
        mark.iter().copied().chain(units.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    let texts = [
        (ForeignFile::Empty, ""),
        (ForeignFile::Blank, " \n\0\0\0"),
        (
            ForeignFile::CpuProfile,
            r#"{"nodes":[{"id":1,"callFrame":{"functionName":"(root)","scriptId":"0"},"hitCount":0}],"startTime":1,"endTime":2}"#,
        ),
        (
            ForeignFile::CpuProfile,
            r#"{"typeId":"CPU","head":{"functionName":"(root)","url":"","callUID":1,"hitCount":0,"children":[]}}"#,
        ),
        (ForeignFile::Trace, r#"{"traceEvents":[{"pid":1,"ph":"X"}]}"#),
        (ForeignFile::Trace, r#"[{"pid":1,"tid":1,"ts":5,"ph":"X","name":"a"}]"#),
        (ForeignFile::JscSnapshot, r#"{"version":3,"type":"GCDebugging","nodes":[0,0,0,0,0,0,0],"#),
        (ForeignFile::DiagnosticReport, "{\n\n  \"header\": {\n    \"reportVersion\": 3,\n"),
        (
            ForeignFile::Xml,
            r#"<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"#,
        ),
        (
            ForeignFile::JsonError,
            r#"{"kind":"Status","message":"pods \"x\" not found","code":404}"#,
        ),
        (ForeignFile::JsonError, r#"{"error":{"code":401,"message":"Login Required"}}"#),
        (ForeignFile::Json, r#"{"a":1,"b":[{"c":2}]}"#),
        (ForeignFile::Json, "[1,2,3]"),
        (ForeignFile::Json, r#"{"head":{}}"#),
        (ForeignFile::Base64, "eyJzbmFwc2hvdCI6eyJtZXRhIjp7"),
        (ForeignFile::Text, "tar: Removing leading `/' from member names\n"),
        (ForeignFile::Binary, "\u{1}\u{2}\u{3}"),
    ];
    let mut files: Vec<(ForeignFile, Vec<u8>)> =
        texts.into_iter().map(|(kind, text)| (kind, text.as_bytes().to_vec())).collect();
    files.extend([
        (ForeignFile::SamplingProfile, file("sampling.heapprofile")),
        (ForeignFile::JscSnapshot, file("jsc.heapsnapshot")),
        (ForeignFile::WebPage, file("login-page.heapsnapshot")),
        (ForeignFile::GitLfsPointer, file("lfs-pointer.heapsnapshot")),
        (ForeignFile::JavaHeap, b"JAVA PROFILE 1.0.2\0\0\0\0\x08".to_vec()),
        (ForeignFile::Zip, b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        (ForeignFile::Tar, tar),
        (ForeignFile::HeapImage, b"HEAPIMG\0\x01\0\0\0".to_vec()),
        (ForeignFile::CoreDump, elf(4)),
        (ForeignFile::Program, elf(3)),
        (ForeignFile::CoreDump, b"MDMP\x93\xa7\0\0".to_vec()),
        (ForeignFile::Utf16, utf16(true)),
        (ForeignFile::Utf16, utf16(false)),
        (ForeignFile::Compressed, b"\xfd7zXZ\0\0\x04".to_vec()),
        (ForeignFile::Compressed, b"BZh91AY&SY".to_vec()),
        (ForeignFile::Binary, vec![0x80, 0x81, 0xfe, 0x00, 0x13]),
    ]);
    files
}

#[test]
fn a_wrong_file_is_named_plain_and_packed() {
    for (kind, bytes) in wrong_files() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let (is, _, packed) = found(&bytes);
        assert_eq!((is, packed), (kind, false), "{shown}");
        for bytes in [gzip(&bytes), zstd::encode_all(&bytes[..], 1).unwrap()] {
            let (is, _, packed) = found(&bytes);
            assert_eq!((is, packed), (kind, true), "packed: {shown}");
        }
    }
    assert_eq!(found(&gzip(&gzip(b"{}"))).0, ForeignFile::Compressed);
}

#[test]
fn an_error_says_what_is_there_and_what_to_do() {
    let said = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(
        said(&file("lfs-pointer.heapsnapshot")),
        "expected a heap snapshot of V8, found a Git LFS pointer: \
         the file itself is not here yet: run git lfs pull"
    );
    assert_eq!(
        said(&gzip(&file("login-page.heapsnapshot"))),
        "expected a heap snapshot of V8, found a web page (HTML), packed (Sign in): \
         a login or an error page was saved in its place: download it again, signed in"
    );
    assert_eq!(found(b"<Error><Code>NoSuchKey</Code></Error>").1, "NoSuchKey");
    assert_eq!(found(b"{\"statusCode\":503,\"message\":\"try later\"}").1, "try later");
    assert_eq!(found(b"{\"a\":1,\"b\":{\"c\":2}}").1, "keys a, b");
    // Nothing of a file reaches the terminal but words, and only a few.
    let (_, said, _) = found(format!("Error:\x0c \u{9b}31m {}\nmore", "x".repeat(999)).as_bytes());
    assert!(said.starts_with("Error: 31m xxx") && said.chars().count() == 101, "{said}");
}

#[test]
fn every_kind_has_a_name_a_description_and_advice_of_its_own() {
    let mut kinds: Vec<ForeignFile> = wrong_files().into_iter().map(|(kind, _)| kind).collect();
    kinds.sort_by_key(|kind| kind.code());
    kinds.dedup();
    for pair in kinds.windows(2) {
        assert_ne!(pair[0].code(), pair[1].code());
    }
    for kind in kinds {
        assert!(!kind.to_string().is_empty() && !kind.advice().is_empty());
        assert!(kind.code().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}

#[test]
fn only_the_head_of_a_wrong_file_is_read() {
    /// A file without an end that counts what is read of it.
    struct Endless<'a>(&'a [u8], u64);
    impl std::io::Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += buffer.len() as u64;
            assert!(self.1 < 2 << 20, "too much is read");
            let take = self.0.len().min(buffer.len());
            buffer[..take].copy_from_slice(&self.0[..take]);
            self.0 = &self.0[take..];
            buffer[take..].fill(b'0');
            Ok(buffer.len())
        }
    }
    for (kind, bytes) in wrong_files() {
        // Those that are told from being whole, or are read on as numbers are.
        if matches!(kind, ForeignFile::Empty | ForeignFile::Blank | ForeignFile::JsonError) {
            continue;
        }
        let error = Snapshot::read(Endless(&bytes, 0)).unwrap_err();
        let named = matches!(error, Error::NotASnapshot { found, .. } if found == kind);
        assert!(named || kind == ForeignFile::Json, "{kind}: {error}");
    }
    assert!(Snapshot::read(Endless(&[b' '; 1 << 20], 0)).is_err());
}

#[test]
fn a_snapshot_that_is_cut_is_never_taken_for_something_else() {
    let json = small().json();
    for cut in 1..json.len() - 1 {
        let error = read(&json.as_bytes()[..cut]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "cut at {cut}: {error}");
    }
    let packed = gzip(json.as_bytes());
    for cut in 12..packed.len() - 8 {
        let error = read(&packed[..cut]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn types_beyond_the_declared_ones_are_loaded_as_in_devtools() {
    let snapshot = read(&file("symbol-not-declared.heapsnapshot")).unwrap();
    let symbol = NodeOrdinal(3);
    assert_eq!((snapshot.kind(symbol), snapshot.kind_name(symbol)), (NodeKind::Other, "undefined"));
    assert_eq!((&*snapshot.name(symbol), snapshot.class_name(symbol)), ("symbol", "(undefined)"));
    assert_eq!(snapshot.retained_size(snapshot.root()), 48);
    for (number, name) in [("7", "invisible"), ("8", "undefined"), ("300", "undefined")] {
        let json = small().json().replace("2,5,24", &format!("{number},5,24"));
        let snapshot = read(json.as_bytes()).unwrap();
        let edge = snapshot.edges(NodeOrdinal(3)).next().unwrap();
        assert_eq!((edge.kind, snapshot.edge_kind_name(edge)), (EdgeKind::Other, name));
        assert_eq!(snapshot.edge_name(edge), "c");
        assert_eq!(snapshot.dominator(NodeOrdinal(4)), NodeOrdinal(2));
    }
    let json = small().json().replace("3,2,9,30", "4000000000,2,9,30");
    assert_eq!(read(json.as_bytes()).unwrap().class_name(NodeOrdinal(4)), "(undefined)");
}

#[test]
fn what_stands_before_and_after_a_snapshot_is_passed_over_as_in_devtools() {
    let json = small().json();
    for (before, after) in [
        ("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", ""),
        ("{\"id\":1,\"result\":", "}\n"),
        ("{\"message\":\"here it is\",\"data\":", "}"),
        ("Defaulted container \"app\"\n", "\nDone.\n"),
        ("\u{feff}", "\0\0\0"),
    ] {
        let snapshot = read(format!("{before}{json}{after}").as_bytes()).unwrap();
        assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60, "{before}");
        assert!(snapshot.missing().is_empty());
    }
    let twice = format!("{json}{json}");
    assert!(matches!(read(twice.as_bytes()), Err(Error::Syntax { .. })));
}

#[test]
fn a_last_brace_that_is_missing_is_told_and_harms_nothing() {
    let json = small().json();
    let snapshot = read(&json.as_bytes()[..json.len() - 1]).unwrap();
    assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60);
    assert!(matches!(snapshot.missing(), [Error::Truncated { .. }]));
}

#[test]
fn lists_that_are_null_are_not_there() {
    let json = small().json().replace(
        "\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]",
        "\"location_fields\":null,\"sample_fields\":null,\"trace_function_info_fields\":null",
    );
    assert_eq!(read(json.as_bytes()).unwrap().retained_size(NodeOrdinal(2)), 60);
}

#[test]
fn a_sign_before_a_size_is_not_read() {
    let json = small().json().replace("3,2,9,30", "3,2,9,-30");
    assert_eq!(read(json.as_bytes()).unwrap().retained_size(NodeOrdinal(2)), 60);
}
