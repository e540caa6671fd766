//! The system calls that neither /proc nor std can replace, of all parts but the profiler, which has its own in
//! `pprof/sys/`.
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

/// Nanoseconds of the kernel's monotonic clock, which its performance events have too.
#[cfg(feature = "pprof")]
#[expect(unsafe_code, reason = "std does not tell the number behind an `Instant`")]
pub(crate) fn monotonic_nanos() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer is to a whole `timespec` that lives through the call, which writes nothing else.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    debug_assert_eq!(answer, 0, "a known clock with a valid pointer cannot fail");
    // SAFETY: zeroed memory is a valid `timespec` (integers only), whether or not the kernel has filled it.
    let time = unsafe { time.assume_init() };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The kernel's number of the calling thread.
#[cfg(feature = "pprof")]
#[expect(unsafe_code, reason = "std has numbers of its own for threads, which /proc does not know")]
pub(crate) fn thread_id() -> u32 {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
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
