//! One binary for all targets: `SEAWALL_FUZZ` names the one to run. The functions are those that replay the corpus as
//! ordinary tests.

#![no_main]
#![allow(clippy::unwrap_used, reason = "shared with tests")]

#[path = "../../crates/seawall-http/tests/raw/differential/mod.rs"]
mod differential;
#[path = "../../crates/seawall-http/tests/raw/fuzzed.rs"]
mod fuzzed;
#[path = "../../crates/seawall-http/tests/live/mod.rs"]
mod live;
#[path = "../../crates/seawall-http/tests/raw/wire.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod wire;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("SEAWALL_FUZZ").expect("SEAWALL_FUZZ names a target");
    let known = fuzzed::TARGETS.into_iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("no target `{name}`")).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
