//! jemalloc's side of the heap profile: switched on, dumped, and its stacks walked by us.
//!
//! jemalloc would walk stacks with the unwinder of the compiler's run-time library, under that library's locks. It lets
//! us hand in a function instead, so the heap profile walks frame pointers as the CPU profile does, and the two can run
//! at the same time.

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use tikv_jemalloc_sys::mallctl;

use super::{Heap, dump};
use crate::pprof::NO_FRAME_POINTERS;
use crate::pprof::sys::walk;

/// What jemalloc reads before `main`: the profiler is there but off, samples every 512 KiB on average, and remembers
/// what was freed. `_RJEM_MALLOC_CONF` in the environment is read later and may say otherwise.
#[expect(unsafe_code, reason = "this is how jemalloc is configured: by a symbol of this name")]
// SAFETY: the name is jemalloc's, to be defined by the program; its type is a pointer to a C string that lives for ever,
// and that is what a reference to a static array with a zero at its end is.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
static CONFIGURATION: &[u8; 62] = b"prof:true,prof_active:false,prof_accum:true,lg_prof_sample:19\0";

/// Gives back what is freed but kept, in all arenas.
const PURGE: &CStr = c"arena.4096.purge";
/// Bytes of a dump: some hundred thousand stacks.
const LARGEST_DUMP: u64 = 256 << 20;

type Backtrace = extern "C" fn(*mut *mut c_void, *mut c_uint, c_uint);

/// Switches the sampling on, once and for the life of the process.
///
/// # Errors
/// Why it cannot be.
pub(crate) fn start() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let start = || {
        if !read::<bool>(c"opt.prof")? {
            return Err("jemalloc's profiler is switched off (`opt.prof` is false)".to_owned());
        }
        if !is_in_use()? {
            return Err("jemalloc is not the program's allocator: \
                        `#[global_allocator] static A: seawall_observe::Jemalloc = seawall_observe::Jemalloc;`"
                .to_owned());
        }
        if !walk::works() {
            return Err(NO_FRAME_POINTERS.to_owned());
        }
        write::<Backtrace>(c"experimental.hooks.prof_backtrace", backtrace)?;
        write(c"prof.active", true)
    };
    STARTED.get_or_init(start).clone()
}

/// The heap since [`start`]. `purge` gives memory that is free but kept back to the system first.
///
/// # Errors
/// Why there is none.
pub(crate) fn take(purge: bool) -> Result<Heap, String> {
    if !read::<bool>(c"prof.active").unwrap_or(false) {
        return Err("heap sampling is off: set PprofConfig::heap".to_owned());
    }
    let mut comments = vec!["heap by jemalloc, sampled since the start of sampling, scaled up".to_owned()];
    if purge {
        control(PURGE, ptr::null_mut(), 0, ptr::null_mut(), 0)?;
        comments
            .push("gc=1: free memory was given back to the system; nothing is collected in Rust".to_owned());
    }
    let dump::Dump { rate, stacks } = dump::parse(&text()?)?;
    let has_allocated = read::<bool>(c"opt.prof_accum")?;
    if !has_allocated {
        comments.push(
            "alloc_objects and alloc_space are unknown: jemalloc runs with prof_accum:false".to_owned(),
        );
    }
    if stacks.dropped > 0 {
        comments.push(format!("{} stacks were dropped: there were too many different ones", stacks.dropped));
    }
    Ok(Heap { stacks, has_allocated, period: i64::try_from(rate).unwrap_or(i64::MAX), comments })
}

/// An allocation shows in the thread's own count, if jemalloc made it.
fn is_in_use() -> Result<bool, String> {
    let before = read::<u64>(c"thread.allocated")?;
    let large = std::hint::black_box(vec![0_u8; 100_000]);
    let after = read::<u64>(c"thread.allocated")?;
    drop(large);
    Ok(after > before)
}

/// jemalloc writes its dump to a file: one in memory, so that no folder has to be writable, nor trusted.
fn text() -> Result<String, String> {
    let failed = |error: io::Error| format!("the heap cannot be dumped: {error}");
    let mut file = memory_file().map_err(failed)?;
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("digits hold no zero byte");
    write(c"prof.dump", path.as_ptr())?;
    let mut text = String::new();
    // jemalloc has opened the file anew, so we are still at its beginning.
    file.by_ref().take(LARGEST_DUMP).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[expect(unsafe_code, reason = "std has no files in memory")]
fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string; the call makes a descriptor.
    let file = unsafe { libc::memfd_create(c"heap".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(file) }.into())
}

/// Called by jemalloc in the middle of an allocation that it has chosen to sample: allocates nothing.
#[expect(unsafe_code, reason = "jemalloc hands in pointers")]
extern "C" fn backtrace(addresses: *mut *mut c_void, length: *mut c_uint, most: c_uint) {
    let mut found: c_uint = 0;
    walk::walk(walk::here(), &mut |address| {
        if found < most {
            // SAFETY: jemalloc hands in room for `most` pointers, and `found` is below it.
            unsafe { *addresses.add(found as usize) = (address + 1) as *mut c_void };
            found += 1;
        }
        found < most
    });
    // SAFETY: jemalloc hands in where it wants the number.
    unsafe { *length = found };
}

fn read<T: Copy + Default>(name: &CStr) -> Result<T, String> {
    let mut value = T::default();
    control(name, (&raw mut value).cast(), size_of::<T>(), ptr::null_mut(), 0)?;
    Ok(value)
}

fn write<T>(name: &CStr, mut value: T) -> Result<(), String> {
    control(name, ptr::null_mut(), 0, (&raw mut value).cast(), size_of::<T>())
}

/// jemalloc's one door. The names and types are those of its manual; a wrong size is an error, no damage.
#[expect(unsafe_code, reason = "jemalloc is C")]
fn control(
    name: &CStr,
    old: *mut c_void,
    mut size: usize,
    new: *mut c_void,
    new_size: usize,
) -> Result<(), String> {
    let size_at = if old.is_null() { ptr::null_mut() } else { &raw mut size };
    // SAFETY: `name` is a C string; `old` and `new` are null or point to values of the given sizes that live through
    // the call (see `read` and `write`), and jemalloc refuses a size that is not the one of the name.
    let answer: c_int = unsafe { mallctl(name.as_ptr(), old, size_at, new, new_size) };
    match answer {
        0 => Ok(()),
        error => {
            let error = io::Error::from_raw_os_error(error);
            Err(format!("jemalloc refuses `{}`: {error}", name.to_string_lossy()))
        }
    }
}
