//! One call: hedging around retries around attempts.
//!
//! All of it is one future, so dropping it ends everything at once. `attempt` is one attempt.

mod attempt;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::Method;
use parking_lot::Mutex;
use seawall_core::{Deadline, Outcome};
use seawall_guard::{Failure, Rejected, Repeatable, RetryDecision};
use tracing::Instrument as _;

use crate::address::Target;
use crate::balance::MemberId;
use crate::body::Payload;
use crate::client::Client;
use crate::clock;
use crate::error::{ErrorKind, Fault, Phase, Result};
use crate::host::Host;
use crate::measure::{Again, Counted, End, HostMetrics};
use crate::policy::Verdict;
use crate::request::{Options, Parts};
use crate::response::Response;

/// A call, for all its attempts.
struct Call {
    host: Arc<Host>,
    target: Target,
    method: Method,
    headers: http::HeaderMap,
    payload: Mutex<Payload>,
    repeatable: Repeatable,
    options: Options,
    started: Instant,
    deadline: Deadline,
    attempt_timeout: Duration,
    margin: Duration,
    send_deadline: bool,
    max_body: usize,
    attempts: AtomicU32,
    /// Addresses that attempts went to.
    tried: Mutex<Vec<MemberId>>,
    phase: AtomicU8,
}

/// How an attempt ended.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
enum Attempted {
    /// With an answer, good or bad.
    Answer { response: Response, verdict: Verdict, retry_after: Option<Duration> },
    /// Without one.
    Failed(Failed),
}

/// No answer, and what that means for another attempt.
struct Failed {
    fault: Fault,
    /// As the retry policy takes it.
    outcome: Outcome,
    not_sent: bool,
}

/// Makes the call.
pub(crate) async fn run(client: &Client, target: Target, parts: Parts) -> Result<Response> {
    let started = clock::now();
    let host = match client.host(&target) {
        Ok(host) => host,
        Err(fault) => return Err(fault.after(target.key().to_string(), 0, Duration::ZERO)),
    };
    let mut ending = Ending { metrics: Arc::clone(&host.metrics), started, end: End::Of(Outcome::Cancelled) };
    let active = Counted::start(&host.metrics.active);
    let span = tracing::debug_span!("client_call", host = %host.key, method = %parts.method);
    let call = Call::new(client, host, target, parts, started);
    let ended = hedged(&call).instrument(span).await;
    ending.end = ended.end();
    match ended {
        Attempted::Answer { mut response, .. } => {
            response.set_attempts(call.attempts.load(Relaxed), Some(active));
            Ok(response)
        }
        Attempted::Failed(Failed { fault, .. }) => {
            let elapsed = clock::now().saturating_duration_since(started);
            Err(fault.after(call.host.key.to_string(), call.attempts.load(Relaxed), elapsed))
        }
    }
}

/// Counts the call, even if it is given up.
struct Ending {
    metrics: Arc<HostMetrics>,
    started: Instant,
    end: End,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.metrics.call(self.end, clock::now().saturating_duration_since(self.started));
    }
}

/// The call, and a second one if it takes unusually long. The first good answer counts; the other one is dropped.
async fn hedged(call: &Call) -> Attempted {
    let Some(delay) = call.hedge_after() else { return retried(call).await };
    let mut first = std::pin::pin!(retried(call));
    tokio::select! {
        biased;
        ended = &mut first => return ended,
        () = tokio::time::sleep(delay) => {}
    }
    let allowed = call.host.hedge.as_ref().is_some_and(|hedge| hedge.try_second().is_ok());
    if !allowed {
        return first.await;
    }
    tracing::debug!(after = ?delay, "a second call");
    let mut second = std::pin::pin!(attempt::run(call));
    let (ended, by_second) = tokio::select! {
        ended = &mut first => (ended, false),
        ended = &mut second => (ended, true),
    };
    let won = ended.is_good();
    if won {
        call.host.metrics.hedge(by_second);
        return ended;
    }
    // The one that is left may still do better. If not, the first one's failure is told, which has been retried.
    let (other, first_failed) = if by_second { (first.await, None) } else { (second.await, Some(ended)) };
    call.host.metrics.hedge(!by_second && other.is_good());
    match first_failed {
        Some(failed) if !other.is_good() => failed,
        _ => other,
    }
}

/// Attempts, until one is good or the policy says that it is enough.
async fn retried(call: &Call) -> Attempted {
    call.host.note_call();
    let (mut retry, mut previous_delay) = (0, Duration::ZERO);
    loop {
        let ended = attempt::run(call).await;
        if ended.is_good() || call.options.no_retry {
            return ended;
        }
        let failure = ended.failure(call.repeatable, retry, previous_delay);
        match call.host.decide(&failure, call.deadline) {
            RetryDecision::GiveUp(why) => {
                call.host.metrics.gave_up(why);
                return ended;
            }
            RetryDecision::After(delay) => {
                call.host.metrics.again(ended.cause());
                // One event: a line in the log, and an event of the span where spans are recorded.
                tracing::debug!(retry = retry + 1, ?delay, cause = ended.words(), "another attempt");
                if let Attempted::Answer { response, .. } = ended {
                    response.drain().await;
                }
                tokio::time::sleep(delay).await;
                (retry, previous_delay) = (retry + 1, delay);
            }
        }
    }
}

impl Call {
    fn new(client: &Client, host: Arc<Host>, target: Target, parts: Parts, started: Instant) -> Self {
        let config = client.config();
        let repeatable = parts.repeatable();
        let Parts { method, headers, payload, options, .. } = parts;
        Self {
            deadline: options.deadline(config.timeout, started),
            attempt_timeout: options.attempt_timeout.unwrap_or(config.attempt_timeout),
            max_body: options.max_body.unwrap_or(config.max_body),
            margin: config.margin,
            send_deadline: config.send_deadline,
            headers: with_agent(headers, &config.user_agent),
            payload: Mutex::new(payload),
            attempts: AtomicU32::new(0),
            tried: Mutex::new(Vec::new()),
            phase: AtomicU8::new(Phase::Prepare as u8),
            host,
            target,
            method,
            repeatable,
            options,
            started,
        }
    }

    /// When a second call is made, if at all. Notes the call in the budget of second calls.
    fn hedge_after(&self) -> Option<Duration> {
        let hedge = self.host.hedge.as_ref().filter(|_| !self.options.no_hedge)?;
        hedge.delay(self.repeatable, self.host.p95())
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    fn phase(&self) -> Phase {
        const ALL: [Phase; 6] =
            [Phase::Prepare, Phase::Resolve, Phase::Connect, Phase::Send, Phase::Body, Phase::Decode];
        ALL[usize::from(self.phase.load(Relaxed)) % ALL.len()]
    }
}

fn with_agent(mut headers: http::HeaderMap, agent: &str) -> http::HeaderMap {
    if let Ok(agent) = http::HeaderValue::from_str(agent)
        && !agent.is_empty()
    {
        headers.entry(http::header::USER_AGENT).or_insert(agent);
    }
    headers
}

impl Attempted {
    fn is_good(&self) -> bool {
        matches!(self, Self::Answer { verdict, .. } if verdict.is_good())
    }

    fn failure(&self, repeatable: Repeatable, retry: u32, previous_delay: Duration) -> Failure {
        let (outcome, not_sent, retry_after) = match self {
            Self::Answer { verdict, retry_after, .. } => (verdict.for_retry(), false, *retry_after),
            Self::Failed(Failed { outcome, not_sent, .. }) => (*outcome, *not_sent, None),
        };
        Failure { outcome, retry, repeatable, not_sent, retry_after, previous_delay }
    }

    fn end(&self) -> End {
        match self {
            Self::Answer { verdict, .. } => End::Of(verdict.outcome),
            Self::Failed(Failed { fault, .. }) => match fault.kind {
                ErrorKind::Rejected(_) => End::Rejected,
                _ => End::Of(fault.outcome()),
            },
        }
    }

    fn cause(&self) -> Again {
        match self {
            Self::Answer { verdict, .. } if verdict.outcome == Outcome::Overloaded => Again::Overloaded,
            _ => Again::Transient,
        }
    }

    /// For the log: neither addresses nor anything that was sent.
    fn words(&self) -> String {
        match self {
            Self::Answer { response, .. } => format!("the answer is {}", response.status()),
            Self::Failed(Failed { fault, .. }) => fault.kind.to_string(),
        }
    }
}

impl Failed {
    /// What this side refused: not a failure of the other side, and not tried again.
    fn rejected(why: Rejected) -> Self {
        Self::hopeless(Fault::rejected(why))
    }

    /// Another attempt would end in the same way.
    fn hopeless(fault: Fault) -> Self {
        Self { fault, outcome: Outcome::Cancelled, not_sent: true }
    }
}
