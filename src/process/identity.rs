//! What this process and its machine are called.

/// gethostname(2).
#[cfg(unix)]
pub(crate) fn host_name() -> Option<String> {
    let mut name = [0_u8; 256];
    // SAFETY: the buffer is as long as it is said to be; the last byte stays 0, whatever is cut.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0;
    if failed { None } else { text(&name) }
}

/// What the environment calls this machine.
#[cfg(windows)]
pub(crate) fn host_name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}

/// `process.title`: what libuv keeps of it.
#[cfg(unix)]
pub(crate) fn title() -> Option<String> {
    type GetTitle = unsafe extern "C" fn(*mut libc::c_char, usize) -> libc::c_int;
    let mut title = [0_u8; 4096];
    // SAFETY: the name fixes this signature (uv.h); libuv locks what it reads and ends the text with a 0.
    let failed = unsafe {
        let get_title: GetTitle = super::uv_signal::find(c"uv_get_process_title")?;
        get_title(title.as_mut_ptr().cast(), title.len()) != 0
    };
    if failed { None } else { text(&title) }
}

/// The program's name: Windows' libuv is not looked up here.
#[cfg(windows)]
pub(crate) fn title() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    Some(program.file_stem()?.to_string_lossy().into_owned())
}

#[cfg(unix)]
fn text(buffer: &[u8]) -> Option<String> {
    let text = std::ffi::CStr::from_bytes_until_nul(buffer).ok()?;
    Some(text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_name() {
        assert!(host_name().is_some_and(|name| !name.is_empty()));
    }
}
