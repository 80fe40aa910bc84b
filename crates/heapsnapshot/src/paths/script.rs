//! Scripts: whose they are, and what tells one from others.

use crate::packages::Origin;

/// Whose code a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptOwner {
    /// The application's own.
    Application,
    /// A package's: below a `node_modules`.
    Package,
    /// Node's own, which begins with `node:`.
    Node,
}

impl ScriptOwner {
    /// By the script's name, a path or a URL.
    #[must_use]
    pub fn of(script: &str) -> Self {
        match Origin::of_script(script) {
            Origin::Application => ScriptOwner::Application,
            Origin::Package { .. } => ScriptOwner::Package,
            Origin::Node | Origin::Unknown => ScriptOwner::Node,
        }
    }
}

/// What tells a script from others: all of the name of one of Node's own, a package's from the
/// package's name on, else the last part of a path or URL, with its directory before an `index.js`.
#[must_use]
pub fn file_name(script: &str) -> &str {
    let end = script.trim_end_matches(['/', '\\']);
    if end.starts_with("node:") {
        return end;
    }
    if let Some(name) = within_package(end) {
        return name;
    }
    let mut starts = end.rmatch_indices(['/', '\\']).map(|(at, _)| at + 1);
    let last = starts.next().unwrap_or(0);
    let is_index = end.get(last..).is_some_and(|name| name.starts_with("index."));
    let from = if is_index && last > 0 { starts.next().unwrap_or(0) } else { last };
    end.get(from..).unwrap_or(end)
}

/// What follows the last `node_modules`.
fn within_package(script: &str) -> Option<&str> {
    let mut parts = ["node_modules/", "node_modules\\"].into_iter();
    parts.find_map(|within| script.rsplit_once(within).map(|(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names() {
        assert_eq!(file_name("file:///srv/app/server.js"), "server.js");
        assert_eq!(file_name("C:\\app\\server.js"), "server.js");
        assert_eq!(file_name("node:events"), "node:events");
        assert_eq!(file_name("node:internal/modules/helpers"), "node:internal/modules/helpers");
        assert_eq!(file_name("file:///srv/app/routes/index.js"), "routes/index.js");
        assert_eq!(file_name("C:\\app\\index.mjs"), "app\\index.mjs");
        assert_eq!(file_name("index.js"), "index.js");
        let memory = "/srv/node_modules/a/node_modules/express-session/session/memory.js";
        assert_eq!(file_name(memory), "express-session/session/memory.js");
        assert_eq!(file_name("C:\\app\\node_modules\\@a\\b\\c.js"), "@a\\b\\c.js");
    }

    #[test]
    fn origins() {
        assert_eq!(ScriptOwner::of("node:internal/timers"), ScriptOwner::Node);
        assert_eq!(
            ScriptOwner::of("/srv/app/node_modules/ws/lib/websocket.js"),
            ScriptOwner::Package
        );
        assert_eq!(ScriptOwner::of("C:\\app\\node_modules\\ws\\index.js"), ScriptOwner::Package);
        assert_eq!(ScriptOwner::of("file:///srv/app/server.mjs"), ScriptOwner::Application);
        assert_eq!(ScriptOwner::of("evalmachine.<anonymous>"), ScriptOwner::Application);
    }
}
