//! A stranger's program is not run with anybody's rights.

use super::call;
use crate::arch::number;
use crate::stop::Stop;

/// The user and group of nobody's (`/proc/sys/kernel/overflowuid`).
const NOBODY: usize = 65534;
const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_NO_NEW_PRIVS: usize = 38;
const SIGKILL: usize = 9;

/// The process ends with the one that started it.
pub fn end_with_parent() {
    // SAFETY: no memory is touched.
    let _ = unsafe { call(number::PRCTL, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0]) };
}

/// root becomes `user` and its group, or nobody, where they are there (not in a user namespace of one user), and has no other
/// groups then. Nobody keeps capabilities. Whether it became nobody.
///
/// # Errors
///
/// [`Stop::Refused`] where root can become nobody's by no way.
pub fn drop_privileges(user: Option<[u32; 2]>) -> Result<bool, Stop> {
    let mut is_nobody = false;
    let [to_user, to_group] = user.map_or([NOBODY; 2], |ids| ids.map(|id| id as usize));
    // SAFETY: none of these touches memory.
    unsafe {
        if call(number::GETUID, [0; 6]) == Ok(0) {
            let has_groups = call(number::SETGROUPS, [0; 6]).is_err()
                && call(number::GETGROUPS, [0; 6]) != Ok(0);
            let group = call(number::SETRESGID, [to_group, to_group, to_group, 0, 0, 0]);
            let changed = call(number::SETRESUID, [to_user, to_user, to_user, 0, 0, 0]);
            let became = group.and(changed).is_ok();
            if became && has_groups {
                return Err(Stop::Refused { what: "root cannot give up its groups", error: 0 });
            }
            is_nobody = became && to_user == NOBODY;
        }
        // Those that a user without root has been given (ambient ones), too.
        drop_capabilities()?;
        // The kernel forgets it with the user (commit_creds in kernel/cred.c).
        end_with_parent();
        match call(number::PRCTL, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0]) {
            Ok(_) => Ok(is_nobody),
            Err(error) => Err(Stop::Refused { what: "privileges cannot be given up", error }),
        }
    }
}

/// capset(2): none effective, permitted or inheritable.
fn drop_capabilities() -> Result<(), Stop> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0_u32; 6];
    let [header, none] = [header.as_ptr() as usize, none.as_ptr() as usize];
    // SAFETY: the two structures of capset(2), which are only read.
    match unsafe { call(number::CAPSET, [header, none, 0, 0, 0, 0]) } {
        Ok(_) => Ok(()),
        Err(error) => Err(Stop::Refused { what: "root cannot become nobody", error }),
    }
}
