//! From a script's path to the package that it is of.

/// Whose a script is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Outside of `node_modules`.
    Application,
    /// An npm package.
    Package {
        /// Its name, with the scope.
        name: String,
        /// Its version, where the path has it: with pnpm, Bun, Deno and Yarn from 2 on.
        version: Option<String>,
    },
    /// Node's own.
    Node,
    /// No script is known.
    Unknown,
}

impl Origin {
    /// The origin of a script by its path or URL.
    #[must_use]
    pub fn of_script(script: &str) -> Self {
        if script.starts_with("node:") {
            return Origin::Node;
        }
        let path = script.replace('\\', "/");
        match package(&path) {
            Some((name, version)) => Origin::Package { name, version },
            None => Origin::Application,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Application => f.write_str("(application)"),
            Origin::Package { name, version: None } => f.write_str(name),
            Origin::Package { name, version: Some(version) } => write!(f, "{name}@{version}"),
            Origin::Node => f.write_str("(node)"),
            Origin::Unknown => f.write_str("(unknown)"),
        }
    }
}

fn package(path: &str) -> Option<(String, Option<String>)> {
    const FOLDER: &str = "node_modules/";
    let at = path.rfind("/node_modules/").map(|at| at + 1);
    let at = at.or_else(|| path.starts_with(FOLDER).then_some(0))?;
    let rest = &path[at + FOLDER.len()..];
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let first = parts.next()?;
    // Yarn with `nodeLinker: pnpm` has no second node_modules.
    if first == ".store" {
        return yarn(parts.next()?);
    }
    let name = match first.starts_with('@') {
        true => format!("{first}/{}", parts.next()?),
        false => first.to_owned(),
    };
    let version = version(path[..at].trim_end_matches('/'), &name);
    Some((name, version))
}

/// The version that the folder above `node_modules` tells.
fn version(above: &str, name: &str) -> Option<String> {
    let (parents, folder) = above.rsplit_once('/')?;
    let store = parents.rsplit('/').next()?;
    if matches!(store, ".pnpm" | ".bun" | ".deno") {
        // `@scope+name@1.2.3_peer@4.5.6`, or with `(peer@4.5.6)`.
        let rest = folder.strip_prefix(&name.replace('/', "+"))?.strip_prefix('@')?;
        let version = rest.split(['_', '(']).next()?;
        return is_version(version).then(|| version.to_owned());
    }
    let (found, version) = yarn(folder)?;
    (found == name).then_some(version)?
}

/// `@scope-name-npm-1.2.3-rc.1-0123456789-8.zip`: name, version, a hash and sometimes the cache's key.
fn yarn(folder: &str) -> Option<(String, Option<String>)> {
    let (name, rest) = folder.rsplit_once("-npm-")?;
    let parts: Vec<&str> = rest.trim_end_matches(".zip").split('-').collect();
    let is_hash = |part: &&str| part.len() >= 10 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let hash = parts.iter().rposition(is_hash)?;
    let version = parts.get(..hash)?.join("-");
    let name = match name.strip_prefix('@') {
        Some(scoped) => format!("@{}", scoped.replacen('-', "/", 1)),
        None => name.to_owned(),
    };
    Some((name, is_version(&version).then_some(version)))
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_packages() {
        for (script, expected) in [
            ("/srv/app/server.js", "(application)"),
            ("file:///srv/app/server.mjs", "(application)"),
            ("evalmachine.<anonymous>", "(application)"),
            ("/srv/my-node_modules/x.js", "(application)"),
            ("node:internal/modules/cjs/loader", "(node)"),
            ("/srv/node_modules/express/lib/router/index.js", "express"),
            ("node_modules/ws/lib/websocket.js", "ws"),
            ("file:///srv/node_modules/@babel/core/lib/index.js", "@babel/core"),
            ("C:\\app\\node_modules\\a\\node_modules\\b\\index.js", "b"),
            (
                "/s/node_modules/.pnpm/lodash@4.17.21/node_modules/lodash/lodash.js",
                "lodash@4.17.21",
            ),
            (
                "/s/node_modules/.pnpm/@nestjs+core@10.0.0-rc.1_rxjs@7.8.1/node_modules/@nestjs/core/x.js",
                "@nestjs/core@10.0.0-rc.1",
            ),
            ("/s/node_modules/.pnpm/file+a+b/node_modules/lodash/lodash.js", "lodash"),
            (
                "/s/.yarn/cache/lodash-npm-4.17.21-6382451519-8.zip/node_modules/lodash/lodash.js",
                "lodash@4.17.21",
            ),
            (
                "/s/.yarn/__virtual__/core-virtual-0123456789/0/cache/@babel-core-npm-7.0.0-beta.1-\
                 f0f1f2f3f4-10c0.zip/node_modules/@babel/core/x.js",
                "@babel/core@7.0.0-beta.1",
            ),
            (
                "/s/.yarn/unplugged/bcrypt-npm-5.1.0-13c5d5b3b1/node_modules/bcrypt/b.js",
                "bcrypt@5.1.0",
            ),
            ("/s/node_modules/.store/ws-npm-8.1.0-0123456789/package/index.js", "ws@8.1.0"),
            ("/s/node_modules/.bun/ws@8.1.0/node_modules/ws/index.js", "ws@8.1.0"),
            ("/s/node_modules/", "(application)"),
        ] {
            assert_eq!(Origin::of_script(script).to_string(), expected, "{script}");
        }
    }
}
