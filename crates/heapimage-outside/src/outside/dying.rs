//! Where this program ends itself, for a test of what becomes of the target. Without the feature `dying`: nowhere.

/// `HEAPDUMP_OUTSIDE_DIES=CALL.PLACE`: at that place of that injected call, as if by SIGKILL.
#[cfg(feature = "dying")]
pub(crate) fn may_die(call: u32, place: u32) {
    let wanted = std::env::var("HEAPDUMP_OUTSIDE_DIES").unwrap_or_default();
    if wanted == format!("{call}.{place}") {
        super::ptrace::end(i32::try_from(std::process::id()).unwrap_or(0));
    }
}

#[cfg(not(feature = "dying"))]
pub(crate) fn may_die(_call: u32, _place: u32) {}
