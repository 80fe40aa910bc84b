use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the files of another machine are here.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Node.js, wherever the process had it.
    pub(crate) program: Option<PathBuf>,
    /// Files or directories there, and the same ones here.
    pub(crate) map: Vec<(PathBuf, PathBuf)>,
}

impl Paths {
    /// What is closest to `path` in the map counts.
    pub(crate) fn find(&self, path: &[u8], is_program: bool) -> PathBuf {
        let path = Path::new(OsStr::from_bytes(path));
        let mapped = self.map.iter().filter_map(|(there, here)| {
            let rest = path.strip_prefix(there).ok()?;
            let here = if rest.as_os_str().is_empty() { here.clone() } else { here.join(rest) };
            Some((there.as_os_str().len(), here))
        });
        let mapped = mapped.max_by_key(|(length, _)| *length).map(|(_, here)| here);
        let program = self.program.clone().filter(|_| is_program);
        program.or(mapped).unwrap_or_else(|| path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, is_program: bool) -> PathBuf {
        let map = [("/", "/root"), ("/usr/lib", "/lib/of/it"), ("/usr/lib/a.so", "/a.so")];
        let map = map.map(|(there, here)| (there.into(), here.into())).to_vec();
        Paths { program: Some("/here/node".into()), map }.find(path.as_bytes(), is_program)
    }

    #[test]
    fn the_closest_of_the_map_counts() {
        assert_eq!(find("/usr/lib/a.so", false), Path::new("/a.so"));
        assert_eq!(find("/usr/lib/b.so", false), Path::new("/lib/of/it/b.so"));
        assert_eq!(find("/usr/library", false), Path::new("/root/usr/library"));
    }

    #[test]
    fn the_program_is_where_it_is_said_to_be() {
        assert_eq!(find("/usr/lib/a.so", true), Path::new("/here/node"));
    }

    #[test]
    fn without_a_map_a_file_is_where_it_was() {
        assert_eq!(Paths::default().find(b"/bin/node", true), Path::new("/bin/node"));
    }
}
