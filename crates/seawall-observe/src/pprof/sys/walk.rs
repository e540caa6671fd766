//! Walks a stack by its frame pointers, in any place and at any time, signal handlers included.
//!
//! Each function that keeps a frame pointer leaves the pair (caller's frame pointer, return address) where its own
//! points. Code without frame pointers (glibc's, hand-written assembly) may use the register for something else, so
//! every address is a guess: it is checked to lie further out on the same stack, and it is read by the kernel
//! (`process_vm_readv` on ourselves), which answers an address that is none with an error where a load would crash.
//! One read brings a kilobyte, some ten frames. No lock is taken and nothing is allocated. The unwinder of the compiler's
//! run-time library does both, so it is not used.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::arch::asm;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a thread is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) instruction: u64,
    pub(crate) frame: u64,
    pub(crate) stack: u64,
}

/// Further away from the stack pointer than any stack is large.
const LARGEST_STACK: u64 = 256 << 20;
const WINDOW: usize = 128;

/// Words above the stack pointer among which a lost frame is searched.
const SEARCHED: u64 = 64;

/// Where the program's own code lies; nothing is searched before [`learn_code`].
static CODE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Tells the walker where the program's code is, so that it can find its way out of a library.
pub(crate) fn learn_code(begin: u64, end: u64) {
    CODE[0].store(begin, Ordering::Relaxed);
    CODE[1].store(end, Ordering::Relaxed);
}

/// Hands the addresses of a stack to `put`, innermost first, until it answers no. All but the first are moved into the
/// calling instruction.
pub(crate) fn walk(at: Registers, put: &mut dyn FnMut(u64) -> bool) {
    let mut window = Window { begin: 0, words: [0; WINDOW], length: 0 };
    follow(at, &mut |address| window.pair(address), put);
}

/// The same on a copy of a stack: its words from `at.stack` on.
pub(crate) fn walk_copy(at: Registers, words: &[u64], put: &mut dyn FnMut(u64) -> bool) {
    let mut pair = |address: u64| {
        let offset = usize::try_from(address.checked_sub(at.stack)?).ok()?;
        let words = words.get(offset / 8..)?;
        Some((*words.first()?, *words.get(1)?))
    };
    follow(at, &mut pair, put);
}

/// Reads two words, if there is memory.
type Pair<'a> = &'a mut dyn FnMut(u64) -> Option<(u64, u64)>;

fn follow(at: Registers, pair: Pair<'_>, put: &mut dyn FnMut(u64) -> bool) {
    if at.instruction != 0 && !put(at.instruction) {
        return;
    }
    let mut frame = at.frame;
    if !is_frame(frame, at.stack, pair)
        && let Some((returns_to, found)) = search(at.stack, pair)
    {
        if !put(returns_to - 1) {
            return;
        }
        frame = found;
    }
    let mut floor = at.stack;
    while frame.is_multiple_of(8) && frame >= floor && frame - at.stack < LARGEST_STACK {
        let Some((outer, returns_to)) = pair(frame) else { return };
        let returns_to = without_signature(returns_to);
        // The first page is never mapped: the end of the chain, or no chain.
        if returns_to < 4096 || !put(returns_to - 1) {
            return;
        }
        floor = frame + 16; // outwards only, or a loop of pointers would never end
        frame = outer;
    }
}

/// Whether this looks like a frame: the next one is further out, and what it returns to may be code.
fn is_frame(frame: u64, stack: u64, pair: Pair<'_>) -> bool {
    let near = frame.is_multiple_of(8) && frame >= stack && frame - stack < LARGEST_STACK;
    near && pair(frame).is_some_and(|(outer, returns_to)| (outer == 0 || outer > frame) && returns_to >= 4096)
}

/// The register holds no frame: a function of glibc uses it for something else, `send` and `recv` among them. It has put
/// the old value on the stack, below the address that it returns to; so the first word that looks like a frame, and then
/// the first that is an address of the program, are its caller's. Without this most of a server's time would have no
/// caller.
fn search(stack: u64, pair: Pair<'_>) -> Option<(u64, u64)> {
    let code = CODE[0].load(Ordering::Relaxed)..CODE[1].load(Ordering::Relaxed);
    if code.is_empty() {
        return None;
    }
    let mut found = None;
    for at in (0..SEARCHED).map_while(|index| stack.checked_add(8 * index)) {
        let (word, _) = pair(at)?;
        match found {
            None if word > at && is_frame(word, stack, pair) => found = Some(word),
            Some(frame) if at >= frame => return None,
            Some(frame) if code.contains(&word) => return Some((word, frame)),
            None | Some(_) => {}
        }
    }
    None
}

/// Where the caller is, as the start of a walk that leaves out this function.
#[inline(always)]
pub(crate) fn here() -> Registers {
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let (frame, stack) = (0, 0);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let (frame, stack): (u64, u64);
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "no safe way to read the frame pointer")]
    // SAFETY: copies two registers; no memory is touched and no flag changed.
    unsafe {
        asm!("mov {}, rbp", "mov {}, rsp", out(reg) frame, out(reg) stack,
            options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    #[expect(unsafe_code, reason = "no safe way to read the frame pointer")]
    // SAFETY: copies two registers; no memory is touched and no flag changed.
    unsafe {
        asm!("mov {}, x29", "mov {}, sp", out(reg) frame, out(reg) stack,
            options(nomem, nostack, preserves_flags));
    }
    Registers { instruction: 0, frame, stack }
}

/// aarch64 may sign return addresses in the bits that no address uses.
fn without_signature(address: u64) -> u64 {
    if cfg!(target_arch = "aarch64") { address & 0x0000_ffff_ffff_ffff } else { address }
}

/// A piece of the stack, copied.
struct Window {
    begin: u64,
    words: [u64; WINDOW],
    /// Words that are there.
    length: usize,
}

impl Window {
    /// The two words at `address`, or `None` if there is no memory.
    fn pair(&mut self, address: u64) -> Option<(u64, u64)> {
        let within = address.checked_sub(self.begin).map(|bytes| (bytes / 8) as usize);
        let at = match within {
            Some(at) if at + 2 <= self.length => at,
            _ => {
                self.begin = address;
                self.length = read(address, &mut self.words);
                if self.length < 2 {
                    // The end of a stack may lie within the window; the pair itself may be there.
                    self.length = read(address, &mut self.words[..2]);
                }
                0
            }
        };
        match self.words.get(at..at + 2) {
            Some([outer, returns_to]) if at + 2 <= self.length => Some((*outer, *returns_to)),
            _ => None,
        }
    }
}

/// Copies memory of this process; the number of words that were there.
#[expect(unsafe_code, reason = "reading at an address that may be no memory is the kernel's to try")]
fn read(address: u64, into: &mut [u64]) -> usize {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: size_of_val(into) };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: size_of_val(into) };
    // SAFETY: the kernel writes at most `iov_len` bytes to `into`, which is borrowed for the call, and any bytes are
    // valid words. `remote` is only an address: where there is no memory the call fails. It is a plain system call and
    // may be made in a signal handler.
    let copied = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    usize::try_from(copied).unwrap_or(0) / 8
}

/// Whether stacks can be walked in this build and on this machine: a known one is tried.
///
/// A function that calls itself leaves the same return address again and again.
pub(crate) fn works() -> bool {
    const DEPTH: usize = 8;
    let mut found = Vec::with_capacity(64);
    nested(DEPTH, &mut found);
    found.windows(DEPTH - 1).any(|frames| frames.iter().all(|frame| *frame == frames[0]))
}

#[inline(never)]
fn nested(depth: usize, found: &mut Vec<u64>) {
    if depth == 0 {
        walk(here(), &mut |address| {
            found.push(address);
            found.len() < 64
        });
    } else {
        nested(std::hint::black_box(depth - 1), found);
    }
    std::hint::black_box(found); // something to come back for, so that the call is no jump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_stack_is_walked() {
        assert!(works(), "built without -C force-frame-pointers=yes?");
    }

    #[track_caller]
    fn check_nonsense(frame: u64) {
        let mut found = Vec::new();
        let stack = here().stack;
        walk(Registers { instruction: 42, frame, stack }, &mut |address| {
            found.push(address);
            true
        });
        assert_eq!(found, [42]);
    }

    #[test]
    fn a_register_that_holds_no_frame_ends_the_walk() {
        check_nonsense(0);
        check_nonsense(1);
        check_nonsense(u64::MAX - 7);
        check_nonsense(here().stack - (1 << 20)); // the wrong direction
        check_nonsense((here().stack & !7) + LARGEST_STACK - 8); // no memory, most likely
    }

    /// A stack as glibc's `send` leaves it: the register holds a number, the old frame pointer was pushed.
    #[test]
    fn the_way_out_of_a_library_is_found() {
        learn_code(0x40_0000, 0x50_0000);
        let base = 0x7000_0000_u64;
        let frame = base + 8 * 6;
        // Two locals, the pushed frame pointer, another register, the return address, a local of the caller; its frame.
        let words = [7, 9, frame, 3, 0x40_1000, 1, frame + 16, 0x40_2000, 0, 0];
        let mut found = Vec::new();
        let at = Registers { instruction: 0x7fff_0000, frame: 64, stack: base };
        walk_copy(at, &words, &mut |address| {
            found.push(address);
            true
        });
        learn_code(0, 0);
        assert_eq!(found, [0x7fff_0000, 0x40_0fff, 0x40_1fff]);
    }

    #[test]
    fn a_loop_of_pointers_ends() {
        // The first word points to itself, as a frame that is its own caller.
        let mut pair = Box::new([0_u64, 5_000]);
        let address = pair.as_ptr() as u64;
        std::hint::black_box(&mut pair)[0] = address;
        let mut found = Vec::new();
        walk(Registers { instruction: 1, frame: address, stack: address }, &mut |address| {
            found.push(address);
            true
        });
        assert_eq!(found, [1, 4_999]);
    }
}
