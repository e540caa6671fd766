//! One event of `perf_event_open` on one thread or one core, and the ring that the kernel writes its records to.
//!
//! The kernel walks the stacks itself, its own part included, and interrupts nobody with a signal. It lets us if we are
//! root, have CAP_PERFMON, or `kernel.perf_event_paranoid` is 1 or less; for a whole core, 0 or less.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::read::records;
use super::super::stacks::DEEPEST;

/// What an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The thread's time on a core, sampled so many times a second.
    Cpu { hz: u32 },
    /// Each time the thread leaves a core, with its stack; and each time it comes back.
    Switches,
}

/// Whose time or switches an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A thread of this process, on whatever core it is.
    Thread(u32),
    /// Whoever is on this core, other processes included; nobody, while it is idle.
    Core(u32),
}

/// `perf_event_attr` up to its fifth version, which every kernel that we may meet knows.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period_or_frequency: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    config1: u64,
    config2: u64,
    branches: u64,
    user_registers: u64,
    user_stack: u32,
    clock: i32,
    registers: u64,
    aux_watermark: u32,
    max_stack: u16,
    reserved: u16,
}

const SOFTWARE: u32 = 1;
const CPU_CLOCK: u64 = 0;
const CONTEXT_SWITCHES: u64 = 3;
/// Instruction, process and thread, time, call chain: what [`records`] takes apart.
const SAMPLE_TYPE: u64 = 1 | 2 | 4 | 32;
/// And the stack pointer with a piece of the stack, to find the way out of a library without frame pointers.
const SAMPLE_STACK: u64 = 1 << 12 | 1 << 13;
/// The stack pointer's number among the registers.
const STACK_POINTER: u64 = if cfg!(target_arch = "aarch64") { 31 } else { 7 };
/// Bytes of the stack. A connection's future is polled on it, so a service needs more than 16 KiB; what lies beyond is
/// missing at the outer end. A record has room for less than 64 KiB.
const STACK_BYTES: u32 = 32 << 10;
const DISABLED: u64 = 1;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const EXCLUDE_IDLE: u64 = 1 << 7;
const FREQUENCY: u64 = 1 << 10;
const SAMPLE_ID_ALL: u64 = 1 << 18;
const USE_CLOCK: u64 = 1 << 25;
const CONTEXT_SWITCH_RECORDS: u64 = 1 << 26;
const CLOSE_ON_EXEC: u64 = 8;
const ENABLE: libc::c_ulong = 0x2400;

/// Pages of records: eight samples, two turns of the collector; 1,000 switches.
const CPU_PAGES: usize = 64;
const SWITCH_PAGES: usize = 64;
/// Of a core, which all its threads share: sixteen samples, and as much as an unprivileged user may lock per core.
const CORE_PAGES: usize = 128;

/// In the page before the records: how far the kernel has written, how far we have read.
const HEAD_AT: usize = 1024;
const TAIL_AT: usize = 1032;

/// An open event. Dropping it ends the counting and gives the ring back.
#[derive(Debug)]
pub(crate) struct Event {
    file: OwnedFd,
    ring: NonNull<u8>,
    page: usize,
    /// Bytes of records, a power of two.
    size: usize,
}

impl Event {
    /// Opens and starts an event.
    ///
    /// # Errors
    /// If the kernel does not let us, the thread or the core is gone, or descriptors or locked memory are used up.
    #[expect(unsafe_code, reason = "std has no performance events")]
    pub(crate) fn open(whose: Whose, what: What) -> io::Result<Self> {
        let attributes = attributes(what);
        let (thread, core) = match whose {
            Whose::Thread(thread) => (thread.cast_signed(), -1),
            Whose::Core(core) => (-1, core.cast_signed()),
        };
        // SAFETY: `attributes` is whole and says its own size; the rest are numbers. The kernel only reads it.
        let file = unsafe {
            libc::syscall(libc::SYS_perf_event_open, &raw const attributes, thread, core, -1, CLOSE_ON_EXEC)
        };
        let file = i32::try_from(file).ok().filter(|file| *file >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the descriptor is new, and nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        let pages = match (what, whose) {
            (What::Switches, _) => SWITCH_PAGES,
            (What::Cpu { .. }, Whose::Thread(_)) => CPU_PAGES,
            (What::Cpu { .. }, Whose::Core(_)) => CORE_PAGES,
        };
        let page = page_size();
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the length is what the interface asks for.
        let ring = unsafe {
            let length = (pages + 1) * page;
            libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        let ring = if ring == libc::MAP_FAILED { None } else { NonNull::new(ring.cast::<u8>()) };
        let ring = ring.ok_or_else(io::Error::last_os_error)?;
        let event = Self { file, ring, page, size: pages * page };
        // SAFETY: a request without argument on our own descriptor.
        match unsafe { libc::ioctl(event.file.as_raw_fd(), ENABLE as _, 0) } {
            0 => Ok(event),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Hands every record that is there to `each`, whole.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        let head = self.counter(HEAD_AT).load(Ordering::Acquire);
        let tail = self.counter(TAIL_AT);
        let mut at = tail.load(Ordering::Relaxed);
        let mut record = Vec::new();
        while at < head {
            let mut header = [0; records::HEADER];
            self.copy(at, &mut header);
            let length = records::length(header);
            if length < records::HEADER || length as u64 > head - at {
                break; // not what the interface promises: give up this round's records, not our memory
            }
            record.resize(length, 0);
            self.copy(at, &mut record);
            each(&record);
            at += length as u64;
        }
        tail.store(head, Ordering::Release);
    }

    /// A number that we share with the kernel.
    #[expect(unsafe_code, reason = "the kernel writes to this memory too")]
    fn counter(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the first page of the mapping is longer than `at` and lives as long as `self`; the place is aligned
        // to 8, and both sides use atomic accesses.
        unsafe { AtomicU64::from_ptr(self.ring.as_ptr().add(at).cast()) }
    }

    /// Copies from the ring; positions count on beyond its end.
    #[expect(unsafe_code, reason = "the kernel writes to this memory too")]
    fn copy(&self, position: u64, into: &mut [u8]) {
        let begin = (position % self.size as u64) as usize;
        let first = into.len().min(self.size - begin);
        let (end, wrapped) = into.split_at_mut(first);
        // SAFETY: records lie in the `size` bytes behind the first page, and `begin + first` and the wrapped rest (a
        // record is shorter than the ring) are within. The kernel does not touch what lies between tail and head, and
        // we have read its head with acquire.
        unsafe {
            let data = self.ring.as_ptr().add(self.page);
            std::ptr::copy_nonoverlapping(data.add(begin), end.as_mut_ptr(), end.len());
            std::ptr::copy_nonoverlapping(data, wrapped.as_mut_ptr(), wrapped.len());
        }
    }
}

impl Drop for Event {
    #[expect(unsafe_code, reason = "what was mapped has to be given back")]
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.ring.as_ptr().cast(), self.page + self.size) };
    }
}

fn attributes(what: What) -> Attributes {
    let common = DISABLED | EXCLUDE_HYPERVISOR | SAMPLE_ID_ALL | USE_CLOCK;
    let (config, period_or_frequency, flags) = match what {
        What::Cpu { hz } => (CPU_CLOCK, u64::from(hz), common | FREQUENCY | EXCLUDE_IDLE),
        What::Switches => (CONTEXT_SWITCHES, 1, common | CONTEXT_SWITCH_RECORDS),
    };
    let mut attributes = Attributes {
        kind: SOFTWARE,
        size: size_of::<Attributes>() as u32,
        config,
        period_or_frequency,
        sample_type: SAMPLE_TYPE,
        flags,
        clock: libc::CLOCK_MONOTONIC,
        max_stack: DEEPEST as u16,
        ..Attributes::default()
    };
    if let What::Cpu { .. } = what {
        attributes.sample_type |= SAMPLE_STACK;
        attributes.user_registers = 1 << STACK_POINTER;
        attributes.user_stack = STACK_BYTES;
    }
    attributes
}

#[expect(unsafe_code, reason = "std does not tell the page size")]
fn page_size() -> usize {
    // SAFETY: asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_have_the_size_of_their_version() {
        assert_eq!(size_of::<Attributes>(), 112);
    }
}
