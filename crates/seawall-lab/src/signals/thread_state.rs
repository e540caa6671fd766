//! What a thread is doing at one moment, out of three lines of `/proc/PID/task/TID`. Pure.
//!
//! Many looks at a thread make an off-CPU profile without any privilege beyond that of a debugger: `stat` has the state,
//! `wchan` the function of the kernel that it waits in, `syscall` the call with its arguments.
//!
//! A wait for a lock is told from a wait for work by the arguments of `futex`: glibc's mutexes and those of Rust's
//! standard library write 2 into a contended lock and wait, without a time limit, for it to change. Condition variables
//! wait for a counter, parked threads for another value, and idle threads of a pool with a time limit. What this cannot
//! see: locks of `parking_lot` and of Go look like parked threads.

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThreadState {
    /// On a CPU or ready for one.
    Running,
    /// Waiting for a lock.
    Lock,
    /// Sleeping for a time.
    Sleep,
    /// In a blocking call on a socket that is not a client's, on a pipe or a file.
    Io,
    /// In an uninterruptible wait, most often for a disk.
    Disk,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Waiting for events of many sockets: epoll, poll, select.
    Events,
    /// Waiting for one client: accept, or the next request of a connection.
    Client,
    /// Waiting for work with a time limit: an idle thread of a pool.
    PoolIdle,
    /// Waiting for work, or for another thread.
    Parked,
}

/// The system call that a thread waits in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

/// What a look at a thread showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What it is doing.
    pub state: ThreadState,
    /// The address of the lock that it waits for.
    pub lock: Option<u64>,
    /// It waits on this descriptor: whoever knows the descriptors knows whether that is idleness.
    pub descriptor: Option<i32>,
}

/// `FUTEX_WAIT`, `FUTEX_WAIT_BITSET` without their flags.
const FUTEX_WAITS: [u64; 2] = [0, 9];
/// `FUTEX_LOCK_PI`, `FUTEX_LOCK_PI2`.
const FUTEX_LOCKS: [u64; 2] = [6, 13];
/// `FUTEX_PRIVATE_FLAG` and `FUTEX_CLOCK_REALTIME`.
const FUTEX_FLAGS: u64 = 128 | 256;
/// What glibc and Rust's standard library write into a lock that somebody waits for.
const CONTENDED: u64 = 2;

/// Reads `/proc/PID/task/TID/syscall`. None while the thread runs, or where we may not look.
pub fn system_call(text: &str) -> Option<SystemCall> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(SystemCall { number, arguments })
}

/// The letter behind the name in `/proc/PID/task/TID/stat`.
pub fn letter(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Says what a thread is doing: `letter` of its stat, its `wchan`, its system call if readable.
pub fn classify(letter: char, wchan: &str, call: Option<&SystemCall>) -> Look {
    let of = |state| Look { state, lock: None, descriptor: None };
    match letter {
        'R' => of(ThreadState::Running),
        'D' => of(ThreadState::Disk),
        'T' | 't' => of(ThreadState::Stopped),
        _ => waiting(wchan.trim(), call),
    }
}

fn waiting(wchan: &str, call: Option<&SystemCall>) -> Look {
    let begins = |names: &[&str]| names.iter().any(|name| wchan.starts_with(name));
    let of = |state| Look { state, lock: None, descriptor: None };
    if begins(&["futex"]) {
        return call.map_or(of(ThreadState::Parked), futex);
    }
    if begins(&["hrtimer_nanosleep", "do_nanosleep", "common_nsleep"]) {
        return of(ThreadState::Sleep);
    }
    if begins(&["ep_poll", "do_epoll", "do_sys_poll", "do_poll", "do_select", "poll_schedule", "io_cqring"]) {
        return of(ThreadState::Events);
    }
    if begins(&["inet_csk_accept", "inet_csk_wait_for_connect", "unix_accept", "unix_wait_for_peer"]) {
        return of(ThreadState::Client);
    }
    let on_descriptor = [
        "sk_wait",
        "wait_woken",
        "tcp_",
        "unix_stream",
        "__skb_wait",
        "skb_wait",
        "sock_",
        "inet_wait",
        "inet_stream",
        "pipe_",
        "anon_pipe",
        "n_tty",
        "eventfd",
    ];
    if begins(&on_descriptor) {
        let descriptor = call.and_then(|call| i32::try_from(call.arguments[0]).ok());
        return Look { state: ThreadState::Io, lock: None, descriptor };
    }
    let on_disk =
        ["jbd2", "folio_wait", "wait_on_page", "io_schedule", "submit_bio", "blk_", "ext4_", "xfs_", "fsync"];
    if begins(&on_disk) {
        return of(ThreadState::Disk);
    }
    of(ThreadState::Parked)
}

fn futex(call: &SystemCall) -> Look {
    let [address, operation, value, limit, ..] = call.arguments;
    let operation = operation & !FUTEX_FLAGS;
    let waits_for_lock = FUTEX_LOCKS.contains(&operation)
        || (FUTEX_WAITS.contains(&operation) && limit == 0 && value == CONTENDED);
    let state = match (waits_for_lock, limit) {
        (true, _) => ThreadState::Lock,
        (false, 0) => ThreadState::Parked,
        (false, _) => ThreadState::PoolIdle,
    };
    Look { state, lock: waits_for_lock.then_some(address), descriptor: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(letter: char, wchan: &str, call: &str, expected: ThreadState) {
        assert_eq!(classify(letter, wchan, system_call(call).as_ref()).state, expected, "{wchan} {call}");
    }

    #[test]
    fn a_thread_on_a_cpu_runs() {
        check('R', "0", "running", ThreadState::Running);
    }
    #[test]
    fn a_contended_lock_of_the_standard_library() {
        let call = "202 0x55ef0247de40 0x89 0x2 0x0 0x0 0xffffffff 0x7fdae6f1e950 0x7fdae7ca3f16";
        check('S', "futex_do_wait", call, ThreadState::Lock);
        assert_eq!(
            classify('S', "futex_do_wait", system_call(call).as_ref()).lock,
            Some(0x55ef_0247_de40),
            "and which lock it is"
        );
    }
    #[test]
    fn a_contended_lock_of_glibc() {
        let call = "202 0x7f00 0x80 0x2 0x0 0x0 0x0 0x7fdae6f1e950 0x7fdae7ca3f16";
        check('S', "futex_wait_queue", call, ThreadState::Lock);
    }
    #[test]
    fn a_condition_variable_is_no_lock() {
        let call = "202 0x55ef0247de40 0x89 0x1f 0x0 0x0 0xffffffff 0x7f 0x7f";
        check('S', "futex_do_wait", call, ThreadState::Parked);
    }
    #[test]
    fn a_wait_with_a_limit_is_an_idle_thread_of_a_pool() {
        let call = "202 0x55ef0247de40 0x89 0x2 0x7f00 0x0 0xffffffff 0x7f 0x7f";
        check('S', "futex_do_wait", call, ThreadState::PoolIdle);
    }
    #[test]
    fn a_futex_that_we_may_not_look_into_is_no_lock() {
        check('S', "futex_do_wait", "", ThreadState::Parked);
    }
    #[test]
    fn a_sleep() {
        check('S', "hrtimer_nanosleep", "230 0x1 0x1 0x7f 0x0 0x0 0x0 0x7f 0x7f", ThreadState::Sleep);
    }
    #[test]
    fn an_event_loop_waits_for_events() {
        check('S', "ep_poll", "", ThreadState::Events);
    }
    #[test]
    fn a_read_names_its_descriptor() {
        let call = "0 0x9 0x7f 0x1000 0x0 0x0 0x0 0x7f 0x7f";
        let look = classify('S', "sk_wait_data", system_call(call).as_ref());
        assert_eq!((look.state, look.descriptor), (ThreadState::Io, Some(9)));
    }
    #[test]
    fn an_uninterruptible_wait_is_a_disk() {
        check('D', "folio_wait_bit_common", "", ThreadState::Disk);
    }
    #[test]
    fn the_letter_stands_behind_a_name_with_parentheses() {
        assert_eq!(letter("7 (a) b) S 1 2"), Some('S'));
        assert_eq!(letter("7"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(stat: String, wchan: String, call: String) {
            let call = system_call(&call);
            let _ = classify(letter(&stat).unwrap_or('S'), &wchan, call.as_ref());
        }
    }
}
