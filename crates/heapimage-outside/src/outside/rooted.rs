//! The files of a process by their names, as it finds them. It may be anybody's, and this program root: no name leads out of the
//! process' own root, and nothing but a regular file is opened.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;

/// The root directory of a process.
pub(crate) struct Root(File);

/// A place that is looked at, and not opened.
const LOOK: libc::c_int = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;

impl Root {
    pub(crate) fn of(pid: i32) -> io::Result<Root> {
        Root::at(&format!("/proc/{pid}/root"))
    }

    fn at(path: &str) -> io::Result<Root> {
        let how = libc::O_PATH | libc::O_DIRECTORY;
        Ok(Root(OpenOptions::new().read(true).custom_flags(how).open(path)?))
    }

    /// A file below it. The kernel tells names of what is mapped without links in them (`d_path`, fs/d_path.c): where there is one by
    /// now, the file is another.
    pub(crate) fn open(&self, path: &str) -> io::Result<File> {
        let mut place = self.0.try_clone()?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if name == ".." {
                return Err(ErrorKind::InvalidInput.into());
            }
            place = below(&place, name)?;
        }
        if !place.metadata()?.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))
    }
}

fn below(directory: &File, name: &str) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: a text with a zero at its end, which is only read.
    match unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), LOOK) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it was opened just now, and nobody else has it.
        found => Ok(unsafe { File::from_raw_fd(found) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::{env, fs, process};

    #[test]
    fn no_name_leads_out_of_the_root() {
        let outside = env::temp_dir().join(format!("heapimage-rooted-{}", process::id()));
        let inside = outside.join("root/lib");
        fs::create_dir_all(&inside).expect("directories");
        fs::write(outside.join("secret"), "theirs").expect("a file");
        fs::write(inside.join("libc.so.6"), "its own").expect("a file");
        symlink(outside.join("secret"), inside.join("absolute")).expect("a link");
        symlink("../../secret", inside.join("relative")).expect("a link");
        symlink(&outside, inside.join("directory")).expect("a link");
        let root = Root::at(outside.join("root").to_str().expect("a path")).expect("a root");
        let mut text = String::new();
        root.open("/lib/libc.so.6").expect("it").read_to_string(&mut text).expect("text");
        assert_eq!(text, "its own");
        let others =
            ["/lib/absolute", "/lib/relative", "/lib/directory/secret", "/../secret", "/lib"];
        let found = others.map(|path| root.open(path).is_ok());
        fs::remove_dir_all(&outside).expect("them");
        assert_eq!(found, [false; 5]);
    }
}
