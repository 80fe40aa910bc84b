use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Where the files of another machine are here.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// Node.js, wherever the process had it.
    pub(crate) program: Option<PathBuf>,
    /// Files or directories there, and the same ones here.
    pub(crate) map: Vec<(PathBuf, PathBuf)>,
}

impl Paths {
    /// What is closest to `path` in the map counts. `None` for a path that the kernel would not have written (d_path, fs/d_path.c):
    /// one that goes up may leave the directories of the map.
    pub(crate) fn find(&self, path: &[u8], is_program: bool) -> Option<PathBuf> {
        let path = Path::new(OsStr::from_bytes(path));
        let goes_up = path.components().any(|part| part == Component::ParentDir);
        if !path.is_absolute() || goes_up {
            return None;
        }
        let mapped = self.map.iter().filter_map(|(there, here)| {
            let rest = path.strip_prefix(there).ok()?;
            let here = if rest.as_os_str().is_empty() { here.clone() } else { here.join(rest) };
            Some((there.as_os_str().len(), here))
        });
        let mapped = mapped.max_by_key(|(length, _)| *length).map(|(_, here)| here);
        let program = self.program.clone().filter(|_| is_program);
        Some(program.or(mapped).unwrap_or_else(|| path.to_owned()))
    }
}

/// A program or library (ET_EXEC, ET_DYN). Another core is ELF too, and full of secrets.
pub(super) fn is_code(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") && matches!(bytes.get(16..18), Some([2 | 3, 0]))
}

/// Where the C library has what it maps that is no ELF file: a directory, and its last part.
const LOCALES: [(&str, &str); 4] = [
    ("/usr/lib/locale", "locale"),
    ("/usr/lib/x86_64-linux-gnu/gconv", "gconv"),
    ("/usr/lib64/gconv", "gconv"),
    ("/usr/lib/gconv", "gconv"),
];

/// A file of the C library's, that `here` is indeed: no link in its name leads elsewhere.
pub(super) fn is_locale(path: &[u8], here: &Path) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    let named = LOCALES.iter().find_map(|(directory, last)| {
        Some(Path::new(last).join(path.strip_prefix(directory).ok()?))
    });
    named.is_some_and(|named| here.canonicalize().is_ok_and(|real| real.ends_with(named)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, is_program: bool) -> Option<PathBuf> {
        let map = [("/", "/copy"), ("/usr/lib", "/lib/of/it"), ("/usr/lib/a.so", "/a.so")];
        let map = map.map(|(there, here)| (there.into(), here.into())).to_vec();
        Paths { program: Some("/here/node".into()), map }.find(path.as_bytes(), is_program)
    }

    #[test]
    fn the_closest_of_the_map_counts() {
        assert_eq!(find("/usr/lib/a.so", false).as_deref(), Some(Path::new("/a.so")));
        assert_eq!(find("/usr/lib/b.so", false).as_deref(), Some(Path::new("/lib/of/it/b.so")));
        assert_eq!(find("/usr/library", false).as_deref(), Some(Path::new("/copy/usr/library")));
    }

    #[test]
    fn the_program_is_where_it_is_said_to_be() {
        assert_eq!(find("/usr/lib/a.so", true).as_deref(), Some(Path::new("/here/node")));
    }

    #[test]
    fn without_a_map_a_file_is_where_it_was() {
        assert_eq!(
            Paths::default().find(b"/bin/node", true).as_deref(),
            Some(Path::new("/bin/node"))
        );
    }

    #[test]
    fn a_path_that_goes_up_is_none() {
        for path in
            ["/usr/../etc/shadow", "/usr/lib/locale/../../../etc/shadow", "usr/bin/node", ""]
        {
            assert_eq!(find(path, false), None, "{path}");
            assert_eq!(Paths::default().find(path.as_bytes(), true), None, "{path}");
        }
    }

    #[test]
    fn only_programs_libraries_and_locales_are_taken() {
        let of_type =
            |kind: u8| [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"[..], &[kind, 0]].concat();
        assert!(is_code(&of_type(2)) && is_code(&of_type(3)));
        assert!(!is_code(&of_type(4)), "a core");
        assert!(!is_code(b"\x7fELF") && !is_code(b"a secret that is long enough"));
        let taken = |path: &str, here: &Path| is_locale(path.as_bytes(), here);
        let directory =
            std::env::temp_dir().join(format!("heapdump-rs-paths-{}", std::process::id()));
        let locale = directory.join("usr/lib/locale");
        std::fs::create_dir_all(&locale).expect("a directory");
        let [archive, secret, link] =
            ["locale-archive", "../secret", "link"].map(|name| locale.join(name));
        std::fs::write(&archive, "names of months").expect("a file");
        std::fs::write(&secret, "a secret").expect("a file");
        std::os::unix::fs::symlink(&secret, &link).expect("a link");
        assert!(taken("/usr/lib/locale/locale-archive", &archive));
        assert!(!taken("/usr/lib/locale/link", &link), "it leads elsewhere");
        assert!(!taken("/usr/lib/secret", &secret));
        assert!(!taken("/usr/share/secret", &archive));
        std::fs::remove_dir_all(&directory).expect("it is there");
    }
}
