//! One source map: the places of a script in the order of its text, and what they come from.
//! The format: ECMA-426.

use oxc_sourcemap::{JSONSourceMap, SourceMap};
use serde::Deserialize;

/// A decoded map, those with sections too.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// By line and column of the script, from 0.
    tokens: Vec<Token>,
    sources: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    line: u32,
    column: u32,
    /// The source's index with line and column there; `None` for what comes from nowhere.
    from: Option<(u32, u32, u32)>,
}

/// A place in a source, counted from 0.
pub(super) struct Original<'a> {
    pub(super) source: &'a String,
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Json {
    Sections { sections: Vec<JsonSection> },
    Plain(JsonMap),
}

#[derive(Deserialize)]
struct JsonSection {
    offset: JsonOffset,
    map: JsonMap,
}

#[derive(Deserialize)]
struct JsonOffset {
    line: u32,
    column: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonMap {
    version: u32,
    mappings: String,
    source_root: Option<String>,
    sources: Vec<Option<String>>,
    #[serde(default)]
    names: Vec<String>,
}

impl Map {
    /// Reads a map; `None` if it is none. `resolve` makes a path of a source's name.
    pub(super) fn read(json: &[u8], resolve: impl Fn(&str) -> String) -> Option<Self> {
        // Against scripts that read JSON of others, some servers put this first.
        let json = json.strip_prefix(b")]}'").unwrap_or(json);
        let mut map = Map::default();
        match serde_json::from_slice(json).ok()? {
            Json::Plain(plain) => map.add(plain, (0, 0), &resolve)?,
            Json::Sections { sections } => {
                for section in sections {
                    let offset = (section.offset.line, section.offset.column);
                    map.add(section.map, offset, &resolve)?;
                }
            }
        }
        map.tokens.sort_by_key(|token| (token.line, token.column));
        Some(map)
    }

    /// What a place of the script comes from: the last one that is told before it in its line.
    pub(super) fn original(&self, line: u32, column: u32) -> Option<Original<'_>> {
        let after =
            self.tokens.partition_point(|token| (token.line, token.column) <= (line, column));
        let token = self.tokens.get(after.checked_sub(1)?).filter(|token| token.line == line)?;
        let (source, line, column) = token.from?;
        Some(Original { source: self.sources.get(source as usize)?, line, column })
    }

    fn add(
        &mut self,
        json: JsonMap,
        (line, column): (u32, u32),
        resolve: &impl Fn(&str) -> String,
    ) -> Option<()> {
        let first = u32::try_from(self.sources.len()).ok()?;
        let root = json.source_root.unwrap_or_default();
        let root = if root.is_empty() || root.ends_with('/') { root } else { root + "/" };
        let named = json.sources.iter().map(|source| source.as_deref().unwrap_or_default());
        self.sources.extend(named.map(|source| resolve(&format!("{root}{source}"))));
        let map = SourceMap::from_json(JSONSourceMap {
            version: json.version,
            file: None,
            mappings: json.mappings,
            source_root: None,
            sources: json.sources.into_iter().map(Option::unwrap_or_default).collect(),
            sources_content: None,
            names: json.names,
            debug_id: None,
            x_google_ignore_list: None,
        });
        self.tokens.extend(map.ok()?.get_tokens().map(|token| {
            let from = token.get_source_id();
            let moved = if token.get_dst_line() == 0 { column } else { 0 };
            Token {
                line: token.get_dst_line().saturating_add(line),
                column: token.get_dst_col().saturating_add(moved),
                from: from.map(|id| (first + id, token.get_src_line(), token.get_src_col())),
            }
        }));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn place(map: &Map, line: u32, column: u32) -> Option<(String, u32, u32)> {
        map.original(line, column).map(|found| (found.source.clone(), found.line, found.column))
    }

    #[test]
    fn places_come_from_the_last_one_told_in_their_line() {
        // Line 0: column 4 is line 0, column 2; column 8 is from nowhere. Line 2: column 0 is line 1, column 0.
        let json = br#"{"version":3,"sourceRoot":"src","sources":["a.ts",null],"mappings":"IAAE,I;;AACF"}"#;
        let map = Map::read(json, str::to_owned).unwrap();
        let source = || "src/a.ts".to_owned();
        assert_eq!(place(&map, 0, 3), None);
        assert_eq!(place(&map, 0, 7), Some((source(), 0, 2)));
        assert_eq!(place(&map, 0, 8), None);
        assert_eq!(place(&map, 1, 0), None);
        assert_eq!(place(&map, 2, 9), Some((source(), 1, 0)));
    }

    #[test]
    fn sections_are_moved_to_their_places() {
        let json = br#"{"version":3,"sections":[
            {"offset":{"line":0,"column":0},"map":{"version":3,"sources":["a.ts"],"mappings":"AAAA"}},
            {"offset":{"line":1,"column":5},"map":{"version":3,"sources":["b.ts"],"mappings":"AAAA;AACA"}}]}"#;
        let map = Map::read(json, str::to_owned).unwrap();
        assert_eq!(place(&map, 0, 1), Some(("a.ts".to_owned(), 0, 0)));
        assert_eq!(place(&map, 1, 4), None);
        assert_eq!(place(&map, 1, 5), Some(("b.ts".to_owned(), 0, 0)));
        assert_eq!(place(&map, 2, 0), Some(("b.ts".to_owned(), 1, 0)));
    }

    #[test]
    fn what_is_no_map_is_none() {
        for json in ["", "{}", r#"{"version":3,"sources":[],"mappings":"AAAA"}"#, "\u{fffd}"] {
            assert!(Map::read(json.as_bytes(), str::to_owned).is_none(), "{json}");
        }
    }
}
