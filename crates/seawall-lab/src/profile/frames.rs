//! What is hot in a profile, and what it is hot for. Pure.
//!
//! A purpose is recognised by the names of functions: those of glibc, jemalloc, mimalloc, Rust, Go, CPython and of the
//! kernel. A stack serves a purpose if any of its functions does.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Frame, Profile, Stack};

/// What CPU time is spent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Getting and giving back memory, faults for new pages included.
    Allocation,
    /// Formatting and writing a log.
    Logging,
}

/// Beginnings of names that mean allocation.
const ALLOCATION: [&str; 37] = [
    "malloc",
    "calloc",
    "realloc",
    "free",
    "cfree",
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "_int_malloc",
    "_int_free",
    "_int_realloc",
    "_int_memalign",
    "malloc_consolidate",
    "unlink_chunk",
    "sysmalloc",
    "systrim",
    "tcache_",
    "__rust_alloc",
    "__rust_dealloc",
    "__rust_realloc",
    "__rdl_alloc",
    "__rdl_dealloc",
    "__rdl_realloc",
    "alloc::alloc::",
    "je_",
    "mi_malloc",
    "mi_free",
    "operator new",
    "operator delete",
    "runtime.mallocgc",
    "runtime.gcBgMarkWorker",
    "runtime.gcAssistAlloc",
    "do_anonymous_page",
    "clear_page",
    "zap_pte_range",
    "__brk",
];

/// Parts of names that mean a log.
const LOGGING: [&str; 22] = [
    "log::__private_api",
    "log::logger",
    "tracing_core::event",
    "tracing_subscriber",
    "env_logger",
    "slog::",
    "log4rs",
    "fern::",
    "log4j",
    "logback",
    "zap.(*Logger)",
    "log/slog",
    "logrus",
    "spdlog",
    "std::fs::File as std::io::Write",
    "vfs_write",
    "ext4_file_write",
    "ext4_buffered_write",
    "generic_perform_write",
    "ovl_write_iter",
    "shmem_file_write",
    "xfs_file_write",
];
/// Kernel functions in which a write to a socket runs: no log.
const SOCKETS: [&str; 3] = ["sock_write_iter", "sock_sendmsg", "tcp_sendmsg"];

fn serves(stack: &Stack, purpose: Purpose) -> bool {
    let bare = |name: &str| name.trim_end_matches("_[k]").to_owned();
    match purpose {
        Purpose::Allocation => stack.frames.iter().any(|frame| {
            let name = bare(frame);
            ALLOCATION.iter().any(|begin| {
                // Short names of C must match as a whole: `free` is not `freeze`.
                if begin.len() <= 7 && !begin.ends_with('_') {
                    name == *begin
                } else {
                    name.starts_with(begin)
                }
            })
        }),
        Purpose::Logging => {
            let has = |names: &[&str]| {
                stack.frames.iter().any(|frame| names.iter().any(|name| frame.contains(name)))
            };
            has(&LOGGING) && !has(&SOCKETS)
        }
    }
}

/// Share of the profile's weight that serves a purpose, 0 to 1.
pub fn share(profile: &Profile, purpose: Purpose) -> f64 {
    let serving: f64 =
        profile.stacks.iter().filter(|stack| serves(stack, purpose)).map(|stack| stack.weight).sum();
    if profile.total > 0.0 { serving / profile.total } else { 0.0 }
}

/// The functions that most of the weight is in itself.
pub fn hottest(profile: &Profile, n: usize) -> Vec<Frame> {
    ranked(profile, profile.stacks.iter(), n)
}

/// The same, of the stacks that serve a purpose.
pub fn hottest_for(profile: &Profile, purpose: Purpose, n: usize) -> Vec<Frame> {
    ranked(profile, profile.stacks.iter().filter(|stack| serves(stack, purpose)), n)
}

/// The same, of one thread.
pub fn hottest_of_thread(profile: &Profile, thread: &str, n: usize) -> Vec<Frame> {
    let of = |stack: &&Stack| stack.frames.first().is_some_and(|first| first == thread);
    ranked(profile, profile.stacks.iter().filter(of), n)
}

fn ranked<'a>(profile: &Profile, stacks: impl Iterator<Item = &'a Stack>, n: usize) -> Vec<Frame> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for stack in stacks {
        let different: BTreeSet<&str> = stack.frames.iter().map(String::as_str).collect();
        different.into_iter().for_each(|frame| sums.entry(frame).or_default().1 += stack.weight);
        if let Some(innermost) = stack.frames.last() {
            sums.entry(innermost).or_default().0 += stack.weight;
        }
    }
    let total = profile.total.max(f64::MIN_POSITIVE);
    let mut frames: Vec<Frame> = sums
        .into_iter()
        .filter(|(_, (own, _))| *own > 0.0)
        .map(|(function, (own, all))| Frame {
            function: function.to_owned(),
            own: own / total,
            total: all / total,
        })
        .collect();
    frames.sort_by(|a, b| b.own.total_cmp(&a.own));
    frames.truncate(n);
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocation_is_known_by_its_functions() {
        let profile = Profile::of_cpu(&[
            ("w;handle;malloc", 1.0),
            ("w;handle;_int_free", 1.0),
            ("w;freeze", 1.0),
            ("w;alloc::vec::push", 1.0),
        ]);
        assert_eq!(share(&profile, Purpose::Allocation), 0.5);
    }
    #[test]
    fn a_write_to_a_file_is_a_log_and_one_to_a_socket_is_none() {
        let profile = Profile::of_cpu(&[
            ("w;write;vfs_write_[k];ext4_file_write_iter_[k]", 3.0),
            ("w;write;vfs_write_[k];sock_write_iter_[k]", 1.0),
        ]);
        assert_eq!(share(&profile, Purpose::Logging), 0.75);
    }
    #[test]
    fn the_hottest_functions_come_first_and_recursion_counts_once() {
        let profile = Profile::of_cpu(&[("w;f;f;g", 3.0), ("v;f", 1.0)]);
        let hot = hottest(&profile, 9);
        assert_eq!((hot[0].function.as_str(), hot[0].own), ("g", 0.75));
        assert_eq!((hot[1].function.as_str(), hot[1].own, hot[1].total), ("f", 0.25, 1.0));
        assert_eq!(hottest_of_thread(&profile, "v", 9).len(), 1);
    }
    #[test]
    fn an_empty_profile_has_no_shares() {
        assert_eq!(share(&Profile::of_cpu(&[]), Purpose::Allocation), 0.0);
    }
}
