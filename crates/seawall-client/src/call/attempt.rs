//! One attempt: an address, leave from everything that guards the way there, a connection, the request, the head of
//! the answer.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use seawall_core::{Class, Deadline, Outcome};
use seawall_guard::{Permit, Rejected, Repeatable, attempt_timeout, deadline_to_wire, parse_retry_after};

use super::{Attempted, Call, Failed};
use crate::body::SendBody;
use crate::clock;
use crate::connect::{ConnectError, Sender};
use crate::error::{ErrorKind, Fault, Phase};
use crate::host::{Place, Trial};
use crate::measure::{Again, Alert, End};
use crate::policy::{self, Verdict};
use crate::pool::{Lease, PoolError};
use crate::response::{CallFacts, Held, Response};

/// What remains of a call's time, in milliseconds, for whoever is called.
const TIMEOUT_MS: HeaderName = HeaderName::from_static("seawall-timeout-ms");
/// As many digits as the field may have.
const MOST_MS: u64 = 99_999_999;
/// How many addresses one attempt asks for a connection: nothing was sent, so the next one is tried at once.
const MAX_CONNECTS: usize = 3;

/// Makes one attempt, within its time.
pub(super) async fn run(call: &Call) -> Attempted {
    let now = clock::now();
    call.enter(Phase::Prepare);
    let time = match attempt_timeout(call.deadline, call.attempt_timeout, call.margin, now) {
        Ok(time) => time,
        Err(why) => {
            call.host.metrics.rejected(&why);
            return Attempted::Failed(Failed::hopeless(Fault::new(ErrorKind::Timeout, Phase::Prepare)));
        }
    };
    call.attempts.fetch_add(1, Relaxed);
    let mut counting = Counting { call, end: End::Of(Outcome::Cancelled) };
    // Outside the time limit, so that its passing can be reported.
    let mut trial = None;
    let until = Deadline::after(now, time);
    let ended = match tokio::time::timeout(time, within(call, until, &mut trial)).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(failed)) => Attempted::Failed(failed),
        Err(_) => Attempted::Failed(timed_out(call, trial.take())),
    };
    counting.end = ended.end();
    if let Attempted::Failed(Failed { fault: Fault { kind: ErrorKind::Rejected(why), .. }, .. }) = &ended {
        call.host.metrics.rejected(why);
    }
    ended
}

/// Counts the attempt, even if it is given up.
struct Counting<'a> {
    call: &'a Call,
    end: End,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.call.host.metrics.attempt(self.end);
    }
}

fn timed_out(call: &Call, trial: Option<Trial>) -> Failed {
    let phase = call.phase();
    let not_sent = phase < Phase::Send;
    let mut fault = Fault::new(ErrorKind::Timeout, phase);
    if let Some(trial) = trial {
        fault = fault.at(&trial.place.address);
        // Before that it waited for room in our own pool, or for a connection, which has a time limit of its own.
        if !not_sent {
            trial.finish(Outcome::Failure(Class::Transient), true, None);
        }
    }
    Failed { fault, outcome: Outcome::Failure(Class::Transient), not_sent }
}

async fn within(call: &Call, until: Deadline, slot: &mut Option<Trial>) -> Result<Attempted, Failed> {
    call.enter(Phase::Resolve);
    call.host.resolved().await.map_err(Failed::hopeless)?;
    call.enter(Phase::Connect);
    let (permit, lease) = connected(call, slot).await?;
    let (response, lease) = exchange(call, until, lease, slot).await?;
    let trial = slot.take().expect("made by connected, and taken here alone");
    Ok(answered(call, response, lease, permit, trial))
}

/// An address, leave, and a connection to it. The trial stays in `slot`.
async fn connected(call: &Call, slot: &mut Option<Trial>) -> Result<(Permit, Lease), Failed> {
    let mut failed = Vec::new();
    let mut permit = None;
    let mut unreachable = None;
    loop {
        let tried = call.tried.lock().clone();
        // Where the breakers of all others are open, why this one has no connection says more.
        let refused = |why: Rejected| unreachable.take().unwrap_or_else(|| Failed::rejected(why));
        let mut trial = call.host.choose(&tried, &failed).map_err(refused)?;
        let place = std::sync::Arc::clone(&trial.place);
        let room = match permit.take() {
            Some(room) => room,
            None => call.host.leave(&mut trial).map_err(Failed::rejected)?,
        };
        *slot = Some(trial);
        call.tried.lock().push(place.id);
        let error = match place.pool.lease().await {
            Ok(lease) => return Ok((room, lease)),
            Err(PoolError::Full) => return Err(Failed::rejected(Rejected::QueueFull)),
            Err(PoolError::WaitedTooLong) => return Err(Failed::rejected(Rejected::WaitedTooLong)),
            Err(PoolError::Connect(error)) => error,
        };
        permit = Some(room);
        failed.push(place.id);
        let trial = slot.take().expect("put there above");
        let more = failed.len() < MAX_CONNECTS && call.host.has_others(&failed);
        let failure = no_connection(call, error, trial, &place, more);
        if !more {
            return Err(failure);
        }
        unreachable = Some(failure);
    }
}

/// Reports a connection that did not come about. `more` says whether another address will be tried.
fn no_connection(call: &Call, error: ConnectError, trial: Trial, place: &Place, more: bool) -> Failed {
    let system = Outcome::Failure(Class::System);
    let transient = Outcome::Failure(Class::Transient);
    let new = |kind: ErrorKind| Fault::new(kind, Phase::Connect).at(&place.address);
    let (fault, outcome, alert) = match error {
        // Where another address takes the call, the breaker's own line is enough.
        ConnectError::Refused(error) => {
            (new(ErrorKind::Refused).because(error), system, (!more).then_some(Alert::Refused))
        }
        ConnectError::Tls(error) => (new(ErrorKind::Tls).because(error), system, Some(Alert::Tls)),
        ConnectError::TimedOut => (new(ErrorKind::Timeout), transient, None),
        ConnectError::Handshake(error) => (new(ErrorKind::Broken).because(error), transient, None),
        // The trial ends as cancelled: it says nothing about the address.
        ConnectError::Local(error) => {
            let fault = new(ErrorKind::Local).because(error);
            return Failed { fault, outcome: transient, not_sent: true };
        }
    };
    trial.finish(outcome, true, None);
    if let Some(kind) = alert {
        call.host.alert(kind, Some(place), clock::now());
    }
    Failed { fault, outcome, not_sent: true }
}

/// Sends the request and waits for the head of the answer; once more, if the connection turns out to have been closed
/// while it was idle, and that does no harm.
async fn exchange(
    call: &Call,
    until: Deadline,
    mut lease: Lease,
    slot: &mut Option<Trial>,
) -> Result<(http::Response<Incoming>, Lease), Failed> {
    let mut again = false;
    loop {
        let Some(body) = call.payload.lock().send() else {
            let fault = Fault::new(ErrorKind::Request, Phase::Send).says("its body is gone");
            return Err(Failed::hopeless(fault));
        };
        let request = build(call, until, body, matches!(lease.sender(), Sender::H2(_)))?;
        call.enter(Phase::Send);
        if let Some(trial) = slot {
            trial.sent(clock::now());
        }
        lease.busy = true;
        let sent = match lease.sender() {
            Sender::H1(sender) => sender.try_send_request(request).await,
            Sender::H2(sender) => sender.try_send_request(request).await,
        };
        let mut error = match sent {
            Ok(response) => return Ok((response, lease)),
            Err(error) => error,
        };
        let unsent = error.take_message().map(Request::into_body);
        let not_sent = unsent.is_some();
        if let Some(body) = unsent {
            call.payload.lock().put_back(body);
        }
        let error = error.into_error();
        let stale = lease.reused && !again && (not_sent || closed_early(&error));
        if !stale || !may_go_again(call, not_sent) {
            return Err(broken(error, not_sent, slot.take()));
        }
        again = true;
        lease = anew(call, lease, slot).await?;
    }
}

/// Whether the connection ended before anything of an answer came, as one does that the other side had closed.
fn closed_early(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || is_reset(error)
}

fn is_reset(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    use std::io::ErrorKind as Kind;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| {
        matches!(error.kind(), Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted)
    })
}

/// What was sent costs a retry, and must be repeatable; what was not is as if it had never been.
fn may_go_again(call: &Call, not_sent: bool) -> bool {
    not_sent || call.repeatable == Repeatable::Idempotent && call.host.pay_retry()
}

/// Another connection to the same address, after one that had died.
async fn anew(call: &Call, lease: Lease, slot: &mut Option<Trial>) -> Result<Lease, Failed> {
    let place = std::sync::Arc::clone(&slot.as_ref().expect("the attempt goes on").place);
    drop(lease);
    place.pool.distrust_idle();
    call.host.metrics.again(Again::Stale);
    tracing::debug!("the connection had been closed, another attempt");
    call.enter(Phase::Connect);
    place.pool.lease().await.map_err(|error| match error {
        PoolError::Full => Failed::rejected(Rejected::QueueFull),
        PoolError::WaitedTooLong => Failed::rejected(Rejected::WaitedTooLong),
        PoolError::Connect(error) => {
            let trial = slot.take().expect("the attempt goes on");
            no_connection(call, error, trial, &place, false)
        }
    })
}

fn broken(error: hyper::Error, not_sent: bool, trial: Option<Trial>) -> Failed {
    let outcome = Outcome::Failure(Class::Transient);
    // A body that the caller's stream could not deliver is the caller's failure.
    let ours = error.is_user();
    let kind = if ours { ErrorKind::Request } else { ErrorKind::Broken };
    let mut fault = Fault::new(kind, Phase::Send).because(error);
    if let Some(trial) = trial {
        fault = fault.at(&trial.place.address);
        if !ours {
            trial.finish(outcome, true, None);
        }
    }
    if ours { Failed::hopeless(fault) } else { Failed { fault, outcome, not_sent } }
}

/// The request of one attempt.
fn build(call: &Call, until: Deadline, body: SendBody, http2: bool) -> Result<Request<SendBody>, Failed> {
    let mut request = Request::new(body);
    request.method_mut().clone_from(&call.method);
    request.headers_mut().clone_from(&call.headers);
    if http2 {
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = call.target.uri.clone();
        request.headers_mut().remove(HOST);
    } else {
        *request.uri_mut() = call.target.origin_form();
        let host = || call.target.authority.clone();
        request.headers_mut().entry(HOST).or_insert_with(host);
    }
    // RFC 9110, section 8.6: some servers refuse a POST that does not say how long nothing is.
    let wants_length = matches!(call.method, Method::POST | Method::PUT | Method::PATCH);
    if wants_length && request.body().size_hint().exact() == Some(0) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if call.send_deadline {
        let left = deadline_to_wire(until, clock::now())
            .map_err(|_| Failed::hopeless(Fault::new(ErrorKind::Timeout, Phase::Connect)))?;
        request.headers_mut().insert(TIMEOUT_MS, HeaderValue::from(left.min(MOST_MS)));
    }
    for inject in &call.options.inject {
        inject(request.headers_mut());
    }
    Ok(request)
}

/// Reports an answer by its status, and hands it on.
fn answered(
    call: &Call,
    response: http::Response<Incoming>,
    lease: Lease,
    permit: Permit,
    trial: Trial,
) -> Attempted {
    call.enter(Phase::Body);
    let retry_after = retry_after(&response);
    let last = response.headers().get("x-should-retry").is_some_and(|value| value == "false");
    let verdict = Verdict { last, ..policy::of_status(response.status().as_u16(), retry_after.is_some()) };
    let facts = CallFacts {
        host: std::sync::Arc::clone(&call.host),
        address: trial.place.address.clone(),
        started: call.started,
        attempts: call.attempts.load(Relaxed),
    };
    let held = Held { lease, member: trial.place.id, permit, active: None };
    trial.finish(verdict.outcome, verdict.against_address, retry_after);
    let response = Response::new(response, held, facts, call.deadline, call.max_body);
    Attempted::Answer { response, verdict, retry_after }
}

/// Of answers that refuse alone: elsewhere the field means something else.
fn retry_after(response: &http::Response<Incoming>) -> Option<Duration> {
    if !matches!(response.status().as_u16(), 429 | 503) {
        return None;
    }
    let value = response.headers().get(RETRY_AFTER)?;
    Some(parse_retry_after(value.as_bytes())?.delay(clock::unix_seconds()))
}
