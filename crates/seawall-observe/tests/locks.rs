//! Instrumented locks: their waits in the profiles, and a deadlock on the thread page.

#![cfg(feature = "pprof")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Barrier};
use std::thread;

use seawall_observe::sync::{Mutex, RwLock};
use support::*;

#[inline(never)]
fn who_waits(lock: &Mutex<u32>) -> u32 {
    std::hint::black_box(*lock.lock())
}

#[inline(never)]
fn who_holds(lock: &Mutex<u32>, waiting: impl Fn() -> bool) {
    let guard = lock.lock();
    eventually("the other waits", waiting);
    drop(guard);
    std::hint::black_box(());
}

#[test]
fn a_wait_is_in_both_profiles_with_the_stack_that_is_to_blame() {
    let lock = Arc::new(Mutex::new("stock", 1));
    let waits =
        || get(&pprof(), "/debug/seawall/threads").text().contains("to lock \"stock\", held by \"holder\"");
    let begun = Arc::new(Barrier::new(2));
    let (theirs, at) = (Arc::clone(&lock), Arc::clone(&begun));
    let holder = thread::Builder::new().name("holder".to_owned());
    let holder = holder.spawn(move || {
        let first = theirs.lock();
        at.wait();
        drop(first);
        // Whoever has it first, the other waits: only the holder lets go once it is waited for.
        who_holds(&theirs, waits);
    });
    let holder = holder.unwrap();
    begun.wait();
    // Not before the holder has it for good.
    eventually("the holder has it", || holder.is_finished() || lock.try_lock().is_none());
    assert_eq!(who_waits(&lock), 1);
    holder.join().unwrap();
    let block = go_reads(&get(&pprof(), "/debug/pprof/block").body, &["-raw"]);
    assert!(block.contains("who_waits") && !block.contains("seawall_observe::sync"), "{block}");
    let mutex = go_reads(&get(&pprof(), "/debug/pprof/mutex").body, &["-raw"]);
    assert!(mutex.contains("who_holds"), "{mutex}");
    let top = go_reads(&get(&pprof(), "/debug/pprof/mutex").body, &["-top"]);
    assert!(top.contains("Type: delay"), "{top}");
}

#[test]
fn two_threads_that_wait_for_each_other_are_a_deadlock() {
    let locks = Arc::new((Mutex::new("orders", ()), RwLock::new("prices", ())));
    let both = Arc::new(Barrier::new(2));
    for (name, orders_first) in [("first", true), ("second", false)] {
        let (locks, both) = (Arc::clone(&locks), Arc::clone(&both));
        // They are never joined: a deadlock is for ever, and ends with the process.
        let _forever = thread::Builder::new().name(name.to_owned()).spawn(move || {
            if orders_first {
                let _orders = locks.0.lock();
                both.wait();
                let _prices = locks.1.write();
            } else {
                let _prices = locks.1.write();
                both.wait();
                let _orders = locks.0.lock();
            }
        });
    }
    eventually("it is found", || {
        get(&pprof(), "/debug/seawall/threads").text().contains("DEADLOCK: 2 threads wait for each other")
    });
    let text = get(&pprof(), "/debug/seawall/threads").text();
    assert!(text.contains("waits for the lock \"prices\", which \"second\""), "{text}");
    assert!(text.contains("waits for the lock \"orders\", which \"first\""), "{text}");
}

#[test]
fn locks_still_lock() {
    let (sum, list) = (Arc::new(Mutex::new("sum", 0)), Arc::new(RwLock::new("list", Vec::new())));
    thread::scope(|scope| {
        for n in 0..4 {
            let (sum, list) = (&sum, &list);
            scope.spawn(move || {
                for _ in 0..2_000 {
                    *sum.lock() += 1;
                    assert!(list.read().len() <= 4);
                }
                list.write().push(n);
            });
        }
    });
    assert_eq!((*sum.lock(), list.read().len()), (8_000, 4));
}
