//! For `benches/chain.rs` alone: all that a call decides, in its order, without a connection and without a request.

use std::fmt;

use seawall_core::{ConfigError, Outcome};
use seawall_guard::{Repeatable, attempt_timeout, deadline_to_wire};

use crate::address::Target;
use crate::client::Client;
use crate::clock;
use crate::config::ClientConfig;
use crate::measure::{Counted, End};
use crate::policy;
use crate::request::Options;

/// A client and a host of it.
#[doc(hidden)]
pub struct Chain {
    client: Client,
    target: Target,
}

impl Chain {
    /// For a URL whose host has fixed addresses.
    pub fn new(config: ClientConfig, url: &str) -> Result<Self, ConfigError> {
        let target = Target::parse(url).map_err(|wrong| ConfigError::new("url", wrong, "a URL"))?;
        Ok(Self { client: Client::new(config)?, target })
    }

    /// One call that is answered with `status` at once. Says whether it was let through.
    pub fn call(&self, status: u16) -> bool {
        let started = clock::now();
        let Ok(host) = self.client.host(&self.target) else { return false };
        let config = self.client.config();
        let deadline = Options::default().deadline(config.timeout, started);
        let _active = Counted::start(&host.metrics.active);
        let _hedge = host.hedge.as_ref().map(|hedge| hedge.delay(Repeatable::Idempotent, host.p95()));
        host.note_call();
        let now = clock::now();
        if attempt_timeout(deadline, config.attempt_timeout, config.margin, now).is_err() {
            return false;
        }
        let Ok(mut trial) = host.choose(&[], &[]) else { return false };
        let Ok(_permit) = host.leave(&mut trial) else { return false };
        trial.sent(clock::now());
        let _ = deadline_to_wire(deadline, clock::now());
        let verdict = policy::of_status(status, false);
        trial.finish(verdict.outcome, verdict.against_address, None);
        host.metrics.attempt(End::Of(verdict.outcome));
        host.metrics.call(End::Of(verdict.outcome), clock::now().saturating_duration_since(started));
        verdict.outcome == Outcome::Success
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("client", &self.client).finish_non_exhaustive()
    }
}
