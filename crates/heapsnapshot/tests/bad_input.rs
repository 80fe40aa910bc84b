//! Every way in which a file can be wrong has a defined outcome: an error that says where, or, when
//! salvaging, what is whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test"
)]

mod common;

use common::{META, small};
use heapsnapshot::{EdgeKind, Error, LoadOptions, NodeId, NodeOrdinal, Section, Snapshot};

fn read(text: &str) -> Result<Snapshot, Error> {
    Snapshot::read(text.as_bytes())
}

fn salvage(bytes: &[u8]) -> Result<Snapshot, Error> {
    LoadOptions::new().salvage(true).read(bytes)
}

#[test]
fn a_whole_file_is_read() {
    let snapshot = read(&small().json()).unwrap();
    assert_eq!((snapshot.node_count(), snapshot.edge_count()), (5, 5));
    assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60);
    assert_eq!(snapshot.dominator(NodeOrdinal(4)), NodeOrdinal(2));
    assert!(snapshot.missing().is_empty());
}

#[test]
fn a_cut_at_any_byte_is_an_error_and_never_a_panic() {
    let json = small().json();
    // Without its last byte a file lacks nothing but a brace; without any, it is another kind of file.
    for cut in 1..json.len() - 1 {
        let text = &json.as_bytes()[..cut];
        let error = Snapshot::read(text).expect_err("a part is not the whole");
        assert!(
            matches!(error, Error::Truncated { offset, .. } if offset == cut as u64),
            "cut at {cut}: {error}"
        );
        if let Ok(snapshot) = salvage(text) {
            assert!(!snapshot.missing().is_empty(), "cut at {cut}");
            for node in snapshot.nodes() {
                let _ = (snapshot.retained_size(node), snapshot.distance(node));
                let _ = (snapshot.display_name(node), snapshot.class_name(node));
            }
        }
    }
}

#[test]
fn salvage_keeps_what_is_whole() {
    let json = small().json();
    let in_nodes = json.find(",3,2,7,").unwrap();
    let snapshot = salvage(&json.as_bytes()[..in_nodes]).unwrap();
    assert_eq!((snapshot.node_count(), snapshot.edge_count()), (3, 0));
    assert!(matches!(snapshot.missing()[0], Error::Truncated { section: Section::Nodes, .. }));

    let in_edges = json.find("\n,2,5,24").unwrap();
    let snapshot = salvage(&json.as_bytes()[..in_edges]).unwrap();
    assert_eq!((snapshot.node_count(), snapshot.edge_count()), (5, 3));
    assert_eq!(snapshot.name(NodeOrdinal(1)), "(missing)");

    let in_strings = json.find("\"Thing\"").unwrap() + 3;
    let snapshot = salvage(&json.as_bytes()[..in_strings]).unwrap();
    assert_eq!(snapshot.name(NodeOrdinal(1)), "global");
    assert_eq!(snapshot.name(NodeOrdinal(2)), "(missing)");
    assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60);

    let last_byte = &json.as_bytes()[..json.len() - 1];
    assert_eq!(salvage(last_byte).unwrap().name(NodeOrdinal(2)), "Thing");
}

#[test]
fn a_wrong_header_count_is_found() {
    let json = small().json().replace("\"node_count\":5", "\"node_count\":6");
    assert!(matches!(
        read(&json).unwrap_err(),
        Error::Inconsistent { section: Section::Nodes, record: 5, .. }
    ));
    let json = small().json().replace("\"edge_count\":5", "\"edge_count\":4");
    assert!(matches!(
        read(&json).unwrap_err(),
        Error::Inconsistent { section: Section::Edges, record: 5, .. }
    ));
}

#[test]
fn a_count_that_no_file_can_hold_allocates_nothing() {
    for count in ["4000000000", "18446744073709551615"] {
        let json = small()
            .json()
            .replace("\"node_count\":5", &format!("\"node_count\":{count}"))
            .replace("\"edge_count\":5", &format!("\"edge_count\":{count}"));
        assert!(matches!(read(&json), Err(Error::Inconsistent { .. })));
    }
}

#[test]
fn edge_counts_must_add_up() {
    let json = small().json().replace("3,2,9,30,0,0", "3,2,9,30,1,0");
    let error = read(&json).unwrap_err();
    assert!(error.to_string().contains("expected 5 edges"), "{error}");
    assert!(salvage(json.as_bytes()).is_ok());
    let json = small().json().replace("3,2,9,30,0,0", "3,2,9,30,18446744073709551615,0");
    assert!(matches!(read(&json), Err(Error::Inconsistent { section: Section::Nodes, .. })));
}

#[test]
fn targets_and_names_must_be_in_range() {
    for (from, to, record) in
        [("2,5,24", "2,5,30", 4), ("2,5,24", "2,5,23", 4), ("2,3,12", "2,6,12", 1)]
    {
        let error = read(&small().json().replace(from, to)).unwrap_err();
        assert!(
            matches!(error, Error::Inconsistent { section: Section::Edges, record: r, .. } if r == record),
            "{error}"
        );
    }
    let error = read(&small().json().replace("3,2,9,30", "3,6,9,30")).unwrap_err();
    assert!(matches!(error, Error::Inconsistent { section: Section::Nodes, record: 4, .. }));
}

#[test]
fn numbers_must_be_numbers() {
    let nodes = small().json();
    for (from, to) in [
        (",100,", ",1e2,"),
        (",100,", ",1.5,"),
        (",100,", ",,100,"),
        (",100,", ",100 100,"),
        (",100,", ",\"100\","),
        (",100,", ",[100],"),
        (",100,", ",99999999999999999999999,"),
        (",100,", ",-,"),
    ] {
        let error = read(&nodes.replacen(from, to, 1)).unwrap_err();
        let Error::Syntax { section: Section::Nodes, offset, .. } = error else {
            panic!("{to}: {error}")
        };
        let near = nodes.find(from).unwrap() as u64;
        assert!((near..near + 30).contains(&offset), "{to}: {error}");
    }
}

#[test]
fn the_keys_may_come_in_any_order() {
    let graph = small();
    let [nodes, edges, strings] = graph.parts();
    let parts = [
        format!("\"strings\":[{strings}]"),
        format!("\"edges\":[{edges}]"),
        format!("\"nodes\":[{nodes}]"),
        format!("\"snapshot\":{}", graph.header()),
        "\"unknown\":{\"a\":[1,\"]}\\\"\",null]}".to_owned(),
        "\"trace_tree\":[]".to_owned(),
    ];
    for turn in 0..parts.len() {
        let mut turned = parts.clone();
        turned.rotate_left(turn);
        let snapshot = read(&format!("{{{}}}", turned.join(","))).unwrap();
        assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60);
        assert_eq!(snapshot.name(NodeOrdinal(2)), "Thing");
    }
    for missing in [("snapshot", 3), ("nodes", 2), ("edges", 1), ("strings", 0)] {
        let mut fewer = parts.to_vec();
        fewer.remove(missing.1);
        let error = read(&format!("{{{}}}", fewer.join(","))).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{}: {error}", missing.0);
    }
    let twice = format!("{{{},{}}}", parts.join(","), parts[2]);
    assert!(matches!(read(&twice), Err(Error::Syntax { section: Section::Nodes, .. })));
}

#[test]
fn white_space_and_a_byte_order_mark_are_skipped() {
    let pretty = small().json().replace(',', " ,\r\n\t ").replace('[', "[ ").replace(']', " ]");
    let snapshot = read(&format!("\u{feff} {pretty}\n\n")).unwrap();
    assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60);
    assert!(matches!(read(&format!("{}x]", small().json())), Err(Error::Syntax { .. })));
}

#[test]
fn large_ids_sizes_and_indices_are_exact() {
    let json = small()
        .json()
        .replace("3,2,9,30", "3,2,8589934593,8589934592")
        .replace("1,7,24", "1,-2147483648,24");
    let snapshot = read(&json).unwrap();
    let node = snapshot.find(NodeId(8_589_934_593)).unwrap();
    assert_eq!(snapshot.shallow_size(node), 8_589_934_592);
    assert_eq!(snapshot.total_size(), 8_589_934_592 + 130);
    let edge = snapshot.retainers(node).find(|edge| edge.kind == EdgeKind::Element).unwrap();
    assert_eq!(snapshot.edge_name(edge), "2147483648");
    let error = read(&small().json().replace("1,7,24", "1,-5000000000,24")).unwrap_err();
    assert!(matches!(error, Error::Inconsistent { section: Section::Edges, record: 3, .. }));
    let error = read(&small().json().replace("3,2,9,30", "3,2,-9,30")).unwrap_err();
    assert!(error.to_string().contains("an id below 2^63"), "{error}");
}

#[test]
fn broken_text_stays_readable() {
    let mut bytes = small().json().into_bytes();
    let at = bytes.windows(5).position(|window| window == b"Thing").unwrap();
    bytes[at] = 0xff;
    assert_eq!(Snapshot::read(&bytes[..]).unwrap().name(NodeOrdinal(2)), "\u{fffd}hing");
    let json = small().json().replace("Thing", r"\ud800Th\udc00\u00e9");
    assert_eq!(read(&json).unwrap().name(NodeOrdinal(2)), "\u{fffd}Th\u{fffd}é");
}

#[test]
fn headers_are_checked() {
    for (from, to) in [
        ("\"self_size\",", ""),
        ("\"to_node\"", "\"to\""),
        ("\"node_count\":5", "\"node_count\":-5"),
        ("\"node_count\":5,", ""),
        ("\"meta\":{", "\"meta\":[{"),
    ] {
        let json = small().json().replace(from, to);
        let error = read(&json).unwrap_err();
        assert!(matches!(error, Error::Syntax { section: Section::Header, .. }), "{to}: {error}");
    }
    assert!(META.contains("location_fields"));
    let json = small().json().replace("\"node_count\"", "\"root_index\":99,\"node_count\"");
    assert!(matches!(read(&json), Err(Error::Inconsistent { section: Section::Header, .. })));
}

#[test]
fn other_files_are_refused_at_once() {
    for text in ["", "[]", "not json", "{}", "{\"head\":{}}", "\u{1f600}", "{\"snapshot\":"] {
        assert!(read(text).is_err(), "{text}");
        assert!(salvage(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn compressed_files_are_read_and_capped() {
    use std::io::{Read, Write};
    let json = small().json();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(Snapshot::read(&gzip[..]).unwrap().node_count(), 5);
    let cut = Snapshot::read(&gzip[..gzip.len() / 2]).unwrap_err();
    assert!(matches!(cut, Error::Truncated { .. }), "{cut}");
    let zstd = zstd::encode_all(json.as_bytes(), 1).unwrap();
    assert_eq!(Snapshot::read(&zstd[..]).unwrap().node_count(), 5);
    let small = LoadOptions::new().max_bytes(100).read(&zstd[..]).unwrap_err();
    assert!(matches!(small, Error::TooLarge { limit: 100, .. }), "{small}");

    // A file of white space that expands a thousandfold is stopped.
    let bomb = (&b"{"[..]).chain(std::io::repeat(b' ').take(66 << 20));
    let bomb = zstd::encode_all(bomb, 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.heapsnapshot.zst");
    std::fs::write(&path, bomb).unwrap();
    let error = Snapshot::open(&path).unwrap_err();
    assert!(matches!(error, Error::TooLarge { section: Section::File, .. }), "{error}");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    /// Gives the first half, then nothing, as a file does that somebody truncates.
    struct Shrinking<'a>(&'a [u8]);
    impl std::io::Read for Shrinking<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let take = self.0.len().min(buffer.len()).min(100);
            buffer[..take].copy_from_slice(&self.0[..take]);
            self.0 = &self.0[take..];
            Ok(take)
        }
    }
    let json = small().json();
    let half = &json.as_bytes()[..json.len() / 2];
    let error = Snapshot::read(Shrinking(half)).unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
    assert!(Snapshot::read(Shrinking(json.as_bytes())).is_ok());
}

#[test]
fn kinds_from_the_future_are_kept() {
    let json = small()
        .json()
        .replace("\"object shape\"]", "\"object shape\",\"novel\"]")
        .replace("\"shortcut\",\"weak\"]", "\"shortcut\",\"weak\",\"fresh\"]")
        .replace("3,2,9,30", "15,2,9,30")
        .replace("2,5,24", "7,5,24");
    let snapshot = read(&json).unwrap();
    assert_eq!(snapshot.kind_name(NodeOrdinal(4)), "novel");
    assert_eq!(snapshot.class_name(NodeOrdinal(4)), "(novel)");
    let edge = snapshot.edges(NodeOrdinal(3)).next().unwrap();
    assert_eq!((snapshot.edge_kind_name(edge), &*snapshot.edge_name(edge)), ("fresh", "c"));
    assert_eq!(snapshot.dominator(NodeOrdinal(4)), NodeOrdinal(2));
}
