//! The few system calls the demo needs that std does not offer: processor affinity, signals, and "die with me".

use std::io;

/// The processors this thread may run on, ascending.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    #[expect(unsafe_code, reason = "std has no processor affinity")]
    // SAFETY: `cpu_set_t` is a plain bit mask for which all zeros is a valid value; the call writes at most the size we
    // pass into the set we own, and pid 0 is the calling thread.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Err(io::Error::last_os_error());
        }
        set
    };
    #[expect(unsafe_code, reason = "libc's macros on the set are unsafe functions")]
    // SAFETY: the index stays below the number of bits in the set.
    let in_set = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(in_set).collect())
}

/// Keeps this thread, and all threads it starts from now on, on `cpus`. Numbers beyond the set's size are ignored.
pub(crate) fn pin(cpus: &[usize]) -> io::Result<()> {
    #[expect(unsafe_code, reason = "std has no processor affinity")]
    // SAFETY: as above; the index of each bit is checked against the set's size before it is set, and the call only
    // reads the set.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(*cpu, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks the kernel to kill this process when its parent ends, and fails if the parent is gone already.
///
/// Meant by "parent" is the thread that started us; the demo starts its service from the main thread.
pub(crate) fn die_with_parent(parent: u32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "std has no prctl")]
    // SAFETY: this option takes a signal number by value and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // The parent may have ended before the request took effect; then somebody else has adopted us.
    if std::os::unix::process::parent_id() == parent {
        return Ok(());
    }
    Err(io::Error::other("the process that started this one is gone"))
}

/// Asks process `pid`, a child not yet waited for, to end.
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    #[expect(unsafe_code, reason = "std can only kill")]
    // SAFETY: sends a signal and touches no memory. The child is not waited for, so its number is not anyone else's.
    let result = unsafe { libc::kill(pid, libc::SIGTERM) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_is_where_it_was_put_and_its_children_too() {
        let all = allowed_cpus().unwrap();
        assert!(!all.is_empty());
        let last = vec![*all.last().unwrap()];
        let pinned = std::thread::spawn(move || {
            pin(&last).unwrap();
            let child = std::thread::spawn(|| allowed_cpus().unwrap()).join().unwrap();
            (last, allowed_cpus().unwrap(), child)
        });
        let (wanted, own, child) = pinned.join().unwrap();
        assert_eq!((&own, &child), (&wanted, &wanted));
    }

    #[test]
    fn no_processor_at_all_is_refused() {
        assert!(pin(&[]).is_err());
    }

    #[test]
    fn a_parent_that_is_not_ours_is_refused() {
        assert!(die_with_parent(0).is_err());
    }
}
