//! A timer on the CPU clock of one thread: it ticks while the thread computes or is in the kernel, and stands still while
//! it sleeps.
//!
//! The kernel looks at these clocks with its own tick (250 Hz or so), hence a rate above that is not kept. Timers of the
//! whole process (`ITIMER_PROF`) would undercount with several busy cores: only one signal can be pending.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// A running timer. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Timer(libc::timer_t);

impl Timer {
    /// SIGPROF to `thread`, whenever it has used another `period` of CPU.
    ///
    /// # Errors
    /// If there is no such thread, or no room for another timer (`RLIMIT_SIGPENDING`).
    #[expect(unsafe_code, reason = "std has no timers on the clocks of threads")]
    pub(crate) fn start(thread: u32, period: Duration) -> io::Result<Self> {
        // SAFETY: zeroes are a valid `sigevent` (integers and a pointer that nobody follows).
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGPROF;
        event.sigev_notify_thread_id = thread.cast_signed();
        let mut timer = MaybeUninit::uninit();
        // SAFETY: `event` is whole, and `timer` is where the call puts the new timer's name.
        let answer = unsafe { libc::timer_create(cpu_clock(thread), &mut event, timer.as_mut_ptr()) };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it has written the name.
        let timer = Self(unsafe { timer.assume_init() });
        let each = libc::timespec {
            tv_sec: period.as_secs().cast_signed(),
            tv_nsec: i64::from(period.subsec_nanos()),
        };
        let times = libc::itimerspec { it_interval: each, it_value: each };
        // SAFETY: the timer is ours and alive; `times` is whole; the old times are not asked for.
        match unsafe { libc::timer_settime(timer.0, 0, &times, std::ptr::null_mut()) } {
            0 => Ok(timer),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Timer {
    #[expect(unsafe_code, reason = "what was made has to be deleted")]
    fn drop(&mut self) {
        // SAFETY: the timer is ours, and nobody uses it after this.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The kernel's name for the CPU clock of a thread: the inverted thread number, "of a thread", "as the scheduler counts".
fn cpu_clock(thread: u32) -> libc::clockid_t {
    (!thread.cast_signed()) << 3 | 4 | 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clocks_name_holds_the_thread() {
        assert_eq!(cpu_clock(1), -10);
        assert_eq!((cpu_clock(4_321) >> 3, cpu_clock(4_321) & 7), (!4_321, 6));
    }
    #[test]
    fn a_thread_that_is_not_there_has_no_timer() {
        // Thread numbers end at four million.
        assert!(Timer::start(0x3fff_ffff, Duration::from_millis(10)).is_err());
    }
}
