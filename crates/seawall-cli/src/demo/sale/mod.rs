//! The sale: thousands of buyers who come within three seconds for one product, and stay until each knows what became
//! of the order.
//!
//! Buyers are state machines (`buyer`) on seawall-load's virtual users; what they intend is drawn from a seed before
//! (`plan`). What they see goes into a journal (`journal`): a history for flashsale's checker, and counts over time for
//! the report.
//!
//! Left out: judging. The checker does that, with the database.

mod accounts;
mod buyer;
mod journal;
mod plan;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use flashsale::checker::History;
use seawall_lab::report::Sale;
use seawall_load::Tick;
use seawall_load::users::{User, UsersConfig, run_users};

use buyer::{Buyer, SecondClick, Shared};
use journal::Journal;
use plan::{ARRIVALS, Plan};
use wire::Wire;

/// A sale that shall not take longer than needed should give buyers this long to pay.
pub(crate) const SHORT_PAY_TIMEOUT: Duration = Duration::from_secs(5);
/// Watchers leave so long before the time limit, even if units may still come back.
const CLOSING: Duration = Duration::from_secs(10);
/// And after so many times the time to pay: a unit that came back so often will again.
const MAX_ROUNDS: u32 = 6;

/// A sale.
#[derive(Debug, Clone)]
pub(crate) struct SaleConfig {
    /// Where the service answers. No default.
    pub(crate) address: SocketAddr,
    /// What is for sale. Default 1.
    pub(crate) product: u64,
    /// Buyers. Default 5,000.
    pub(crate) buyers: u64,
    /// How long the service lets a confirmed order wait for its payment: some buyers never pay, and their units find
    /// another buyer. Default 30 s, as the service's.
    pub(crate) pay_timeout: Duration,
    /// What the buyers intend follows from it. Default 1.
    pub(crate) seed: u64,
    /// Connections that all buyers share. Default 512.
    pub(crate) connections: usize,
    /// Processors of the generator, one thread each. Default: one thread, not pinned.
    pub(crate) cpus: Vec<usize>,
    /// When the sale is broken off. Default 90 s.
    pub(crate) time_limit: Duration,
    /// Set it to end the sale early.
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl Default for SaleConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            product: 1,
            buyers: 5_000,
            pay_timeout: Duration::from_secs(30),
            seed: 1,
            connections: 512,
            cpus: Vec::new(),
            time_limit: Duration::from_secs(90),
            interrupt: Arc::default(),
        }
    }
}

/// What came of a sale.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Everything the buyers asked about orders, for the checker.
    pub(crate) history: History,
    /// What the buyers saw. The numbers that only the database knows are zero.
    pub(crate) sale: Sale,
}

/// Registers the buyers, lets them come, and waits until each is done or the time limit is reached. Blocks.
///
/// # Errors
/// The service cannot be reached or registers nobody, or the generator could not start. Whatever goes wrong in the sale
/// itself is in the outcome.
pub(crate) fn run_sale(config: &SaleConfig, observer: &mut dyn FnMut(&Tick)) -> Result<Outcome> {
    let wire = Wire { host: config.address.to_string(), product: config.product };
    let users_config = UsersConfig {
        url: format!("http://{}", config.address),
        connections: config.connections,
        threads: config.cpus.len().max(1),
        time_limit: config.time_limit,
        cpus: (!config.cpus.is_empty()).then(|| config.cpus.clone()),
        interrupt: Arc::clone(&config.interrupt),
        ..UsersConfig::default()
    };
    let ids = accounts::register(&users_config, wire.clone(), config.buyers)?;
    let journal = Journal::default();
    let rounds = ARRIVALS + config.pay_timeout * MAX_ROUNDS;
    let watch_until = config.time_limit.saturating_sub(CLOSING).min(rounds);
    let shared = Arc::new(Shared { wire, journal: journal.clone(), busy: AtomicUsize::new(0), watch_until });
    let load = run_users(&users_config, crowd(config.seed, &ids, &shared), observer)?;
    let pages = journal.take();
    let sale = pages.sale(config.buyers, &load);
    Ok(Outcome { history: pages.into_history(), sale })
}

/// All buyers with their times of arrival; second clicks are users of their own, for they come on other connections.
fn crowd(seed: u64, ids: &[u64], shared: &Arc<Shared>) -> Vec<(Duration, Box<dyn User>)> {
    let mut users: Vec<(Duration, Box<dyn User>)> = Vec::with_capacity(ids.len() + ids.len() / 8);
    for (number, &user_id) in ids.iter().enumerate() {
        let plan = Plan::new(seed, number as u64);
        let key = format!("sale-{seed:x}-{number}");
        let found = plan.second_click.map(|delay| {
            let found = Arc::new(Mutex::new(None));
            shared.busy.fetch_add(1, SeqCst);
            let second = SecondClick {
                shared: Arc::clone(shared),
                user_id,
                key: key.clone(),
                found: Arc::clone(&found),
            };
            users.push((plan.first_click() + delay, Box::new(second)));
            found
        });
        let arrival = plan.arrival;
        users.push((arrival, Box::new(Buyer::new(Arc::clone(shared), user_id, key, plan, found))));
    }
    users
}
