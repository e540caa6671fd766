//! One primitive of overload protection, by name: how long one use of it takes, as one JSON line.
//!
//! `guard CASE THREADS`. Each use is one that is let through and ends well. Where a library reads the clock itself, ours
//! reads it too; a case that ends in `-given` is given the time. Tower's services are polled in place, their inner
//! service is ready at once.

mod clock;
mod ours;
mod peers;

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// Time is taken until it is this long, and for this many passes at least. A pass is shorter than a turn on the
/// processor, so that the quickest tenth of them were not interrupted, whatever else the machine does.
const LEAST: Duration = Duration::from_millis(300);
const PASSES: usize = 200;
const USES: u32 = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, threads] = &arguments[..] else { panic!("usage: guard CASE THREADS") };
    let threads = threads.parse().expect("a number of threads");
    if !ours::run(case, threads) && !peers::run(case, threads) {
        panic!("no case is called {case}");
    }
}

/// Measures what `make` makes, once for each thread.
pub(crate) fn measure<U: FnMut()>(threads: usize, make: impl Fn(usize) -> U + Send + Sync + 'static) {
    let (make, barrier) = (Arc::new(make), Arc::new(Barrier::new(threads)));
    let started: Vec<_> = (0..threads)
        .map(|thread| {
            let (make, barrier) = (Arc::clone(&make), Arc::clone(&barrier));
            std::thread::spawn(move || {
                let mut once = make(thread);
                (0..100).for_each(|_| {
                    pass(&mut once);
                });
                barrier.wait();
                let start = clock::now();
                let mut passes = Vec::new();
                while passes.len() < PASSES || start.elapsed() < LEAST {
                    passes.push(pass(&mut once));
                }
                passes.sort_by(f64::total_cmp);
                (passes[passes.len() / 2], passes[passes.len() / 10])
            })
        })
        .collect();
    let found: Vec<(f64, f64)> =
        started.into_iter().map(|thread| thread.join().expect("it panicked")).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    println!("{{\"ns\":{:.2},\"tenth_ns\":{:.2}}}", mean(|it| it.0), mean(|it| it.1));
}

#[inline(never)]
fn pass(once: &mut impl FnMut()) -> f64 {
    let start = clock::now();
    for _ in 0..USES {
        once();
    }
    start.elapsed().as_nanos() as f64 / f64::from(USES)
}

/// Numbers for keys: xorshift, so that drawing one costs next to nothing.
pub(crate) fn keys(thread: usize, below: u64) -> impl FnMut() -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ (thread as u64 + 1);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        black_box(state % below)
    }
}
