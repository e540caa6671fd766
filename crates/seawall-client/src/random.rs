//! Randomness for jitter and for choosing hosts: quick, and good enough for that; nothing secret is made of it.
//!
//! Each thread starts at random (the keys of std's `RandomState` come from the system) and goes on with SplitMix64
//! (Steele, Lea, Flood 2014).

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

thread_local!(static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8)));

/// Evenly drawn from all of `u64`.
pub(crate) fn next() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mut x = state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
