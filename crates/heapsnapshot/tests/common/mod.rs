//! Small snapshots, made by hand.
#![allow(dead_code, reason = "each test file uses a part")]

/// The meta that Node 22 writes, without samples and traces.
pub const META: &str = r#"{"node_fields":["type","name","id","self_size","edge_count","detachedness"],"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],"location_fields":["object_index","script_id","line","column"]}"#;

pub const OBJECT: u32 = 3;
pub const CODE: u32 = 4;
pub const CLOSURE: u32 = 5;
pub const NATIVE: u32 = 8;
pub const SYNTHETIC: u32 = 9;

pub const CONTEXT: u32 = 0;
pub const ELEMENT: u32 = 1;
pub const PROPERTY: u32 = 2;
pub const INTERNAL: u32 = 3;
pub const SHORTCUT: u32 = 5;
pub const WEAK: u32 = 6;

/// A graph to be written as a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Kind, name, size.
    pub nodes: Vec<(u32, u32, u64)>,
    /// From, kind, name or index, to.
    pub edges: Vec<(usize, u32, i64, usize)>,
    pub strings: Vec<&'static str>,
}

impl Graph {
    pub fn json(&self) -> String {
        let [nodes, edges, strings] = self.parts();
        format!(
            "{{\"snapshot\":{},\n\"nodes\":[{nodes}],\n\"edges\":[{edges}],\n\"locations\":[],\n\
             \"strings\":[{strings}]}}",
            self.header()
        )
    }

    pub fn header(&self) -> String {
        format!(
            "{{\"meta\":{META},\"node_count\":{},\"edge_count\":{},\"trace_function_count\":0}}",
            self.nodes.len(),
            self.edges.len()
        )
    }

    /// The contents of `nodes`, `edges` and `strings`.
    pub fn parts(&self) -> [String; 3] {
        let mut nodes = Vec::new();
        let mut edges = Vec::new();
        for (ordinal, &(kind, name, size)) in self.nodes.iter().enumerate() {
            let own: Vec<_> = self.edges.iter().filter(|edge| edge.0 == ordinal).collect();
            nodes.push(format!("{kind},{name},{},{size},{},0", 2 * ordinal + 1, own.len()));
            for &&(_, kind, name, to) in &own {
                edges.push(format!("{kind},{name},{}", 6 * to));
            }
        }
        let strings: Vec<String> = self.strings.iter().map(|text| format!("\"{text}\"")).collect();
        [nodes.join("\n,"), edges.join("\n,"), strings.join(",\n")]
    }
}

/// The root, a global object, and under it `a` → `b`, and `c` that both hold.
pub fn small() -> Graph {
    Graph {
        nodes: vec![
            (SYNTHETIC, 0, 0),
            (OBJECT, 1, 100),
            (OBJECT, 2, 10),
            (OBJECT, 2, 20),
            (OBJECT, 2, 30),
        ],
        edges: vec![
            (0, SHORTCUT, 1, 1),
            (1, PROPERTY, 3, 2),
            (2, PROPERTY, 4, 3),
            (2, ELEMENT, 7, 4),
            (3, PROPERTY, 5, 4),
        ],
        strings: vec!["", "global", "Thing", "a", "b", "c"],
    }
}
