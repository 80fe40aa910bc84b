//! Snapshots made while allocations were tracked: stacks, samples, and V8's odd count of functions.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test")]

mod common;

use common::small;
use heapsnapshot::{NodeOrdinal, Sample, Snapshot};

/// The small graph with a stack for the node 2, as Node 18 to 26 write it. V8 counts the functions
/// before it adds some.
fn tracked(functions: &str, tree: &str) -> String {
    let numbers =
        ["9,0,1,0,1,0,0", "3,1,3,100,1,0,0", "3,2,5,10,2,4,0", "3,2,7,20,1,3,0", "3,2,9,30,0,0,0"];
    let graph = small();
    let [_, _, strings] = graph.parts();
    let edges = "5,1,7,2,3,14,2,4,21,1,7,28,2,5,28";
    let meta = graph
        .header()
        .replace("\"detachedness\"", "\"trace_node_id\",\"detachedness\"")
        .replace(
            "\"location_fields\"",
            r#""trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],
            "trace_node_fields":["id","function_info_index","count","size","children"],
            "sample_fields":["timestamp_us","last_assigned_id"],"location_fields""#,
        )
        .replace("\"trace_function_count\":0", "\"trace_function_count\":2");
    format!(
        "{{\"snapshot\":{meta},\"nodes\":[{}],\"edges\":[{edges}],\"trace_function_infos\":[{functions}],\
         \"trace_tree\":[{tree}],\"samples\":[0,3,90210,9],\"locations\":[],\"strings\":[{strings}]}}",
        numbers.join(",")
    )
}

const FUNCTIONS: &str = "0,0,0,0,0,0, 7,3,5,81,9,4, 9,4,5,81,0,0";
const TREE: &str = "1,0,0,0,[2,1,3,60,[4,2,1,10,[]],3,1,1,20,[]]";

#[test]
fn the_stack_of_an_object_is_told_innermost_first() {
    let snapshot = Snapshot::read(tracked(FUNCTIONS, TREE).as_bytes()).unwrap();
    let stack = snapshot.allocation_stack(NodeOrdinal(2));
    let frames: Vec<_> =
        stack.iter().map(|f| (&*f.function, &*f.script, f.line, f.column)).collect();
    assert_eq!(frames, [("b", "c", 0, 0), ("a", "c", 9, 4), ("", "", 0, 0)]);
    assert_eq!(snapshot.allocation_stack(NodeOrdinal(3)).len(), 2);
    assert!(snapshot.allocation_stack(NodeOrdinal(4)).is_empty());
    assert_eq!(snapshot.trace_node_id(NodeOrdinal(2)), Some(4));
    assert_eq!(snapshot.trace_node_id(NodeOrdinal(4)), None);
}

#[test]
fn samples_and_the_tree_are_read_whatever_the_header_counts() {
    // The header counts two functions, the file has three, or none at all.
    for (functions, count) in [(FUNCTIONS, 3), ("", 0)] {
        let snapshot = Snapshot::read(tracked(functions, TREE).as_bytes()).unwrap();
        assert_eq!(snapshot.trace_functions().len(), count);
        let parents: Vec<_> = snapshot.trace_tree().iter().map(|node| node.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(1), Some(0)]);
        let sample = Sample { timestamp_us: 90210, last_assigned_id: 9 };
        assert_eq!(snapshot.samples().last(), Some(&sample));
        assert_eq!(snapshot.retained_size(NodeOrdinal(2)), 60);
        assert_eq!(snapshot.allocation_stack(NodeOrdinal(2)).len(), count);
    }
}

#[test]
fn a_tree_that_is_none_is_an_error_that_says_where() {
    for tree in ["1,0,0,[]", "1,0,0,0,0,[]", "1,0,0,0,[2,0,0,0]", "[]", "1,0,0,0,[]]"] {
        let error = Snapshot::read(tracked(FUNCTIONS, tree).as_bytes()).unwrap_err();
        assert!(
            error.to_string().contains("trace_tree") || tree.ends_with("]]"),
            "{tree}: {error}"
        );
    }
    // As deep as stacks get, and deeper.
    let deep = format!("{}{}", "1,0,0,0,[".repeat(100_000), "]".repeat(100_000));
    let snapshot = Snapshot::read(tracked(FUNCTIONS, &deep).as_bytes()).unwrap();
    assert_eq!(snapshot.trace_tree().len(), 100_000);
}
