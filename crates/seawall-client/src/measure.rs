//! What is counted, per host. Hosts that the configuration names have a label of their own; all others share `other`,
//! since a name in a URL may come from anywhere.

use std::time::Duration;

use seawall_core::metrics::{Counter, Gauge, Registry, Timer};
use seawall_core::{Class, Outcome};
use seawall_guard::{BreakerState, GiveUp, Rejected};

use crate::balance::EjectionCause;
use crate::connect::ConnectError;

/// How a call or an attempt ended, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Of(Outcome),
    /// Refused on this side, before anything was sent.
    Rejected,
}

const ENDS: [(End, &str); 7] = [
    (End::Of(Outcome::Success), "success"),
    (End::Of(Outcome::Failure(Class::Transient)), "transient"),
    (End::Of(Outcome::Failure(Class::Permanent)), "permanent"),
    (End::Of(Outcome::Failure(Class::System)), "system"),
    (End::Of(Outcome::Overloaded), "overloaded"),
    (End::Of(Outcome::Cancelled), "cancelled"),
    (End::Rejected, "rejected"),
];

/// The reasons for which this side refuses. Others are not looked up any faster.
const REASONS: [&str; 7] = [
    "circuit_open",
    "throttled",
    "saturated",
    "rate_limited",
    "queue_full",
    "waited_too_long",
    "deadline_exceeded",
];

/// What brought a failure of class `system` about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    Dns,
    Refused,
    Tls,
}

impl Alert {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Tls => "tls",
        }
    }
}

/// Why a further attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Transient,
    Overloaded,
    /// The connection had been closed while it was idle.
    Stale,
}

/// The metrics of one host, or of all that are not named.
#[derive(Debug)]
pub(crate) struct HostMetrics {
    registry: Registry,
    host: Box<str>,
    calls: [Timer; ENDS.len()],
    attempts: [Counter; ENDS.len()],
    rejected: [Counter; REASONS.len()],
    retries: [Counter; 3],
    hedges: [Counter; 2],
    pub(crate) active: Gauge,
    pub(crate) connections: Gauge,
    waiters: Gauge,
    open_breakers: Gauge,
    retry_tokens: Gauge,
}

impl HostMetrics {
    /// Names them. `host` is a name from the configuration, or `other`.
    pub(crate) fn new(registry: &Registry, host: &str) -> Self {
        let label = ("host", host);
        let calls = ENDS.map(|(_, outcome)| {
            registry.timer(
                "seawall_client_call_duration_seconds",
                "A call with all its attempts, up to the head of the answer.",
                &[label, ("outcome", outcome)],
            )
        });
        let attempts = ENDS.map(|(_, outcome)| {
            registry.counter(
                "seawall_client_attempts_total",
                "Attempts by how they ended.",
                &[label, ("outcome", outcome)],
            )
        });
        let rejected = REASONS.map(|reason| rejected(registry, host, reason));
        let retries = ["transient", "overloaded", "stale"].map(|cause| {
            registry.counter(
                "seawall_client_retries_total",
                "Attempts after the first, by what ended the one before.",
                &[label, ("cause", cause)],
            )
        });
        let hedges = ["first", "second"].map(|winner| {
            registry.counter(
                "seawall_client_hedges_total",
                "Second calls that were made because the first took long, by whose answer was taken.",
                &[label, ("winner", winner)],
            )
        });
        let active = registry.gauge(
            "seawall_client_active_requests",
            "Calls under way, answers included that are still being read.",
            &[label],
        );
        let connections = registry.gauge("seawall_client_connections", "Open connections.", &[label]);
        let waiters = registry.gauge("seawall_client_waiters", "Calls that wait for a connection.", &[label]);
        let open_breakers =
            registry.gauge("seawall_client_breakers_open", "Addresses whose breaker is open.", &[label]);
        let retry_tokens = registry.gauge(
            "seawall_client_retry_budget_tokens",
            "Retries that the budget pays for at this moment.",
            &[label],
        );
        let (registry, host) = (registry.clone(), host.into());
        Self {
            registry,
            host,
            calls,
            attempts,
            rejected,
            retries,
            hedges,
            active,
            connections,
            waiters,
            open_breakers,
            retry_tokens,
        }
    }

    pub(crate) fn call(&self, end: End, took: Duration) {
        self.calls[place(end)].observe(took);
    }

    pub(crate) fn attempt(&self, end: End) {
        self.attempts[place(end)].inc();
    }

    pub(crate) fn rejected(&self, why: &Rejected) {
        match REASONS.iter().position(|reason| *reason == why.reason()) {
            Some(at) => self.rejected[at].inc(),
            None => rejected(&self.registry, &self.host, why.reason()).inc(),
        }
    }

    pub(crate) fn again(&self, why: Again) {
        self.retries[why as usize].inc();
    }

    /// Hosts that share these metrics have a budget each; the one that was used last is shown.
    pub(crate) fn retry_tokens(&self, left: u32) {
        self.retry_tokens.set(left.into());
    }

    pub(crate) fn gave_up(&self, why: GiveUp) {
        let reason = match why {
            GiveUp::Pointless => return,
            GiveUp::NotRepeatable => "not_repeatable",
            GiveUp::Attempts => "attempts",
            GiveUp::Budget => "budget",
            GiveUp::Deadline => "deadline",
            GiveUp::RetryAfter => "retry_after",
        };
        self.registry
            .counter(
                "seawall_client_retries_denied_total",
                "Failures that might pass and were handed on all the same, by why.",
                &[("host", &*self.host), ("reason", reason)],
            )
            .inc();
    }

    pub(crate) fn hedge(&self, second_won: bool) {
        self.hedges[usize::from(second_won)].inc();
    }

    pub(crate) fn breaker(&self, from: BreakerState, to: BreakerState) {
        let open = |state: BreakerState| i64::from(state == BreakerState::Open);
        self.open_breakers.add(open(to) - open(from));
        self.registry
            .counter(
                "seawall_client_breaker_transitions_total",
                "Changes of breakers, by what they changed to.",
                &[("host", &*self.host), ("to", to.as_str())],
            )
            .inc();
    }

    /// A breaker is forgotten together with its address.
    pub(crate) fn breaker_gone(&self, state: BreakerState) {
        if state == BreakerState::Open {
            self.open_breakers.sub(1);
        }
    }

    pub(crate) fn ejected(&self, cause: EjectionCause) {
        self.registry
            .counter(
                "seawall_client_ejections_total",
                "Addresses that were ejected, by the sign.",
                &[("host", &*self.host), ("cause", cause.as_str())],
            )
            .inc();
    }

    pub(crate) fn alert(&self, kind: Alert) {
        self.registry
            .counter(
                "seawall_client_alerts_total",
                "Failures of class `system`: somebody should look.",
                &[("host", &*self.host), ("kind", kind.as_str())],
            )
            .inc();
    }

    pub(crate) fn connected(&self, error: Option<&ConnectError>) {
        let outcome = match error {
            None => "ok",
            Some(ConnectError::Refused(_)) => "refused",
            Some(ConnectError::Local(_)) => "local",
            Some(ConnectError::TimedOut) => "timeout",
            Some(ConnectError::Tls(_)) => "tls",
            Some(ConnectError::Handshake(_)) => "handshake",
        };
        self.registry
            .counter(
                "seawall_client_connects_total",
                "Connections that were opened or not, by what came of it.",
                &[("host", &*self.host), ("outcome", outcome)],
            )
            .inc();
    }

    /// Counts somebody who waits, until it is dropped.
    pub(crate) fn waits(&self) -> Counted {
        Counted::start(&self.waiters)
    }
}

fn place(end: End) -> usize {
    ENDS.iter().position(|(known, _)| *known == end).unwrap_or(0)
}

fn rejected(registry: &Registry, host: &str, reason: &str) -> Counter {
    registry.counter(
        "seawall_client_rejected_total",
        "Calls and attempts that this side refused, by why.",
        &[("host", host), ("reason", reason)],
    )
}

/// One more on a gauge, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn start(gauge: &Gauge) -> Self {
        gauge.add(1);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}
