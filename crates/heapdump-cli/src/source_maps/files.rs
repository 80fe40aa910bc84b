//! Where a script's map is.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::map::Map;

/// Larger files are no scripts and no maps.
const LARGEST: u64 = 1 << 30;

/// What a script says about its map begins so; the first is the older form.
const COMMENTS: [&str; 2] = ["//@ sourceMappingURL=", "//# sourceMappingURL="];

/// The map of a script by its name in the snapshot: a path or a `file:` URL.
pub(super) fn find(script: &str, root: Option<&Path>) -> Option<Map> {
    let path = path_of(script)?;
    let copies = root.map_or_else(Vec::new, |root| copies(&path, root));
    std::iter::once(path.clone()).chain(copies).find_map(|file| map_beside(&file, &path))
}

/// The map of a file that may be a copy of the script at `path`.
fn map_beside(file: &Path, path: &Path) -> Option<Map> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let url = read(file).and_then(|text| url_in(&String::from_utf8_lossy(&text)));
    if let Some(url) = &url {
        if let Some(data) = url.strip_prefix("data:") {
            return Map::read(&decode(data)?, |source| resolve(folder, source));
        }
        let name = percent_decode(url);
        if let Some(json) = read(&file.parent()?.join(&name)) {
            // The sources are relative to the map.
            let folder = folder.join(Path::new(&name).parent()?);
            return Map::read(&json, |source| resolve(&folder, source));
        }
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(".map");
    Map::read(&read(Path::new(&beside))?, |source| resolve(folder, source))
}

/// The paths that a copy of a file may have below a directory: under all of its path first, under its
/// name alone last.
fn copies(path: &Path, root: &Path) -> Vec<PathBuf> {
    let is_name = |part: &Component<'_>| matches!(part, Component::Normal(_));
    let parts: Vec<Component<'_>> = path.components().filter(is_name).collect();
    (0..parts.len()).map(|from| root.join(parts[from..].iter().collect::<PathBuf>())).collect()
}

/// The last comment counts, as in V8 and in browsers.
fn url_in(text: &str) -> Option<String> {
    let starts = COMMENTS.iter().filter_map(|comment| Some(text.rfind(comment)? + comment.len()));
    let rest = &text[starts.max()?..];
    let url = rest.split(char::is_whitespace).next().unwrap_or_default();
    (!url.is_empty()).then(|| url.to_owned())
}

/// What follows `data:`.
fn decode(data: &str) -> Option<Vec<u8>> {
    let (kind, text) = data.split_once(',')?;
    if kind.ends_with(";base64") {
        return base64_simd::forgiving_decode_to_vec(text.as_bytes()).ok();
    }
    Some(percent_decode(text).into_bytes())
}

/// A source's path: as it is if it says where it is, else relative to a folder.
fn resolve(folder: &Path, source: &str) -> String {
    if let Some(path) = source.strip_prefix("file://") {
        return percent_decode(path);
    }
    if source.contains("://") {
        return source.to_owned();
    }
    let mut path = PathBuf::new();
    for part in folder.join(source).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if path.file_name().is_some() => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path.to_string_lossy().into_owned()
}

fn path_of(script: &str) -> Option<PathBuf> {
    let Some(path) = script.strip_prefix("file://") else {
        let is_path = !script.is_empty() && !script.contains("://") && !script.starts_with("node:");
        return is_path.then(|| script.into());
    };
    let path = percent_decode(path);
    // `file:///C:/app` is `C:/app`.
    let drive = path.strip_prefix('/').filter(|rest| rest.get(1..2) == Some(":"));
    Some(drive.unwrap_or(&path).into())
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                decoded.push(code);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What is no file, or cannot be read, is not there.
fn read(path: &Path) -> Option<Vec<u8>> {
    let meta = path.metadata().ok().filter(|meta| meta.is_file() && meta.len() <= LARGEST)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).ok()?);
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn the_last_comment_counts() {
        let text = "'//# sourceMappingURL=a.map'\n//@ sourceMappingURL=b.map\n//# sourceMappingURL=c.js.map \n";
        assert_eq!(url_in(text).unwrap(), "c.js.map");
        assert_eq!(url_in("no comment"), None);
    }

    #[test]
    fn data_urls() {
        assert_eq!(
            decode("application/json;charset=utf-8;base64,eyJhIjoxfQ==").unwrap(),
            b"{\"a\":1}"
        );
        assert_eq!(decode("application/json,%7B%22a%22:1%7D").unwrap(), b"{\"a\":1}");
        assert_eq!(decode("application/json;base64,!"), None);
    }

    #[test]
    fn sources_are_relative_to_the_map() {
        let resolved = |source| resolve(Path::new("/srv/app/dist"), source);
        assert_eq!(resolved("../src/./a.ts"), "/srv/app/src/a.ts");
        assert_eq!(resolved("/src/a.ts"), "/src/a.ts");
        assert_eq!(resolved("webpack://app/./src/a.ts"), "webpack://app/./src/a.ts");
        assert_eq!(resolved("file:///srv/a%20b.ts"), "/srv/a b.ts");
    }

    #[test]
    fn scripts_are_paths_or_urls_of_files() {
        assert_eq!(path_of("file:///srv/a%20b.mjs").unwrap(), Path::new("/srv/a b.mjs"));
        assert_eq!(path_of("file:///C:/app/a.js").unwrap(), Path::new("C:/app/a.js"));
        assert_eq!(path_of("/srv/a.js").unwrap(), Path::new("/srv/a.js"));
        assert!(path_of("node:fs").is_none() && path_of("https://a/b.js").is_none());
        assert!(path_of("").is_none());
    }
}
