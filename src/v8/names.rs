//! Where V8 formats the names of a snapshot that it cannot take from the heap (`StringsStorage::GetVFormatted`).

use super::symbols::{self, TakeHeapSnapshot};
use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;

/// Addresses of V8's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameCode {
    /// `HeapProfiler::TakeHeapSnapshot`.
    pub(crate) take: usize,
    /// `base::OS::VSNPrintF`, from its first byte to behind its last. V8 formats by it alone, and exports it in all
    /// versions from Node 18 to 26.
    pub(crate) formatter: Range<usize>,
}

/// `None` where this V8 does not export them.
pub(crate) fn name_code() -> Option<NameCode> {
    const FORMATTER: &CStr = c"_ZN2v84base2OS9VSNPrintFEPciPKcP13__va_list_tag";
    const WITH_SYMBOL: c_int = 1;
    let take = match symbols::profiler().ok()?.take {
        TakeHeapSnapshot::WithOptions(take) => take as *const () as usize,
        TakeHeapSnapshot::Positional(take) => take as *const () as usize,
    };
    let formatter = symbols::lookup(FORMATTER);
    if formatter.is_null() {
        return None;
    }
    // SAFETY: both places are valid for what dladdr1(3) writes: with RTLD_DL_SYMENT, a pointer to the symbol's entry
    // in its object, which stays loaded.
    let size = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        let mut symbol: *mut c_void = std::ptr::null_mut();
        if libc::dladdr1(formatter, &raw mut info, &raw mut symbol, WITH_SYMBOL) == 0
            || info.dli_saddr != formatter
        {
            return None;
        }
        symbol.cast::<libc::Elf64_Sym>().as_ref()?.st_size
    };
    let start = formatter as usize;
    let size = usize::try_from(size).ok().filter(|&size| size > 0)?;
    Some(NameCode { take, formatter: start..start + size })
}
