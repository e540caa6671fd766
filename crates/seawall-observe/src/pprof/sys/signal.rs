//! The signal that makes a thread write down its own stack.
//!
//! SIGPROF arrives from a thread's timer (a CPU profile) or from us (somebody asks where the thread is). The handler
//! walks the frame pointers and puts the addresses into a [`Ring`]; that is all it does: no lock, no allocation, no
//! unwinder, and `errno` is put back. It is installed once and for ever, since a signal that arrives after a profile has
//! ended would otherwise end the process. With no ring there, it does nothing.

use std::sync::OnceLock;

use super::super::ring::Ring;
use super::walk::{Registers, walk};

/// Filled by timers.
static TICKS: OnceLock<Ring> = OnceLock::new();
/// Filled by threads that were asked.
static ANSWERS: OnceLock<Ring> = OnceLock::new();

/// Slots, a kilobyte each: a tenth of a second of a hundred busy cores at 99 Hz.
const TICK_SLOTS: usize = 2_048;
/// As many threads as are asked at once.
pub(crate) const ANSWER_SLOTS: usize = 1_024;

/// The ring that timers fill; one profile at a time reads it.
pub(crate) fn ticks() -> Result<&'static Ring, String> {
    install()?;
    Ok(TICKS.get_or_init(|| Ring::new(TICK_SLOTS)))
}

/// The ring that asked threads fill; whoever asks reads it, one at a time.
pub(crate) fn answers() -> Result<&'static Ring, String> {
    install()?;
    Ok(ANSWERS.get_or_init(|| Ring::new(ANSWER_SLOTS)))
}

/// Asks a thread of this process for its stack; whether there is such a thread. Calls that the thread waits in are
/// restarted by the kernel, except those that never are (`epoll_wait`, `poll`): they answer `EINTR`, which every runtime
/// expects.
#[expect(unsafe_code, reason = "std cannot send a signal to a thread")]
pub(crate) fn ask(thread: u32) -> bool {
    // SAFETY: numbers only. Our handler is there (see `answers`), so the signal ends nothing.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread.cast_signed(), libc::SIGPROF) == 0 }
}

/// Installs the handler, unless somebody else's is there.
#[expect(unsafe_code, reason = "std has no signal handlers")]
fn install() -> Result<(), String> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || {
        // SAFETY: zeroes are a valid `sigaction` (integers, an empty set, no handler).
        let (mut new, mut old): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
        // SAFETY: with no new action the call only fills `old`, which is a whole `sigaction`.
        let answer = unsafe { libc::sigaction(libc::SIGPROF, std::ptr::null(), &mut old) };
        if answer != 0 || !matches!(old.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            return Err("another profiler of this process uses SIGPROF".to_owned());
        }
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_signal;
        new.sa_sigaction = handler as *const () as usize;
        // Not on the alternate stack: it is only as large as the handler for stack overflows needs.
        new.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        // SAFETY: `new` is whole, and `on_signal` has the signature that SA_SIGINFO promises and does only what a
        // handler may: see there.
        match unsafe { libc::sigaction(libc::SIGPROF, &new, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(format!("the handler cannot be installed: {}", std::io::Error::last_os_error())),
        }
    };
    INSTALLED.get_or_init(install).clone()
}

/// Runs on the interrupted thread, in the middle of anything: an allocation, a lock held, another library's code.
#[expect(unsafe_code, reason = "a signal handler gets pointers")]
extern "C" fn on_signal(_signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a whole `siginfo_t` to a handler with SA_SIGINFO.
    let code = unsafe { (*info).si_code };
    let ring = match code {
        libc::SI_TIMER => TICKS.get(),
        libc::SI_TKILL => ANSWERS.get(),
        _ => None,
    };
    let Some(ring) = ring else { return };
    // SAFETY: glibc and musl give every thread its `errno`; the pointer is valid as long as the thread runs.
    let (errno, thread) = unsafe { (*libc::__errno_location(), libc::syscall(libc::SYS_gettid) as u32) };
    // SAFETY: the kernel passes the interrupted thread's `ucontext_t` to a handler with SA_SIGINFO.
    let registers = registers(unsafe { &*context.cast::<libc::ucontext_t>() });
    ring.push(thread, |put| walk(registers, put));
    // SAFETY: as above. The interrupted code may be between its call and its look at `errno`.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let all = &context.uc_mcontext.gregs;
    let register = |number: libc::c_int| all[number as usize].cast_unsigned();
    Registers {
        instruction: register(libc::REG_RIP),
        frame: register(libc::REG_RBP),
        stack: register(libc::REG_RSP),
    }
}

#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let all = &context.uc_mcontext;
    Registers { instruction: all.pc, frame: all.regs[29], stack: all.sp }
}

/// Elsewhere nothing is known of the registers; `walk::works` finds out, and profiles answer with the reason.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn registers(_context: &libc::ucontext_t) -> Registers {
    Registers { instruction: 0, frame: 0, stack: 0 }
}
