//! The system calls that std does not offer: epoll, the thread's CPU time, pinning, timer slack.
//!
//! All `unsafe` of this crate is here. Each function is one call with its arguments checked; no policy.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Readable, or the peer is done, reported on change ("edge-triggered"); see [`Epoll::add`].
pub(crate) const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
/// Room to write, or the connection is made.
pub(crate) const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32;
/// The peer will send no more, or the connection is broken: read until the end.
pub(crate) const HANGUP: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;

/// Events taken from the kernel at once.
const BATCH: usize = 256;

/// An epoll instance and room for one batch of events.
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a negative result is an error, any other is a new descriptor that nobody else owns.
        #[expect(unsafe_code, reason = "std has no epoll")]
        let fd = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self { fd, events: Vec::with_capacity(BATCH) })
    }

    /// Registers a socket once, for its whole life: every change to readable, writable or hung up is one event.
    ///
    /// Edge-triggered: whoever gets an event reads until a short read (and to the very end after [`HANGUP`]), and
    /// writes until the kernel refuses. In return no request needs a call to change the registration.
    pub(crate) fn add(&self, socket: &impl AsRawFd, token: u64) -> io::Result<()> {
        let events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: both descriptors are open for the length of the call, `event` is a valid, initialised struct.
        #[expect(unsafe_code, reason = "std has no epoll")]
        let result = unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event)
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits up to `timeout_ns` for events, and says how many there are; 0 also after a signal.
    pub(crate) fn wait(&mut self, timeout_ns: u64) -> io::Result<usize> {
        let timeout = libc::timespec {
            tv_sec: (timeout_ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (timeout_ns % 1_000_000_000) as libc::c_long,
        };
        self.events.clear();
        // SAFETY: the buffer has room for BATCH events and the kernel writes at most BATCH; the timespec is valid,
        // a null signal mask means "do not change it".
        #[expect(unsafe_code, reason = "std has no epoll")]
        let count = unsafe {
            let count = libc::epoll_pwait2(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                BATCH as libc::c_int,
                &timeout,
                std::ptr::null(),
            );
            if count > 0 {
                self.events.set_len(count as usize); // the kernel has initialised that many
            }
            count
        };
        if count >= 0 {
            return Ok(count as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
    }

    /// Token and flags of the event `index` of the last [`wait`](Self::wait).
    pub(crate) fn event(&self, index: usize) -> (u64, u32) {
        let event = self.events[index];
        (event.u64, event.events)
    }
}

/// CPU time of the calling thread in nanoseconds, user and system.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer is valid for one timespec; all zero bytes are a valid timespec if the call should fail.
    #[expect(unsafe_code, reason = "std does not tell a thread's CPU time")]
    let time = unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr());
        time.assume_init()
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Lets the calling thread run on this CPU only.
pub(crate) fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: a zeroed cpu_set_t is the empty set; CPU_SET stays inside it because of the check above; 0 is the
    // calling thread.
    #[expect(unsafe_code, reason = "std cannot pin threads")]
    let result = unsafe {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes the calling thread's timers exact: the kernel may otherwise be 50 us late on purpose.
pub(crate) fn exact_timers() {
    // SAFETY: PR_SET_TIMERSLACK takes one integer; a failure changes nothing and costs accuracy only.
    #[expect(unsafe_code, reason = "std cannot set the timer slack")]
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
    }
}

/// Lets the kernel choose the port of a bound source address when the target is known: the same port may then serve
/// towards several targets.
pub(crate) fn bind_address_no_port(socket: &impl AsRawFd) {
    let on: libc::c_int = 1;
    // SAFETY: the pointer is valid for one c_int, whose size is given; a failure costs ports only.
    #[expect(unsafe_code, reason = "neither std nor socket2 has this option")]
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// Raises this process's limit of open files as far as it may, if fewer than `wanted` are allowed now.
pub(crate) fn allow_open_files(wanted: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are valid for one rlimit each; failures leave the limit as it was.
    #[expect(unsafe_code, reason = "std cannot change resource limits")]
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < wanted {
            limit.rlim_cur = limit.rlim_max.min(wanted);
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fd: RawFd = self.fd.as_raw_fd();
        f.debug_struct("Epoll").field("fd", &fd).finish_non_exhaustive()
    }
}
