//! What admission needs to know about a request, all of it known before the request is read any further.

use std::time::Instant;

use seawall_core::Deadline;

/// How much a request matters. In an overload the lower classes are shed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Shedding it loses money or data: a payment, a write that somebody was told is done.
    CriticalPlus,
    /// What users came for. The default.
    #[default]
    Critical,
    /// May be late or tried again: background refresh, a write in a batch.
    SheddablePlus,
    /// Nobody notices: prefetch, suggestions, crawlers.
    Sheddable,
}

impl Priority {
    /// All classes, the most important first.
    pub const ALL: [Self; 4] = [Self::CriticalPlus, Self::Critical, Self::SheddablePlus, Self::Sheddable];

    /// The class as a metric label or log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CriticalPlus => "critical_plus",
            Self::Critical => "critical",
            Self::SheddablePlus => "sheddable_plus",
            Self::Sheddable => "sheddable",
        }
    }
}

/// What admission decides by.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// When it was read; earlier, if it is known how long it lay in a socket.
    pub arrived: Instant,
    /// Its class.
    pub priority: Priority,
    /// Which part of the users it belongs to, 0 to 127, within its class; larger is shed first. Hash the user and the
    /// hour into it, and the same users are served by every service behind this one. Values above count as 127.
    pub cohort: u8,
    /// Whose turn it uses up: a hash of the tenant, with a random seed if clients can choose it. 0 is nobody in
    /// particular; all of those share one turn.
    pub tenant: u64,
    /// How many requests a turn of its tenant lets through, at least 1.
    pub weight: u8,
    /// When its caller stops waiting, if the caller said so.
    pub deadline: Option<Deadline>,
}

impl Meta {
    /// A request of no special kind: critical, of no tenant, without a deadline of its own.
    pub fn new(arrived: Instant) -> Self {
        Self { arrived, priority: Priority::default(), cohort: 0, tenant: 0, weight: 1, deadline: None }
    }
}
