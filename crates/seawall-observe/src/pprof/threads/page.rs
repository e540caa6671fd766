//! The thread page: what a thread dump is on other platforms. Text for people, JSON for the lab.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::super::read::stat;
use super::super::symbols;
use super::{Facts, Thread};
use crate::sync::{self, Wait};

/// All threads at one moment, or nearly: each part was read a little after the one before.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    threads: Vec<Entry>,
    /// Circles of threads that wait for each other, by instrumented locks.
    deadlocks: Vec<Vec<Link>>,
    /// Why there are no stacks, if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_stacks: Option<String>,
}

#[derive(Debug, Serialize)]
struct Entry {
    id: u32,
    name: String,
    state: &'static str,
    cpu_ticks: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<LockWait>,
    /// Innermost first.
    stack: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LockWait {
    name: &'static str,
    to: &'static str,
    seconds: f64,
    holder: Option<u32>,
}

/// One thread of a circle.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Link {
    thread: u32,
    waits_for: &'static str,
    held_by: u32,
}

/// Looks at everything.
pub(crate) fn page() -> Page {
    let threads = super::list();
    // Before the threads are asked, which brings them out of their waits.
    let facts: HashMap<u32, Facts> =
        threads.iter().map(|thread| (thread.id, super::facts(thread.id))).collect();
    let waits = sync::waits();
    let ids: Vec<_> = threads.iter().map(|thread| thread.id).collect();
    let (stacks, no_stacks) = match super::ask(&ids) {
        Ok(stacks) => (symbols::lines(&stacks), None),
        Err(reason) => (HashMap::new(), Some(reason)),
    };
    assemble(threads, &facts, &waits, stacks, no_stacks)
}

fn assemble(
    threads: Vec<Thread>,
    facts: &HashMap<u32, Facts>,
    waits: &[Wait],
    mut stacks: HashMap<u32, Vec<String>>,
    no_stacks: Option<String>,
) -> Page {
    let entry = |Thread { id, name }| {
        let facts = facts.get(&id);
        let stat = facts.and_then(|facts| facts.stat);
        let wait = waits.iter().find(|wait| wait.thread == id);
        Entry {
            id,
            name,
            state: stat.map_or("ended", |stat| stat::state_name(stat.state)),
            cpu_ticks: stat.map_or(0, |stat| stat.ticks),
            waits_in: facts.and_then(|facts| facts.waits_in.clone()),
            call: facts.and_then(|facts| facts.call).map(call),
            lock: wait.map(|wait| LockWait {
                name: wait.lock,
                to: wait.what,
                seconds: wait.since.as_secs_f64(),
                holder: wait.holder,
            }),
            stack: stacks.remove(&id).unwrap_or_default(),
        }
    };
    Page { threads: threads.into_iter().map(entry).collect(), deadlocks: deadlocks(waits), no_stacks }
}

fn call(call: stat::Call) -> String {
    match (stat::call_name(call.number), call.argument) {
        (Some("futex"), at) => format!("futex at {at:#x}"),
        (Some(name), first) => format!("{name}({first}, ..)"),
        (None, _) => format!("system call {}", call.number),
    }
}

fn deadlocks(waits: &[Wait]) -> Vec<Vec<Link>> {
    let edges: Vec<_> = waits.iter().filter_map(|wait| Some((wait.thread, wait.holder?))).collect();
    let link = |thread: u32| {
        let wait = waits.iter().find(|wait| wait.thread == thread)?;
        Some(Link { thread, waits_for: wait.lock, held_by: wait.holder? })
    };
    sync::cycles(&edges).into_iter().map(|circle| circle.into_iter().filter_map(link).collect()).collect()
}

impl Page {
    /// As text.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{} threads\n", self.threads.len());
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = writeln!(out, "{text}"); // a string takes everything
        };
        if let Some(reason) = &self.no_stacks {
            line(format_args!("no stacks: {reason}"));
        }
        for circle in &self.deadlocks {
            line(format_args!("\nDEADLOCK: {} threads wait for each other", circle.len()));
            for Link { thread, waits_for, held_by } in circle {
                let (thread, holder) = (self.name(*thread), self.name(*held_by));
                line(format_args!("  {thread} waits for the lock \"{waits_for}\", which {holder} holds"));
            }
        }
        for entry in &self.threads {
            line(format_args!(
                "\n\"{}\" {} {}, {} ticks of CPU",
                entry.name, entry.id, entry.state, entry.cpu_ticks
            ));
            let waits = [("in the kernel's", &entry.waits_in), ("in", &entry.call)];
            for (word, what) in waits {
                what.iter().for_each(|what| line(format_args!("  waits {word} {what}")));
            }
            if let Some(LockWait { name, to, seconds, holder }) = &entry.lock {
                let holder =
                    holder.map_or_else(|| "readers, or nobody any more".to_owned(), |id| self.name(id));
                line(format_args!("  waits {seconds:.3} s to {to} \"{name}\", held by {holder}"));
            }
            entry.stack.iter().for_each(|frame| line(format_args!("    at {frame}")));
        }
        out
    }

    fn name(&self, id: u32) -> String {
        let entry = self.threads.iter().find(|entry| entry.id == id);
        entry.map_or_else(|| id.to_string(), |entry| format!("\"{}\" {id}", entry.name))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::read::stat::{Call, Stat};
    use super::*;

    fn wait(thread: u32, lock: &'static str, holder: u32) -> Wait {
        Wait { thread, lock, what: "lock", holder: Some(holder), since: Duration::from_millis(1_500) }
    }

    fn of(waits: &[Wait]) -> Page {
        let threads = [(1, "main"), (2, "worker")].map(|(id, name)| Thread { id, name: name.to_owned() });
        let stat = Some(Stat { state: 'S', ticks: 9 });
        let call = Some(Call { number: libc::SYS_futex, argument: 16 });
        let facts = Facts { stat, waits_in: Some("futex_wait_queue".to_owned()), call };
        let stacks = HashMap::from([(1, vec!["inner (a.rs:1)".to_owned(), "outer".to_owned()])]);
        assemble(threads.to_vec(), &HashMap::from([(1, facts)]), waits, stacks, None)
    }

    #[test]
    fn a_thread_has_its_state_its_wait_and_its_stack() {
        let expected = "2 threads\n\n\"main\" 1 sleeping, 9 ticks of CPU\n  \
            waits in the kernel's futex_wait_queue\n  waits in futex at 0x10\n  \
            waits 1.500 s to lock \"stock\", held by \"worker\" 2\n    at inner (a.rs:1)\n    at outer\n\n\
            \"worker\" 2 ended, 0 ticks of CPU\n";
        assert_eq!(of(&[wait(1, "stock", 2)]).text(), expected);
    }
    #[test]
    fn a_circle_is_a_deadlock_that_names_locks_and_threads() {
        let page = of(&[wait(1, "stock", 2), wait(2, "orders", 1)]);
        let text = page.text();
        let expected = "DEADLOCK: 2 threads wait for each other\n  \
            \"main\" 1 waits for the lock \"stock\", which \"worker\" 2 holds\n  \
            \"worker\" 2 waits for the lock \"orders\", which \"main\" 1 holds\n";
        assert!(text.contains(expected), "{text}");
        assert_eq!(page.deadlocks[0][1], Link { thread: 2, waits_for: "orders", held_by: 1 });
    }
    #[test]
    fn a_queue_is_none() {
        assert!(of(&[wait(1, "stock", 2), wait(2, "orders", 3)]).deadlocks.is_empty());
    }
}
