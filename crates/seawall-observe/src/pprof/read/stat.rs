//! What `/proc/self/task/<tid>` says of a thread: its state, its CPU time, the system call it waits in.

/// A thread's state and how much CPU it has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The kernel's letter: `R` runs or wants to, `S` sleeps, `D` waits for a device.
    pub(crate) state: char,
    /// In ticks, its own and the kernel's on its behalf.
    pub(crate) ticks: u64,
}

/// `stat`: fields are counted from behind the name, which may hold anything.
pub(crate) fn stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let mut ticks = fields.skip(10).map(|field| field.parse::<u64>().ok());
    Some(Stat { state, ticks: ticks.next()?? + ticks.next()?? })
}

/// A state's letter in words.
pub(crate) fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running or ready",
        'S' => "sleeping",
        'D' => "in the kernel, uninterruptible",
        'T' | 't' => "stopped",
        'Z' | 'X' => "ended",
        'I' => "idle",
        _ => "unknown",
    }
}

/// The system call that a thread is in, and its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) argument: u64,
}

/// `syscall`: number and arguments, or `running`, or `-1` for a thread that waits outside of a call.
pub(crate) fn call(text: &str) -> Option<Call> {
    let mut fields = text.split_ascii_whitespace();
    let number = fields.next()?.parse().ok().filter(|number| *number >= 0)?;
    let argument = fields.next().and_then(|field| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok());
    Some(Call { number, argument: argument.unwrap_or(0) })
}

/// The calls that threads of services wait in.
pub(crate) fn call_name(number: i64) -> Option<&'static str> {
    const CALLS: [(libc::c_long, &str); 25] = [
        (libc::SYS_accept4, "accept4"),
        (libc::SYS_accept, "accept"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_epoll_pwait, "epoll_pwait"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_epoll_wait, "epoll_wait"),
        #[cfg(not(target_arch = "x86_64"))]
        (libc::SYS_epoll_pwait2, "epoll_pwait2"),
        (libc::SYS_fdatasync, "fdatasync"),
        (libc::SYS_flock, "flock"),
        (libc::SYS_fsync, "fsync"),
        (libc::SYS_futex, "futex"),
        (libc::SYS_io_uring_enter, "io_uring_enter"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_ppoll, "ppoll"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_poll, "poll"),
        #[cfg(not(target_arch = "x86_64"))]
        (libc::SYS_pselect6, "pselect6"),
        (libc::SYS_pread64, "pread64"),
        (libc::SYS_pwrite64, "pwrite64"),
        (libc::SYS_read, "read"),
        (libc::SYS_readv, "readv"),
        (libc::SYS_recvfrom, "recvfrom"),
        (libc::SYS_recvmsg, "recvmsg"),
        (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait"),
        (libc::SYS_sendmsg, "sendmsg"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_wait4, "wait4"),
        (libc::SYS_write, "write"),
    ];
    CALLS.iter().find(|(call, _)| *call == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_stands_behind_any_name() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194304 10 0 0 0 321 654 0 0 20 0 1 0 99 0 0";
        assert_eq!(stat(text), Some(Stat { state: 'S', ticks: 975 }));
        assert_eq!(stat("7 (x) S 1"), None);
        assert_eq!(stat("nonsense"), None);
    }
    #[test]
    fn a_call_has_a_number_and_an_argument() {
        let text = "202 0x7f5c 0x80 0x0 0x0 0x0 0x0 0x7ffd 0x7f61\n";
        assert_eq!(call(text), Some(Call { number: 202, argument: 0x7f5c }));
    }
    #[test]
    fn who_runs_or_only_waits_is_in_no_call() {
        assert_eq!(call("running\n"), None);
        assert_eq!(call("-1 0x7ffd 0x7f61\n"), None);
        assert_eq!(call(""), None);
    }
    #[test]
    fn calls_have_names() {
        assert_eq!(call_name(libc::SYS_futex), Some("futex"));
        assert_eq!(call_name(99_999), None);
    }
}
