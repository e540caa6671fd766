//! The heap profile, with jemalloc as this test's allocator, and the two profilers at the same time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seawall_observe::{Pprof, PprofConfig};
use support::*;

#[global_allocator]
static ALLOCATOR: seawall_observe::Jemalloc = seawall_observe::Jemalloc;

const MIB: usize = 1 << 20;

/// Everything, however small beside what other tests of this process have allocated.
const TOP: [&str; 3] = ["-top", "-unit=MB", "-nodefraction=0"];

fn heap() -> Pprof {
    Pprof::new(&PprofConfig { heap: true, ..PprofConfig::default() }).unwrap()
}

#[inline(never)]
fn keeps_memory() -> Vec<Vec<u8>> {
    (0..64).map(|_| black_box(vec![1_u8; MIB])).collect()
}

#[inline(never)]
fn drops_memory() {
    for _ in 0..64 {
        black_box(vec![1_u8; MIB]);
    }
}

/// The sum of a function's own and called values in a `-top` print, in MiB.
fn cumulative(top: &str, name: &str) -> f64 {
    let line = top.lines().find(|line| line.contains(name)).unwrap_or_default();
    let word = line.split_whitespace().nth(3).unwrap_or_default();
    let number: f64 = word.trim_end_matches(char::is_alphabetic).parse().unwrap_or(0.0);
    if word.ends_with("kB") { number / 1_024.0 } else { number }
}

#[test]
fn the_heap_is_what_lives_and_allocs_is_what_ever_lived() {
    let _alone = alone();
    let pprof = heap();
    let kept = keeps_memory();
    drops_memory();
    let answer = get(&pprof, "/debug/pprof/heap");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let raw = go_reads(&answer.body, &["-raw"]);
    let types = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes";
    assert!(raw.contains(types), "{raw}");
    let inuse = go_reads(&answer.body, &TOP);
    assert!(inuse.contains("Type: inuse_space"), "{inuse}");
    // 64 MiB in pieces twice as large as the sampling's rate: the error is a few per cent; allowed is a third.
    let found = cumulative(&inuse, "keeps_memory");
    assert!((43.0..85.0).contains(&found), "{found} MiB:\n{inuse}");
    assert!(!inuse.contains("drops_memory"), "{inuse}");
    let allocs = go_reads(&get(&pprof, "/debug/pprof/allocs").body, &TOP);
    assert!(allocs.contains("Type: alloc_space"), "{allocs}");
    let found = cumulative(&allocs, "drops_memory");
    assert!((43.0..85.0).contains(&found), "{found} MiB:\n{allocs}");
    // Who allocates is at the tip, not the allocator.
    assert!(!inuse.contains("_rjem_") && !inuse.contains("prof_backtrace"), "{inuse}");
    drop(kept);
    let text = get(&pprof, "/debug/pprof/heap?gc=1&debug=1").text();
    assert!(text.contains("given back to the system"), "{text}");
}

#[test]
fn a_heap_delta_is_a_file_of_its_own() {
    let answer = get(&heap(), "/debug/pprof/heap?seconds=0.2");
    assert!(answer.head.contains("filename=\"heap-delta\""), "{}", answer.head);
    go_reads(&answer.body, &["-top"]);
}

fn allocates(stop: &AtomicBool) {
    let mut kept = Vec::new();
    for size in (1..).map(|n: usize| n * 7_919 % 65_536) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        kept.push(vec![size as u8; size]);
        if kept.len() > 100 {
            kept.drain(..50);
        }
    }
}

/// Other profilers crash here: both walk stacks at any moment, one from a signal, one inside the allocator. Longer by
/// hand: `SEAWALL_SOAK_SECONDS=600`.
#[test]
fn cpu_and_heap_profiles_under_load_at_the_same_time_never_crash() {
    let _alone = alone();
    let seconds = std::env::var("SEAWALL_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let pprof = heap();
    let _work: Vec<_> = (0..4).map(|_| Work::start("allocator", allocates)).collect();
    let _more = [Work::start("cruncher", busy_outside), Work::start("reader", busy_in_the_kernel)];
    let _waits = Work::start("sleeper", asleep);
    let end = now() + Duration::from_secs(seconds);
    let (mut rounds, mut samples) = (0, 0);
    while now() < end {
        let method = ["timers", "auto"][rounds % 2];
        let other = pprof.clone();
        let cpu = std::thread::spawn(move || {
            get(&other, &format!("/debug/pprof/profile?seconds=1&hz=999&method={method}&format=folded"))
        });
        while !cpu.is_finished() {
            assert_eq!(get(&pprof, "/debug/pprof/heap").status, 200);
            assert_eq!(get(&pprof, "/debug/seawall/threads").status, 200);
        }
        let cpu = cpu.join().unwrap();
        assert_eq!(cpu.status, 200, "{}", cpu.text());
        samples += cpu.text().lines().count();
        assert_eq!(get(&pprof, "/debug/pprof/wall?seconds=0.2").status, 200);
        rounds += 1;
    }
    assert!(samples > 0);
    println!("{rounds} rounds, {samples} stacks");
}
