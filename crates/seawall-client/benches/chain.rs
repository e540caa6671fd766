//! What a call costs before and after the network: `cargo bench -p seawall-client`.
//!
//! Everything that is decided for a call that goes well: the host looked up, hedge, budget, deadline, choice among the
//! addresses, breaker, throttle, bulkhead, rate, the verdict, the reports, the metrics.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use seawall_client::{Address, Chain, ClientConfig, HostConfig};
use seawall_guard::{HedgeConfig, RateLimitConfig};

fn config(addresses: u16) -> ClientConfig {
    let address = |port: u16| Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    let addresses = (1..=addresses).map(address).collect();
    ClientConfig { hosts: [("svc".to_owned(), HostConfig { addresses })].into(), ..ClientConfig::default() }
}

fn chain(c: &mut Criterion) {
    let mut group = c.benchmark_group("chain");
    let mut measure = |name: &str, config: ClientConfig| {
        let chain = Chain::new(config, "http://svc/").expect("a valid configuration");
        group.bench_function(name, |b| b.iter(|| assert!(chain.call(black_box(200)))));
    };
    measure("defaults_1_address", config(1));
    measure("defaults_3_addresses", config(3));
    measure("defaults_16_addresses", config(16));
    let rate = RateLimitConfig { interval: std::time::Duration::from_nanos(1), burst: 1_000_000 };
    measure(
        "all_on_3_addresses",
        ClientConfig { hedge: Some(HedgeConfig::default()), rate: Some(rate), ..config(3) },
    );
    measure("all_off_1_address", ClientConfig { breaker: None, throttle: None, ejection: None, ..config(1) });
    group.finish();
}

criterion_group!(benches, chain);
criterion_main!(benches);
