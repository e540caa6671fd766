//! Ids that tell requests, traces and spans apart. Unique, not secret: nobody may be let in because he knows one.
//!
//! A cryptographic generator would cost more than the rest of an id, and buy nothing: an id is written into headers
//! and logs anyway. Each thread starts at random (the keys of std's `RandomState` come from the system), and goes on
//! with two SplitMix64 sequences, so that 128 random bits keep threads and processes apart.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

/// The odd constant of SplitMix64 (Steele, Lea, Flood 2014): the golden ratio in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

thread_local!(static STATE: Cell<(u64, u64)> = {
    let random = RandomState::new();
    Cell::new((random.hash_one(0_u8), random.hash_one(1_u8)))
});

/// 128 bits, different in every call of every thread. Both halves look random.
pub(crate) fn next() -> u128 {
    let (high, low) = STATE.get();
    STATE.set((high.wrapping_add(STEP), low.wrapping_add(STEP)));
    u128::from(mix(high)) << 64 | u128::from(mix(low))
}

/// The finaliser of SplitMix64: a bijection, so different states give different ids.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The last `N` hexadecimal digits of `id`, in lower case.
pub(crate) fn hex<const N: usize>(id: u128) -> [u8; N] {
    let mut digits = [b'0'; N];
    // Byte by byte: shifts of 128 bits would cost more than all the rest.
    for (pair, byte) in digits.rchunks_mut(2).zip(id.to_le_bytes()) {
        let [high, low] = [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
        if let [.., before, last] = pair {
            (*before, *last) = (high, low);
        } else if let [only] = pair {
            *only = low;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_all_threads_differ() {
        let ids = || (0..10_000).map(|_| next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ids)).collect();
        let all: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 40_000);
    }
    #[test]
    fn both_halves_differ_too() {
        let ids: Vec<_> = (0..10_000).map(|_| next()).collect();
        assert_eq!(ids.iter().map(|id| (id >> 64) as u64).collect::<HashSet<_>>().len(), 10_000);
        assert_eq!(ids.iter().map(|id| *id as u64).collect::<HashSet<_>>().len(), 10_000);
    }
    #[test]
    fn hexadecimal_digits_are_those_of_the_value() {
        assert_eq!(&hex::<8>(0xdead_beef), b"deadbeef");
        assert_eq!(&hex::<4>(0xdead_beef), b"beef");
        assert_eq!(std::str::from_utf8(&hex::<32>(7)).unwrap(), format!("{:032x}", 7));
    }
}
