//! What the servers of `cargo xtask bench overload` have in common: their arguments, the work of a request, the slots.
//!
//! Every server is `overload-<name> ADDR SPINS [VARIANT]` and uses one core. It has three routes. `GET /cpu` computes
//! for 1 ms. `GET /slots` takes one of eight slots and waits for 5 ms, as for a database. `GET /mixed/{draw}`, where the
//! draw is 1 to 10, is heavy (5 ms of computing, status 201) for 10 and cheap (0.2 ms, status 200) for all others. The
//! statuses let the generator tell the two apart.

use std::hint::black_box;
use std::time::Duration;

use crate::clock;

/// Requests that may wait at once in `/slots`, and for how long each does.
pub const SLOTS: usize = 8;
pub const SLOT_TIME: Duration = Duration::from_millis(5);

/// The draw of `/mixed/{draw}` that is heavy.
pub const HEAVY_DRAW: u32 = 10;

/// How many spins take 1 ms: measured once per run, on the server's core, and told to all servers.
#[derive(Debug, Clone, Copy)]
pub struct Spins(pub u64);

impl Spins {
    /// The work of `/cpu`.
    pub fn medium(self) {
        spin(self.0);
    }

    /// The cheap work of `/mixed`.
    pub fn cheap(self) {
        spin(self.0 / 5);
    }

    /// The heavy work of `/mixed`.
    pub fn heavy(self) {
        spin(self.0 * 5);
    }

    /// Finds out how many take 1 ms: the quickest of many tries, since whatever disturbs one makes it slower.
    pub fn calibrate() -> Self {
        const TRY: u64 = 1_000_000;
        let took = |_| {
            let start = clock::now();
            spin(TRY);
            (clock::now() - start).as_nanos()
        };
        let quickest = (0..300).map(took).min().unwrap_or(1);
        Self((u128::from(TRY) * 1_000_000 / quickest) as u64)
    }
}

/// A chain of multiplications, each of which has to wait for the one before: the same in all servers.
#[inline(never)]
fn spin(times: u64) -> u64 {
    let mut x = 1_u64;
    for i in 0..times {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i));
    }
    x
}

/// The arguments of a server.
#[derive(Debug, Clone)]
pub struct Arguments {
    pub addr: String,
    pub spins: Spins,
    pub variant: String,
}

/// Reads the process's arguments.
pub fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let (Some(addr), Some(spins)) = (given.next(), given.next().and_then(|spins| spins.parse().ok())) else {
        panic!("usage: ADDR SPINS [VARIANT]")
    };
    Arguments { addr, spins: Spins(spins), variant: given.next().unwrap_or_default() }
}
