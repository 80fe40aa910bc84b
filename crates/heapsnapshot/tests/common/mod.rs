//! Small snapshots, made by hand.
#![allow(dead_code, reason = "each test file uses a part")]

/// The meta that Node 22 writes, without samples and traces.
pub const META: &str = r#"{"node_fields":["type","name","id","self_size","edge_count","detachedness"],"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],"location_fields":["object_index","script_id","line","column"]}"#;

pub const HIDDEN: u32 = 0;
pub const ARRAY: u32 = 1;
pub const STRING: u32 = 2;
pub const OBJECT: u32 = 3;
pub const CODE: u32 = 4;
pub const CLOSURE: u32 = 5;
pub const NATIVE: u32 = 8;
pub const SYNTHETIC: u32 = 9;

pub const CONTEXT: u32 = 0;
pub const ELEMENT: u32 = 1;
pub const PROPERTY: u32 = 2;
pub const INTERNAL: u32 = 3;
pub const NUMBERED: u32 = 4;
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

/// A graph that is made node by node, with functions and their scripts.
#[derive(Clone, Debug)]
pub struct Builder {
    graph: Graph,
    /// Node, script, line, column.
    places: Vec<(usize, usize, u32, u32)>,
    scripts: Vec<(&'static str, usize)>,
}

impl Builder {
    pub const ROOT: usize = 0;
    pub const GLOBAL: usize = 1;

    /// The root and the global object.
    pub fn new() -> Self {
        let graph = Graph { nodes: vec![(SYNTHETIC, 0, 0)], edges: Vec::new(), strings: vec![""] };
        let mut builder = Builder { graph, places: Vec::new(), scripts: Vec::new() };
        let global = builder.node(OBJECT, "global", 100);
        builder.edge(Self::ROOT, SHORTCUT, "global", global);
        builder
    }

    pub fn node(&mut self, kind: u32, name: &'static str, size: u64) -> usize {
        let name = self.string(name);
        self.graph.nodes.push((kind, u32::try_from(name).unwrap_or(0), size));
        self.graph.nodes.len() - 1
    }

    pub fn edge(&mut self, from: usize, kind: u32, name: &'static str, to: usize) {
        let name = self.string(name);
        self.graph.edges.push((from, kind, name, to));
    }

    pub fn element(&mut self, from: usize, index: usize, to: usize) {
        self.numbered(from, ELEMENT, index, to);
    }

    pub fn numbered(&mut self, from: usize, kind: u32, index: usize, to: usize) {
        self.graph.edges.push((from, kind, i64::try_from(index).unwrap_or(0), to));
    }

    /// A node that another one has as a property.
    pub fn property(
        &mut self,
        of: usize,
        name: &'static str,
        kind: u32,
        is: &'static str,
    ) -> usize {
        let node = self.node(kind, is, 100);
        self.edge(of, PROPERTY, name, node);
        node
    }

    /// The variables of a scope that is entered once.
    pub fn context(&mut self) -> usize {
        let context = self.node(OBJECT, "system / Context", 40);
        let scope = self.node(CODE, "system / ScopeInfo", 0);
        self.edge(context, INTERNAL, "scope_info", scope);
        context
    }

    /// A function of a script, in a scope.
    pub fn closure(
        &mut self,
        name: &'static str,
        (script, line, column): (&'static str, u32, u32),
        context: Option<usize>,
    ) -> usize {
        let closure = self.node(CLOSURE, name, 64);
        let shared = self.node(CODE, name, 0);
        let known = self.scripts.iter().position(|&(known, _)| known == script);
        let at = known.unwrap_or_else(|| {
            let node = self.node(CODE, script, 0);
            self.scripts.push((script, node));
            self.scripts.len() - 1
        });
        let node = self.scripts[at].1;
        self.edge(closure, INTERNAL, "shared", shared);
        self.edge(shared, INTERNAL, "script", node);
        if let Some(context) = context {
            self.edge(closure, INTERNAL, "context", context);
        }
        self.places.push((closure, at + 1, line - 1, column - 1));
        closure
    }

    /// Where the constructor of an object is.
    pub fn made_at(&mut self, object: usize, (script, line, column): (&'static str, u32, u32)) {
        let at = self.scripts.iter().position(|&(known, _)| known == script).unwrap_or(0);
        self.places.push((object, at + 1, line - 1, column - 1));
    }

    pub fn json(&self) -> String {
        let mut places = self.places.clone();
        places.sort_unstable();
        let places: Vec<String> = places
            .iter()
            .map(|(node, script, line, column)| format!("{},{script},{line},{column}", 6 * node))
            .collect();
        let locations = format!("\"locations\":[{}]", places.join(","));
        self.graph.json().replacen("\"locations\":[]", &locations, 1)
    }

    fn string(&mut self, text: &'static str) -> i64 {
        let known = self.graph.strings.iter().position(|&known| known == text);
        let at = known.unwrap_or_else(|| {
            self.graph.strings.push(text);
            self.graph.strings.len() - 1
        });
        i64::try_from(at).unwrap_or(0)
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
