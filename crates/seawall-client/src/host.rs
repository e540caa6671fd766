//! One host that is called: its addresses, and everything that its calls share.
//!
//! [`Host::resolved`] sees to it that there are addresses, [`Host::choose`] picks one and gives a [`Trial`], which
//! reports how that went, once, to breaker, balancer and throttle. A trial that is dropped counts as cancelled.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seawall_core::metrics::Registry;
use seawall_core::{Class, ConfigError, Deadline, Outcome};
use seawall_guard::{
    Attempt, Breaker, BreakerEvent, Failure, Gate, Hedge, Permit, RateLimit, Rejected, RetryBudget,
    RetryDecision, RetryPolicy, Throttle,
};

use crate::address::{Address, HostKey, Target};
use crate::balance::{Balancer, Ejection, Ended, MemberId};
use crate::clock;
use crate::config::ClientConfig;
use crate::connect::Connector;
use crate::connect::resolve::Resolver;
use crate::error::{ErrorKind, Fault, Phase};
use crate::latency::Latencies;
use crate::measure::{Alert, HostMetrics};
use crate::pool::Pool;
use crate::random;

/// How soon names are asked for again when the resolver failed and old addresses still serve.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A host, shared by all its calls.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) key: HostKey,
    pub(crate) metrics: Arc<HostMetrics>,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) hedge: Option<Hedge>,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) gate: Gate,
    pub(crate) rate: Option<RateLimit>,
    config: Arc<ClientConfig>,
    connector: Connector,
    /// Where the addresses come from, if they are not fixed.
    resolver: Option<Arc<dyn Resolver>>,
    resolving: tokio::sync::Mutex<()>,
    dns_breaker: Option<Breaker>,
    latencies: Mutex<Latencies>,
    places: Mutex<Places>,
    born: Instant,
    /// Seconds since `born` of the last alert that was logged, and one.
    alerted: AtomicU64,
}

#[derive(Debug)]
struct Places {
    balancer: Balancer,
    all: Vec<Arc<Place>>,
    good_until: Option<Instant>,
    refreshing: bool,
    names: MemberId,
}

/// One address.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: MemberId,
    pub(crate) address: Address,
    pub(crate) pool: Arc<Pool>,
    breaker: Option<Breaker>,
    metrics: Arc<HostMetrics>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(breaker) = &self.breaker {
            self.metrics.breaker_gone(breaker.state());
        }
    }
}

/// One attempt at one address, until its end is known.
pub(crate) struct Trial {
    pub(crate) place: Arc<Place>,
    host: Arc<Host>,
    breaker: Option<Attempt>,
    /// When the request was sent.
    sent: Option<Instant>,
    /// The throttle counted it, and waits for its end.
    pub(crate) throttled: bool,
    reported: bool,
}

impl Host {
    /// A host that has not been called yet. `name` is its label in metrics.
    ///
    /// # Errors
    /// If a field of guard's configurations is outside its range.
    pub(crate) fn new(
        target: &Target,
        name: &str,
        config: &Arc<ClientConfig>,
        connector: Connector,
        registry: &Registry,
        now: Instant,
    ) -> Result<Arc<Self>, ConfigError> {
        let fixed = match config.hosts.get(target.host.as_str()) {
            Some(host) if !host.addresses.is_empty() => host.addresses.clone(),
            _ => target.literal().map(Address::Tcp).into_iter().collect(),
        };
        let resolver = fixed.is_empty().then(|| Arc::clone(&config.resolver));
        let breaker = |wanted: bool| match &config.breaker {
            Some(breaker) if wanted => Breaker::new(breaker, now).map(Some),
            _ => Ok(None),
        };
        let most = config.max_in_flight.try_into().expect("checked: at least one");
        let host = Self {
            key: target.key(),
            metrics: Arc::new(HostMetrics::new(registry, name)),
            retry: RetryPolicy::new(&config.retry)?,
            budget: RetryBudget::new(&config.retry_budget)?,
            hedge: config.hedge.as_ref().map(Hedge::new).transpose()?,
            throttle: config.throttle.as_ref().map(|it| Throttle::new(it, now)).transpose()?,
            gate: Gate::new(most),
            rate: config.rate.as_ref().map(|it| RateLimit::new(it, now)).transpose()?,
            connector,
            dns_breaker: breaker(resolver.is_some())?,
            resolver,
            resolving: tokio::sync::Mutex::new(()),
            latencies: Mutex::new(Latencies::new()),
            places: Mutex::new(Places {
                balancer: Balancer::new(config.balance, config.ejection, now),
                all: Vec::new(),
                good_until: None,
                refreshing: false,
                names: 0,
            }),
            born: now,
            alerted: AtomicU64::new(0),
            config: Arc::clone(config),
        };
        host.set_addresses(&fixed, None, now);
        Ok(Arc::new(host))
    }

    /// Makes sure that there are addresses. One caller asks the resolver, the others wait for it; addresses that are
    /// merely old serve on while they are renewed. Dropped, nothing is lost.
    pub(crate) async fn resolved(self: &Arc<Self>) -> Result<(), Fault> {
        let now = clock::now();
        let renew = {
            let mut places = self.places.lock();
            if places.all.is_empty() {
                None
            } else {
                let old = places.good_until.is_some_and(|until| now >= until) && !places.refreshing;
                places.refreshing |= old;
                Some(old)
            }
        };
        match renew {
            Some(false) => Ok(()),
            Some(true) => {
                let renewal = Renewal(Arc::clone(self));
                // It ends with the resolver's answer or its time limit, and nobody waits for it.
                tokio::spawn(async move { renewal.0.ask().await });
                Ok(())
            }
            None => {
                let _one = self.resolving.lock().await;
                if self.places.lock().all.is_empty() { self.ask().await } else { Ok(()) }
            }
        }
    }

    async fn ask(&self) -> Result<(), Fault> {
        let Some(resolver) = &self.resolver else { return Ok(()) };
        let leave = match &self.dns_breaker {
            Some(breaker) => {
                let (leave, event) = breaker.try_call(clock::now()).map_err(Fault::rejected)?;
                self.breaker_changed(event, &"its name");
                Some(leave)
            }
            None => None,
        };
        let asked = resolver.resolve(&self.key.host, self.key.port);
        let found = tokio::time::timeout(self.config.connect_timeout, asked).await;
        let now = clock::now();
        let fault = match found {
            Ok(Ok(found)) if !found.is_empty() => {
                let found: Vec<_> = found.into_iter().map(Address::Tcp).collect();
                self.set_addresses(&found, Some(now + self.config.dns_ttl), now);
                if let Some(leave) = leave {
                    let event = leave.finish(Outcome::Success, None, now, random::next());
                    self.breaker_changed(event, &"its name");
                }
                return Ok(());
            }
            Ok(Ok(_)) => Fault::new(ErrorKind::Resolve, Phase::Resolve),
            Ok(Err(error)) => Fault::new(ErrorKind::Resolve, Phase::Resolve).because(error),
            Err(_) => Fault::new(ErrorKind::Resolve, Phase::Resolve).says("the resolver took too long"),
        };
        if let Some(leave) = leave {
            let event = leave.finish(Outcome::Failure(Class::System), None, now, random::next());
            self.breaker_changed(event, &"its name");
        }
        self.alert(Alert::Dns, None, now);
        self.places.lock().good_until = Some(now + ASK_AGAIN.min(self.config.dns_ttl));
        Err(fault)
    }

    /// Makes exactly these the addresses; what is known of those that stay is kept.
    fn set_addresses(&self, addresses: &[Address], good_until: Option<Instant>, now: Instant) {
        let mut gone = Vec::new(); // dropped outside the lock: it ends connections
        let mut places = self.places.lock();
        let mut wanted: Vec<&Address> = Vec::new();
        for address in addresses {
            if wanted.len() < self.config.max_addresses && !wanted.contains(&address) {
                wanted.push(address);
            }
        }
        let (stay, leave): (Vec<_>, Vec<_>) =
            places.all.drain(..).partition(|place| wanted.contains(&&place.address));
        places.all = stay;
        gone.extend(leave);
        for address in wanted {
            if !places.all.iter().any(|place| place.address == *address) {
                places.names += 1;
                let place = self.place(places.names, address.clone(), now);
                places.all.push(place);
            }
        }
        let ids: Vec<_> = places.all.iter().map(|place| place.id).collect();
        places.balancer.set(&ids, now);
        places.good_until = good_until;
        drop(places);
        drop(gone);
    }

    fn place(&self, id: MemberId, address: Address, now: Instant) -> Arc<Place> {
        let pool =
            Pool::new(address.clone(), self.connector.clone(), self.config.pool, Arc::clone(&self.metrics));
        // Checked when the client was made.
        let breaker = self.config.breaker.as_ref().and_then(|it| Breaker::new(it, now).ok());
        Arc::new(Place { id, address, pool, breaker, metrics: Arc::clone(&self.metrics) })
    }

    /// Picks an address and asks its breaker: none of `failed`, none of `tried` if there are others, an ejected one
    /// only if there is nothing else.
    ///
    /// # Errors
    /// [`Rejected::CircuitOpen`], if the breakers of all that are left refuse.
    pub(crate) fn choose(
        self: &Arc<Self>,
        tried: &[MemberId],
        failed: &[MemberId],
    ) -> Result<Trial, Rejected> {
        let now = clock::now();
        let mut out = failed.to_vec();
        let mut soonest: Option<Duration> = None;
        while let Some(place) = self.pick(tried, &out, now) {
            let leave = match place.breaker.as_ref().map(|breaker| breaker.try_call(now)) {
                None => None,
                Some(Ok((leave, event))) => {
                    self.breaker_changed(event, &place.address);
                    Some(leave)
                }
                Some(Err(refusal)) => {
                    out.push(place.id);
                    let wait = refusal.retry_after().unwrap_or_default();
                    soonest = Some(soonest.map_or(wait, |known| known.min(wait)));
                    continue;
                }
            };
            self.places.lock().balancer.start(place.id, now);
            let host = Arc::clone(self);
            return Ok(Trial { place, host, breaker: leave, sent: None, throttled: false, reported: false });
        }
        Err(Rejected::CircuitOpen { retry_after: soonest.unwrap_or_default() })
    }

    fn pick(&self, tried: &[MemberId], out: &[MemberId], now: Instant) -> Option<Arc<Place>> {
        let places = self.places.lock();
        let balancer = &places.balancer;
        let sound = |id: MemberId| !out.contains(&id) && !balancer.is_ejected(id, now);
        let random = random::next();
        let id = balancer
            .pick(|id| sound(id) && !tried.contains(&id), now, random)
            .or_else(|| balancer.pick(sound, now, random))
            .or_else(|| balancer.pick(|id| !out.contains(&id), now, random))?;
        places.all.iter().find(|place| place.id == id).cloned()
    }

    /// Puts this call's part into the retry budget.
    pub(crate) fn note_call(&self) {
        self.budget.note_call();
        self.metrics.retry_tokens(self.budget.left());
    }

    /// Whether a failed attempt is made again. Takes from the budget if it is.
    pub(crate) fn decide(&self, failure: &Failure, deadline: Deadline) -> RetryDecision {
        let decision = self.retry.decide(failure, &self.budget, deadline, clock::now(), random::next());
        self.metrics.retry_tokens(self.budget.left());
        decision
    }

    /// Pays for an attempt that the policy is not asked about.
    pub(crate) fn pay_retry(&self) -> bool {
        let paid = self.budget.try_retry().is_ok();
        self.metrics.retry_tokens(self.budget.left());
        paid
    }

    /// Asks throttle, bulkhead and rate, in this order: what is held back takes no room, and what has no room costs
    /// nothing of the rate.
    ///
    /// # Errors
    /// What refused.
    pub(crate) fn leave(&self, trial: &mut Trial) -> Result<Permit, Rejected> {
        let now = clock::now();
        if let Some(throttle) = &self.throttle {
            throttle.try_call(now, random::next())?;
            trial.throttled = true;
        }
        let permit = self.gate.try_acquire()?;
        if let Some(rate) = &self.rate {
            rate.try_take(1, now)?;
        }
        Ok(permit)
    }

    /// Whether there is an address that is not in `failed`.
    pub(crate) fn has_others(&self, failed: &[MemberId]) -> bool {
        self.places.lock().all.iter().any(|place| !failed.contains(&place.id))
    }

    /// An answer that began well broke off.
    pub(crate) fn broke(&self, id: MemberId) {
        let ejection = self.places.lock().balancer.broke(id, clock::now());
        self.report(ejection.into_iter());
    }

    /// The latency that 95 of a hundred calls stay below.
    pub(crate) fn p95(&self) -> Option<Duration> {
        self.latencies.lock().p95()
    }

    /// Addresses, and how many of them are ejected.
    pub(crate) fn addresses(&self) -> (usize, usize) {
        let places = self.places.lock();
        (places.all.len(), places.balancer.ejected(clock::now()))
    }

    /// Sums over all addresses: connections, idle ones, those who wait.
    pub(crate) fn connections(&self) -> (u32, u32, u32) {
        let all = self.places.lock().all.clone();
        all.iter()
            .map(|place| place.pool.counts())
            .fold((0, 0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1, sum.2 + it.2))
    }

    /// Somebody should look: counted each, logged once a second.
    pub(crate) fn alert(&self, kind: Alert, place: Option<&Place>, now: Instant) {
        self.metrics.alert(kind);
        let second = now.saturating_duration_since(self.born).as_secs() + 1;
        if self.alerted.swap(second, Ordering::Relaxed) == second {
            return;
        }
        let address = place.map(|place| place.address.to_string()).unwrap_or_default();
        tracing::error!(
            alert = true,
            kind = kind.as_str(),
            host = %self.key,
            address,
            "a service cannot be reached"
        );
    }

    fn breaker_changed(&self, event: Option<BreakerEvent>, of: &dyn fmt::Display) {
        let Some(BreakerEvent { from, to, cause }) = event else { return };
        self.metrics.breaker(from, to);
        tracing::warn!(
            host = %self.key,
            address = %of,
            from = from.as_str(),
            to = to.as_str(),
            cause = ?cause,
            "a circuit breaker changed"
        );
    }

    fn report(&self, ejections: impl Iterator<Item = Ejection>) {
        for Ejection { member, cause } in ejections {
            self.metrics.ejected(cause);
            let places = self.places.lock();
            let address = places.all.iter().find(|place| place.id == member).map(|it| it.address.to_string());
            drop(places);
            tracing::warn!(
                host = %self.key,
                address = address.unwrap_or_default(),
                cause = cause.as_str(),
                "an address is left alone for a while"
            );
        }
    }
}

/// The addresses are being renewed, until it is dropped.
struct Renewal(Arc<Host>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.places.lock().refreshing = false;
    }
}

impl Trial {
    /// The request goes out now: its latency counts from here, without the wait for a connection.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// Reports the end. `against` says whether the address may be to blame.
    pub(crate) fn finish(mut self, outcome: Outcome, against: bool, retry_after: Option<Duration>) {
        let now = clock::now();
        self.reported = true;
        if let Some(leave) = self.breaker.take() {
            // A mistake or a quota of the caller says nothing against the address.
            let seen = if against { outcome } else { Outcome::Success };
            let event = leave.finish(seen, retry_after, now, random::next());
            self.host.breaker_changed(event, &self.place.address);
        }
        self.tell_throttle(outcome, now);
        let took = self.took(now);
        let ended = match outcome {
            _ if against => Ended::Bad,
            // Refusing is quick; its latency would make the address look good.
            Outcome::Overloaded => Ended::Cancelled,
            _ => Ended::Good,
        };
        if ended == Ended::Good {
            self.host.latencies.lock().record(took);
        }
        self.ended(ended, took, now);
    }

    /// Since the request was sent; zero if it was not.
    fn took(&self, now: Instant) -> Duration {
        self.sent.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent))
    }

    fn tell_throttle(&self, outcome: Outcome, now: Instant) {
        if let Some(throttle) = self.host.throttle.as_ref().filter(|_| self.throttled) {
            throttle.record(outcome, now);
        }
    }

    fn ended(&self, ended: Ended, took: Duration, now: Instant) {
        let ejections = self.host.places.lock().balancer.finish(self.place.id, ended, took, now);
        self.host.report(ejections.into_iter());
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !self.reported {
            let now = clock::now();
            self.tell_throttle(Outcome::Cancelled, now);
            self.ended(Ended::Cancelled, self.took(now), now);
        }
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("address", &self.place.address).finish_non_exhaustive()
    }
}
