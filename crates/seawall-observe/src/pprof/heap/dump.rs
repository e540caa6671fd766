//! jemalloc's heap dump (`heap_v2`), taken apart and scaled up.
//!
//! ```text
//! heap_v2/524288                      the rate: bytes between samples
//!   t*: 3: 1536 [9: 4608]             in all: objects in use: bytes [objects ever allocated: bytes]
//! @ 0x55d0c4b01234 0x55d0c4b05678     a stack, innermost first
//!   t*: 2: 1024 [4: 2048]             of this stack, over all threads; then thread by thread
//! MAPPED_LIBRARIES:                   the rest is not for us
//! ```
//!
//! An allocation of `s` bytes is sampled with the probability `1 - exp(-s / rate)`, so what was seen stands for
//! `1 / (1 - exp(-s / rate))` times as much. Per stack `s` is the mean size, and both objects and bytes are scaled by it;
//! jemalloc arranges its numbers so that this gives the right sums for stacks of mixed sizes, too.

use crate::pprof::stacks::{MOST_STACKS, Stacks};

/// What a dump says.
#[derive(Debug)]
#[cfg_attr(not(any(test, feature = "jemalloc")), expect(dead_code, reason = "read by jemalloc's part only"))]
pub(crate) struct Dump {
    /// Bytes between samples, on average.
    pub(crate) rate: u64,
    /// Objects and bytes ever allocated, objects and bytes in use: scaled up.
    pub(crate) stacks: Stacks<4>,
}

/// Takes a dump apart.
///
/// # Errors
/// What is not as it should be.
#[cfg_attr(
    not(any(test, feature = "jemalloc")),
    expect(dead_code, reason = "called by jemalloc's part only")
)]
pub(crate) fn parse(text: &str) -> Result<Dump, String> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let rate = first.strip_prefix("heap_v2/").and_then(|rate| rate.parse().ok());
    let rate = rate.ok_or_else(|| format!("the heap dump begins with {first:?}"))?;
    let mut stacks = Stacks::new(MOST_STACKS);
    let mut stack = None;
    for line in lines {
        if line.starts_with("MAPPED_LIBRARIES:") {
            break;
        }
        if let Some(addresses) = line.strip_prefix('@') {
            stack = Some(addresses.split_ascii_whitespace().filter_map(address).collect::<Vec<_>>());
        } else if let Some(counts) = line.trim_start().strip_prefix("t*:")
            && let Some(stack) = stack.take()
        {
            let counts = numbers(counts).ok_or_else(|| format!("the heap dump has a line {line:?}"))?;
            stacks.add(0, &stack, scaled(counts, rate));
        }
    }
    Ok(Dump { rate, stacks })
}

/// Where a call returns to; the call is one before.
fn address(text: &str) -> Option<u64> {
    Some(u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?.saturating_sub(1))
}

/// `2: 1024 [4: 2048]`
fn numbers(text: &str) -> Option<[u64; 4]> {
    let mut numbers = text.split([':', '[', ']']).map(str::trim).filter(|part| !part.is_empty());
    let mut next = || numbers.next()?.parse().ok();
    Some([next()?, next()?, next()?, next()?])
}

/// In Go's order: allocated before in use.
fn scaled([live, live_bytes, all, all_bytes]: [u64; 4], rate: u64) -> [i64; 4] {
    let scale = |objects: u64, bytes: u64| {
        if objects == 0 || bytes == 0 || rate == 0 {
            return [0, 0];
        }
        let mean = bytes as f64 / objects as f64;
        let scale = 1.0 / -(-mean / rate as f64).exp_m1();
        [objects, bytes].map(|number| (number as f64 * scale).round() as i64)
    };
    let ([all, all_bytes], [live, live_bytes]) = (scale(all, all_bytes), scale(live, live_bytes));
    [all, all_bytes, live, live_bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand, in the shape of jemalloc 5.3.
    const DUMP: &str = "\
heap_v2/524288
  t*: 3: 1573376 [5: 1574400]
  t0: 3: 1573376 [5: 1574400]
@ 0x1001 0x2001
  t*: 2: 1024 [4: 2048]
  t0: 1: 512 [2: 1024]
  t7: 1: 512 [2: 1024]
@ 0x3001
  t*: 1: 1572352 [1: 1572352]
  t0: 1: 1572352 [1: 1572352]

MAPPED_LIBRARIES:
@ 0x9 this is no stack
  t*: 9: 9 [9: 9]
";

    #[test]
    fn each_stack_has_its_scaled_sums() {
        let dump = parse(DUMP).unwrap();
        assert_eq!(dump.rate, 524_288);
        let stacks: Vec<_> =
            dump.stacks.sorted().into_iter().map(|(key, values)| (key.addresses.to_vec(), *values)).collect();
        // 512 bytes are seen once in 1,024.5 times; one and a half megabytes 0.95 times, so it counts 1.05 times.
        let expected = [
            (vec![0x1000, 0x2000], [4_098, 2_098_176, 2_049, 1_049_088]),
            (vec![0x3000], [1, 1_654_821, 1, 1_654_821]),
        ];
        assert_eq!(stacks, expected);
    }
    #[test]
    fn without_a_history_the_allocated_are_zero() {
        let dump = parse("heap_v2/1\n  t*: 1: 1 [0: 0]\n@ 0x11\n  t*: 1: 100 [0: 0]\n").unwrap();
        assert_eq!(*dump.stacks.sorted()[0].1, [0, 0, 1, 100]);
    }
    #[test]
    fn another_format_is_refused() {
        assert!(parse("heap profile: 1: 2").unwrap_err().contains("heap profile"));
        assert!(parse("").is_err());
        assert!(parse("heap_v2/1\n@ 0x1\n  t*: 1: x [0: 0]\n").unwrap_err().contains("t*: 1: x"));
    }
    /// The naive way: draw samples, scale them up, and compare with what was there.
    #[test]
    fn scaling_is_right_on_average() {
        let (rate, size, allocations) = (4_096_u64, 1_000_u64, 200_000_u64);
        // The golden ratio's multiples fill the unit interval evenly: a draw without a generator.
        let seen = (0..allocations).filter(|n| {
            let draw = (*n as f64 * 0.618_033_988_749_895).fract();
            draw < -(-(size as f64) / rate as f64).exp_m1()
        });
        let seen = seen.count() as u64;
        let [objects, bytes, ..] = scaled([0, 0, seen, seen * size], rate);
        let error = |found: i64, right: u64| (found as f64 / right as f64 - 1.0).abs();
        assert!(error(objects, allocations) < 0.01 && error(bytes, allocations * size) < 0.01);
    }
}
