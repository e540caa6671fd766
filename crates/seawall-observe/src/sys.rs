//! The one system call that /proc cannot replace, and the only unsafe code of this crate.
//!
//! `/proc/self/task/*` forgets what ended threads have used; `getrusage` does not.

use std::mem::MaybeUninit;

/// What the process has used since it began, ended threads included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_user_s: f64,
    pub(crate) cpu_sys_s: f64,
    pub(crate) ctx_switches_voluntary: u64,
    pub(crate) ctx_switches_involuntary: u64,
}

#[expect(unsafe_code, reason = "getrusage has no safe form in the standard library")]
pub(crate) fn usage() -> Usage {
    let mut raw = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage` that lives through the call, which writes nothing else.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_SELF, raw.as_mut_ptr()) };
    debug_assert_eq!(answer, 0, "RUSAGE_SELF with a valid pointer cannot fail");
    // SAFETY: zeroed memory is a valid `rusage` (integers only), whether or not the kernel has filled it.
    let raw = unsafe { raw.assume_init() };
    Usage {
        cpu_user_s: seconds(raw.ru_utime),
        cpu_sys_s: seconds(raw.ru_stime),
        ctx_switches_voluntary: raw.ru_nvcsw.unsigned_abs(),
        ctx_switches_involuntary: raw.ru_nivcsw.unsigned_abs(),
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_cpu() {
        let before = usage();
        let limit = crate::clock::now() + std::time::Duration::from_secs(60);
        while usage().cpu_user_s + usage().cpu_sys_s <= before.cpu_user_s + before.cpu_sys_s {
            assert!(crate::clock::now() < limit, "a busy minute used no CPU");
        }
    }
}
