//! Shared limits: the decisions in virtual time against a Redis made of arithmetic, the script against the same
//! arithmetic, and all of it against a real Redis that is stopped and killed.

mod leases;
mod model;
mod real;
mod server;

use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_guard::RateLimitConfig;

use super::{SharedKeys, SharedRateLimitConfig, SharedRates, SharedRatesConfig};

/// The most by which what passed is above `burst + d / interval`, in units, over all stretches of it: the slow way.
/// Each admission is a stretch of time itself, within which it took place.
fn most_above(passed: &[(u128, u128, u32)], interval: u128, burst: u32) -> i128 {
    let from = |at: usize| {
        let (began, ..) = passed[at];
        let mut sum = 0;
        passed[at..].iter().map(move |&(_, ended, cost)| {
            sum += u128::from(cost);
            let allowed = (ended - began) / interval + u128::from(burst);
            sum as i128 - allowed as i128
        })
    };
    (0..passed.len()).filter_map(|at| from(at).max()).max().unwrap_or(i128::MIN)
}

#[track_caller]
fn check_refused(config: &SharedRatesConfig, message: &str) {
    let error = SharedRates::start(config, &Registry::default()).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn no_nodes_are_refused() {
    let config = SharedRatesConfig { nodes: 0, ..SharedRatesConfig::default() };
    check_refused(&config, "`shared_rates.nodes` is 0, but must be 1 to 10000");
}
#[test]
fn a_timeout_of_nothing_is_refused() {
    let config = SharedRatesConfig { timeout: Duration::ZERO, ..SharedRatesConfig::default() };
    check_refused(&config, "`shared_rates.timeout` is 0ns, but must be 1 ms to 1 s");
}
#[test]
fn a_bad_url_is_refused_without_its_password() {
    let config = SharedRatesConfig { url: "http://:secret@host".to_owned(), ..SharedRatesConfig::default() };
    let allowed = "redis://[user:password@]host[:port][/db] or unix:///path";
    check_refused(&config, &format!("`shared_rates.url` is not a URL of Redis, but must be {allowed}"));
    assert!(!format!("{config:?}").contains("secret"));
}
#[test]
fn a_prefix_with_a_space_is_refused() {
    let config = SharedRatesConfig { prefix: "a b".to_owned(), ..SharedRatesConfig::default() };
    let allowed = "1 to 64 of letters, digits, `-`, `_` and `:`";
    check_refused(&config, &format!("`shared_rates.prefix` is \"a b\", but must be {allowed}"));
}

#[test]
fn a_lease_above_the_burst_is_refused_and_zero_is_a_share_of_it() {
    let each = RateLimitConfig { interval: Duration::from_millis(1), burst: 100 };
    let config = SharedRateLimitConfig { lease: 101, each, ..SharedRateLimitConfig::default() };
    let error = config.check(2).unwrap_err();
    assert_eq!(error.to_string(), "`shared_rate_limit.lease` is 101, but must be 0 to 100 (each.burst)");
    let (lease, share) = SharedRateLimitConfig { lease: 0, ..config }.check(4).unwrap();
    assert_eq!((lease, share.burst, share.interval), (12, 25, Duration::from_millis(4)));
}

#[test]
fn a_short_secret_is_refused_and_a_long_one_gives_the_same_keys_everywhere() {
    use std::hash::BuildHasher as _;
    let error = SharedKeys::new(b"too short").unwrap_err();
    assert_eq!(error.to_string(), "`shared_rates.secret` is 9 bytes, but must be at least 16 bytes");
    let [one, two] = [(); 2].map(|()| SharedKeys::new(b"0123456789abcdef").unwrap().hash_one("key"));
    assert_eq!(one, two);
    assert_ne!(one, SharedKeys::new(b"0123456789abcdeF").unwrap().hash_one("key"));
}
