//! Which address of a host gets the next call.
//!
//! Power of two choices: two addresses are drawn at random, and the one that seems to cost less ([`load`]) is taken.
//! That keeps clear of slow ones without sending everybody to the best one at once (Mitzenmacher 2001). One that has
//! not been chosen for long is tried anyway. Ejected addresses ([`eject`]) are passed over by the caller's wish.
//! Pure: time and randomness are arguments. Members are found by id, so that a list that changes while calls are out
//! confuses nobody.

mod eject;
mod load;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use seawall_core::ConfigError;

pub(crate) use eject::EjectionCause;
pub use eject::EjectionConfig;

use eject::Health;
use load::Load;

/// How addresses of one host are told apart by their latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalanceConfig {
    /// How fast a latency is forgotten: after so long, 37 % of an estimate are left. 10 ms to 1 hour. Default 10 s.
    pub decay: Duration,
    /// What a failure counts as, instead of its own latency, which may be short. At most 1 hour. Default 5 s.
    pub failure_penalty: Duration,
    /// An address that was not chosen for so long is tried, whatever it seems to cost. 10 ms to 1 day. Default 10 s.
    pub explore_after: Duration,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(10),
            failure_penalty: Duration::from_secs(5),
            explore_after: Duration::from_secs(10),
        }
    }
}

impl BalanceConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const HOUR: Duration = Duration::from_secs(3_600);
        const LEAST: Duration = Duration::from_millis(10);
        let refuse = |field: &'static str, value: Duration, allowed: &str| {
            Err(ConfigError::new(field, format!("{value:?}"), allowed))
        };
        if !(LEAST..=HOUR).contains(&self.decay) {
            return refuse("client.balance.decay", self.decay, "10 ms to 1 hour");
        }
        if self.failure_penalty > HOUR {
            return refuse("client.balance.failure_penalty", self.failure_penalty, "at most 1 hour");
        }
        if !(LEAST..=24 * HOUR).contains(&self.explore_after) {
            return refuse("client.balance.explore_after", self.explore_after, "10 ms to 1 day");
        }
        Ok(())
    }
}

/// Names a member, for as long as it is one.
pub(crate) type MemberId = u64;

/// How a call to a member ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an answer that says nothing against the member.
    Good,
    /// Badly, and the member may be to blame.
    Bad,
    /// Nobody waited, or nothing was sent.
    Cancelled,
}

/// An ejection that just happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ejection {
    pub(crate) member: MemberId,
    pub(crate) cause: EjectionCause,
}

/// The members, and what is known of them.
#[derive(Debug)]
pub(crate) struct Balancer {
    config: BalanceConfig,
    ejection: Option<EjectionConfig>,
    members: Vec<Member>,
    compared: Instant,
}

#[derive(Debug)]
struct Member {
    id: MemberId,
    load: Load,
    health: Health,
}

impl AsRef<Health> for Member {
    fn as_ref(&self) -> &Health {
        &self.health
    }
}

impl AsMut<Health> for Member {
    fn as_mut(&mut self) -> &mut Health {
        &mut self.health
    }
}

impl Balancer {
    /// Without members. Both configurations have been checked.
    pub(crate) fn new(config: BalanceConfig, ejection: Option<EjectionConfig>, now: Instant) -> Self {
        Self { config, ejection, members: Vec::new(), compared: now }
    }

    /// Makes exactly `ids` the members; what is known of those that stay is kept.
    pub(crate) fn set(&mut self, ids: &[MemberId], now: Instant) {
        self.members.retain(|member| ids.contains(&member.id));
        for &id in ids {
            if self.at(id).is_none() {
                self.members.push(Member { id, load: Load::new(now), health: Health::default() });
            }
        }
    }

    /// Chooses among the members that `wanted` lets pass. `random` is evenly drawn from all of `u64`.
    pub(crate) fn pick(
        &self,
        wanted: impl Fn(MemberId) -> bool,
        now: Instant,
        random: u64,
    ) -> Option<MemberId> {
        let eligible = |member: &&Member| wanted(member.id);
        let count = self.members.iter().filter(eligible).count();
        let nth = |at: usize| self.members.iter().filter(eligible).nth(at);
        if count < 2 {
            return Some(nth(0)?.id);
        }
        let longest = self.members.iter().filter(eligible).max_by_key(|it| it.load.unchosen_for(now))?;
        if longest.load.unchosen_for(now) >= self.config.explore_after {
            return Some(longest.id);
        }
        let (first, second) = two_of(count, random);
        Some(self.cheaper(nth(first)?, nth(second)?, now).id)
    }

    /// The cheaper one; the first, if it makes no difference. A member without an answer yet is taken for as fast as
    /// the other, so that it gets its share and no stampede.
    fn cheaper<'a>(&self, first: &'a Member, second: &'a Member, now: Instant) -> &'a Member {
        const NEITHER_IS_KNOWN: f64 = 1.0;
        let latency = |member: &Member| member.load.latency(&self.config, now);
        let (one, two) = (latency(first), latency(second));
        let cost = |member: &Member, latency: Option<f64>| {
            member.load.cost(latency.unwrap_or(NEITHER_IS_KNOWN), &self.config, now)
        };
        if cost(second, two.or(one)) < cost(first, one.or(two)) { second } else { first }
    }

    /// A call to the member begins. Report its end with [`finish`](Self::finish), once.
    pub(crate) fn start(&mut self, id: MemberId, now: Instant) {
        if let Some(at) = self.at(id) {
            self.members[at].load.start(now);
        }
    }

    /// A call to the member has ended after `took`. Gives the ejections that follow.
    pub(crate) fn finish(
        &mut self,
        id: MemberId,
        ended: Ended,
        took: Duration,
        now: Instant,
    ) -> Vec<Ejection> {
        let mut ejections = self.compare(now);
        let Some(at) = self.at(id) else { return ejections };
        let load = &mut self.members[at].load;
        match ended {
            Ended::Good => load.succeed(took, &self.config, now),
            Ended::Bad => load.fail(&self.config, now),
            Ended::Cancelled => {
                load.cancel(took, &self.config, now);
                return ejections;
            }
        }
        ejections.extend(self.judge(at, ended == Ended::Good, now));
        ejections
    }

    /// An answer that began well broke off: counts against the member's health, after its call was reported.
    pub(crate) fn broke(&mut self, id: MemberId, now: Instant) -> Option<Ejection> {
        let at = self.at(id)?;
        self.judge(at, false, now)
    }

    pub(crate) fn is_ejected(&self, id: MemberId, now: Instant) -> bool {
        self.at(id).is_some_and(|at| self.members[at].health.is_ejected(now))
    }

    /// How many members are ejected.
    pub(crate) fn ejected(&self, now: Instant) -> usize {
        self.members.iter().filter(|member| member.health.is_ejected(now)).count()
    }

    fn judge(&mut self, at: usize, good: bool, now: Instant) -> Option<Ejection> {
        let cause = eject::record(&mut self.members, at, good, self.ejection.as_ref()?, now)?;
        Some(Ejection { member: self.members[at].id, cause })
    }

    fn compare(&mut self, now: Instant) -> Vec<Ejection> {
        let Some(config) = &self.ejection else { return Vec::new() };
        if now.saturating_duration_since(self.compared) < config.interval {
            return Vec::new();
        }
        self.compared = now;
        let ejected = eject::compare(&mut self.members, config, now);
        let cause = EjectionCause::SuccessRate;
        ejected.into_iter().map(|at| Ejection { member: self.members[at].id, cause }).collect()
    }

    fn at(&self, id: MemberId) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }
}

/// Two different numbers below `count`, which is at least two.
fn two_of(count: usize, random: u64) -> (usize, usize) {
    let below = |count: usize, random: u64| ((random * count as u64) >> 32) as usize;
    let first = below(count, random >> 32);
    let second = below(count - 1, random & 0xffff_ffff);
    (first, if second >= first { second + 1 } else { second })
}
