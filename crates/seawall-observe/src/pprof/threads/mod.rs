//! The threads of this process: who they are, what each waits for, and where it is.
//!
//! Names and states come from `/proc/self/task`; a stack comes from the thread itself, which a signal asks for it. A
//! thread that does not answer in time (it blocks the signal, or waits for a device) is shown without one.

mod page;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use parking_lot::Mutex;

pub(crate) use page::page;

use super::read::stat::{self, Call, Stat};
use super::sys::{signal, walk};
use crate::clock;

/// Threads that are looked at; a process with more shows the oldest.
pub(crate) const MOST_THREADS: usize = 4_096;
/// How long threads have to answer.
const PATIENCE: Duration = Duration::from_millis(250);

/// A thread's number and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) id: u32,
    pub(crate) name: String,
}

/// What the kernel knows of a thread.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) stat: Option<Stat>,
    /// The kernel's function that it waits in.
    pub(crate) waits_in: Option<String>,
    pub(crate) call: Option<Call>,
}

/// The threads there are, oldest first.
pub(crate) fn list() -> Vec<Thread> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids.truncate(MOST_THREADS);
    let name = |id| fs::read_to_string(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
    ids.into_iter().map(|id| Thread { id, name: name(id).trim_end().to_owned() }).collect()
}

/// What the kernel says of a thread.
pub(crate) fn facts(id: u32) -> Facts {
    let read = |what| fs::read_to_string(format!("/proc/self/task/{id}/{what}")).ok();
    Facts {
        stat: read("stat").and_then(|text| stat::stat(&text)),
        waits_in: read("wchan").filter(|text| !matches!(text.trim(), "" | "0")),
        call: read("syscall").and_then(|text| stat::call(&text)),
    }
}

/// Whether a thread wants a core: it has one, or waits for one.
pub(crate) fn wants_a_core(id: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap_or_default();
    stat::stat(&text).is_some_and(|stat| stat.state == 'R')
}

/// Frames in the line of a stack, the innermost; and its bytes.
const MOST_FRAMES: usize = 48;
const LONGEST_LINE: usize = 8 << 10;

/// Lets the watchdog of a server say where a worker is that does not let go; [`Admin`](crate::Admin) does it too. It costs
/// nothing until a worker is stuck: then its thread is sent a signal, as for a profile, and the first time the names of
/// the program are read. What was provided to [`seawall_core::stacks`] before stays.
pub fn provide_stacks() {
    super::symbols::learn_code();
    seawall_core::stacks::provide(line);
}

/// Where a thread is, innermost frame first.
fn line(id: u32) -> Option<String> {
    let stacks = ask(&[id]).ok()?;
    let frames = super::symbols::lines(&stacks).remove(&id)?;
    let mut line = String::new();
    for frame in frames.iter().take(MOST_FRAMES) {
        if line.len() + frame.len() > LONGEST_LINE {
            break;
        }
        if !line.is_empty() {
            line.push_str(" < ");
        }
        line.push_str(frame);
    }
    Some(line)
}

/// Asks threads for their stacks; those that answer in time are in the result.
///
/// # Errors
/// Why no thread can be asked.
pub(crate) fn ask(ids: &[u32]) -> Result<HashMap<u32, Vec<u64>>, String> {
    /// Whoever holds this reads the ring.
    static READER: Mutex<()> = Mutex::new(());
    if !walk::works() {
        return Err(super::NO_FRAME_POINTERS.to_owned());
    }
    let _reader = READER.lock();
    let ring = signal::answers()?;
    let mut stacks = HashMap::new();
    for batch in ids.chunks(signal::ANSWER_SLOTS / 2) {
        ring.clear(); // answers that came too late for an earlier question
        let mut open: HashSet<u32> = batch.iter().copied().filter(|id| signal::ask(*id)).collect();
        let limit = clock::now() + PATIENCE;
        let mut stack = Vec::new();
        while !open.is_empty() {
            match ring.pop(&mut stack) {
                Some(id) if open.remove(&id) => drop(stacks.insert(id, stack.clone())),
                Some(_) => {}
                None if clock::now() >= limit => break,
                None => clock::wait(Duration::from_micros(200)),
            }
        }
    }
    Ok(stacks)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn this_thread_is_among_them_and_answers() {
        let me = crate::sys::thread_id();
        assert!(list().iter().any(|thread| thread.id == me));
        let stacks = ask(&[me]).unwrap();
        assert!(stacks[&me].len() >= 3, "{stacks:?}");
        assert_eq!(facts(me).stat.map(|stat| stat.state), Some('R'));
    }

    #[test]
    fn a_sleeping_thread_answers_and_sleeps_on() {
        let (tell, told) = mpsc::sync_channel(1);
        let (stop, stopped) = mpsc::sync_channel::<()>(1);
        let sleeper = std::thread::Builder::new().name("a-sleeper".to_owned());
        let sleeper = sleeper.spawn(move || {
            tell.send(crate::sys::thread_id()).unwrap();
            stopped.recv().is_ok()
        });
        let id = told.recv().unwrap();
        let limit = clock::now() + Duration::from_secs(60);
        while facts(id).stat.is_some_and(|stat| stat.state != 'S') {
            assert!(clock::now() < limit, "it never slept");
        }
        assert!(list().contains(&Thread { id, name: "a-sleeper".to_owned() }));
        assert_eq!(facts(id).call.map(|call| call.number), Some(libc::SYS_futex));
        assert!(!ask(&[id]).unwrap()[&id].is_empty());
        stop.send(()).unwrap();
        assert!(sleeper.unwrap().join().unwrap(), "the signal ended its wait");
    }

    #[test]
    fn who_is_not_there_does_not_answer() {
        assert!(ask(&[0x3fff_ffff]).unwrap().is_empty());
    }
}
