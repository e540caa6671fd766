//! What a shared cache may do with a request and with an answer ([RFC 9111](https://www.rfc-editor.org/rfc/rfc9111)):
//! pure functions, the time is an argument.
//!
//! Stricter than the RFC where that is safer and costs little: answers that may be kept only under conditions
//! (`no-cache`, `private` with names) are not kept at all, requests with cookies are treated as those with
//! `Authorization`, and a stale answer is never used.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::directives::Directives;
use super::stored::CachedAnswer;
use crate::respond::{Response, lists_tag};

/// What the cache does with a request, by its head alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It may be answered with what is kept, and what it is answered with may be kept.
    Reads(Wanted),
    /// It may change something: when it has succeeded, what is kept for its target goes (4.4).
    Changes,
    /// It passes as if there were no cache.
    Passes,
}

/// What a request asks of an answer that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Nothing that is kept will do.
    pub(super) anew: bool,
    /// Nothing but what is kept will do.
    pub(super) only_kept: bool,
    max_age: Option<Duration>,
    min_fresh: Duration,
    /// It says who sends it.
    credentials: bool,
}

/// The role of a request. With `obey` the client has a say, by `Cache-Control` and `Pragma`; `no-store` is always
/// obeyed.
pub(super) fn role(method: &Method, headers: &HeaderMap, obey: bool) -> Role {
    let reads = method == Method::GET || method == Method::HEAD;
    let safe = *method == Method::OPTIONS || *method == Method::TRACE || method.as_str() == "QUERY";
    if !reads {
        return if safe || *method == Method::CONNECT { Role::Passes } else { Role::Changes };
    }
    let asked = Directives::of(headers);
    if asked.no_store || is_special(headers) {
        return Role::Passes;
    }
    Role::Reads(wanted(headers, &asked, obey))
}

/// Whether its answer depends on more than its target: on a body, which is no part of the key (over HTTP/2 it may come
/// unannounced, so the caller looks for it as well); on a range, or a condition that may fail; on whether the protocol
/// changes.
fn is_special(headers: &HeaderMap) -> bool {
    let any = [
        header::RANGE,
        header::IF_MATCH,
        header::IF_UNMODIFIED_SINCE,
        header::UPGRADE,
        header::TRANSFER_ENCODING,
    ];
    let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    has_body || any.iter().any(|name| headers.contains_key(name))
}

fn wanted(headers: &HeaderMap, asked: &Directives, obey: bool) -> Wanted {
    let credentials = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE);
    if !obey {
        return Wanted { credentials, ..Wanted::default() };
    }
    // HTTP/1.0 clients know no other way (5.4).
    let pragma = !headers.contains_key(header::CACHE_CONTROL)
        && headers
            .get(header::PRAGMA)
            .is_some_and(|pragma| pragma.as_bytes().eq_ignore_ascii_case(b"no-cache"));
    Wanted {
        anew: asked.no_cache || pragma || asked.max_age == Some(0),
        only_kept: asked.only_if_cached,
        max_age: asked.max_age.map(Duration::from_secs),
        min_fresh: Duration::from_secs(asked.min_fresh.unwrap_or(0)),
        credentials,
    }
}

impl Wanted {
    /// Whether an answer that is kept will do.
    pub(super) fn takes(&self, answer: &CachedAnswer, now: SystemTime) -> bool {
        let age = answer.age(now);
        !self.anew
            && (answer.for_all || !self.credentials)
            && self.max_age.is_none_or(|most| age <= most)
            && answer.fresh_for.saturating_sub(age) >= self.min_fresh
    }
}

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long an answer is fresh that does not say it; zero is not at all.
    pub(super) default_fresh: Duration,
    pub(super) max_fresh: Duration,
    pub(super) max_body_bytes: usize,
}

/// What is kept of an answer to a GET request, and for how long from now; `None` if it must not or need not be kept
/// (3, 3.5, 5.2.2).
pub(super) fn keep(
    wanted: &Wanted,
    request: &HeaderMap,
    response: &Response,
    limits: &Limits,
    now: SystemTime,
) -> Option<(CachedAnswer, Duration)> {
    let headers = response.headers();
    let said = Directives::of(headers);
    let for_all = said.public || said.s_maxage.is_some();
    let not_for_others = wanted.credentials && !for_all;
    let forbidden = said.no_store || said.no_cache || said.private || not_for_others;
    // Whoever sets a cookie speaks to one client. A part is no answer for the next one who asks for the whole.
    let of_one = headers.contains_key(header::SET_COOKIE) || headers.contains_key(header::CONTENT_RANGE);
    if forbidden || of_one || !may_keep(response.status()) {
        return None;
    }
    let body = response.bytes().filter(|body| body.len() <= limits.max_body_bytes)?.clone();
    let names = vary(headers)?;
    let fresh_for = freshness(headers, &said, response.status(), limits, now)?;
    let age = headers.get(header::AGE).map_or(Some(0), |age| age.to_str().ok()?.trim().parse().ok())?;
    let age = Duration::from_secs(age);
    let left = fresh_for.checked_sub(age).filter(|left| !left.is_zero())?;
    let values = |name: HeaderName| {
        let values = request.get_all(&name).iter().cloned().collect();
        (name, values)
    };
    let answer = CachedAnswer {
        status: response.status(),
        headers: lasting(headers, now),
        body,
        made_at: now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH),
        fresh_for,
        vary: names.into_iter().map(values).collect(),
        for_all,
    };
    Some((answer, left))
}

/// Statuses that say something about the target, and not about the moment. A 304 speaks to one client, a 206 has a
/// part, and a failure of ours is to be tried again.
fn may_keep(status: StatusCode) -> bool {
    let of_one = [StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED];
    let known = status.is_success() || status.is_redirection() || is_lasting(status);
    known && !of_one.contains(&status)
}

/// Statuses that may be kept although the answer does not say for how long (RFC 9110, 15.1), without those of
/// failures on our side.
fn is_lasting(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414)
}

/// How long the answer is fresh from when it was made (4.2.1).
fn freshness(
    headers: &HeaderMap,
    said: &Directives,
    status: StatusCode,
    limits: &Limits,
    now: SystemTime,
) -> Option<Duration> {
    let by_directive = said.s_maxage.or(said.max_age).map(Duration::from_secs);
    let by_default = || Some(limits.default_fresh).filter(|_| is_lasting(status));
    let explicit = by_directive.or_else(|| until_expires(headers, now));
    explicit.or_else(by_default).map(|fresh| fresh.min(limits.max_fresh)).filter(|fresh| !fresh.is_zero())
}

/// From `Date` to `Expires`; zero for one that is no date (5.3), or that came twice.
fn until_expires(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let mut all = headers.get_all(header::EXPIRES).iter();
    let (first, further) = (all.next()?, all.next());
    let date = |value: &http::HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let from = headers.get(header::DATE).and_then(date).unwrap_or(now);
    let until = date(first).filter(|_| further.is_none());
    Some(until.and_then(|until| until.duration_since(from).ok()).unwrap_or_default())
}

/// The fields of the request that the answer depends on; `None` if on everything (4.1), or on what is no field.
fn vary(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names: Vec<HeaderName> = Vec::new();
    for field in headers.get_all(header::VARY) {
        for name in field.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.parse().ok().filter(|_| name != "*")?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Some(names)
}

/// The headers that are as right later as they are now (3.1), with the date from which the age counts.
fn lasting(headers: &HeaderMap, now: SystemTime) -> HeaderMap {
    /// Of one connection (RFC 9110, 7.6.1), of one request, or told anew each time.
    const PASSING: [HeaderName; 9] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        HeaderName::from_static("proxy-authentication-info"),
        HeaderName::from_static("proxy-connection"),
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("x-request-id"),
    ];
    let mut kept = headers.clone();
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).for_each(|name| _ = kept.remove(name.trim()));
    PASSING.iter().for_each(|name| _ = kept.remove(name));
    let date = || httpdate::fmt_http_date(now).try_into().expect("a date is visible ASCII");
    kept.entry(header::DATE).or_insert_with(date);
    kept.insert(header::AGE, 0.into()); // its place: each use writes its own age there, and the map need not grow
    kept
}

/// Whether the client has this already (4.3.2): by a tag, or, if it sent none, by a date.
pub(super) fn client_has_it(request: &HeaderMap, answer: &HeaderMap) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let tag = answer.get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        return lists_tag(request, &header::IF_NONE_MATCH, tag);
    }
    let date = |headers: &HeaderMap, name: &HeaderName| {
        httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
    };
    let since = date(request, &header::IF_MODIFIED_SINCE);
    let modified = date(answer, &header::LAST_MODIFIED);
    since.zip(modified).is_some_and(|(since, modified)| modified <= since)
}

/// Places that the answer to a change says it made or changed, as targets on `host` (4.4). Those on other hosts are
/// not for this answer to speak of.
pub(super) fn changed_elsewhere(headers: &HeaderMap, host: &str) -> impl Iterator<Item = String> {
    let places = [header::LOCATION, header::CONTENT_LOCATION].map(|name| {
        let place = headers.get(name)?.to_str().ok()?.split('#').next()?;
        if place.starts_with('/') && !place.starts_with("//") {
            return Some(place.to_owned());
        }
        let uri: http::Uri = place.parse().ok()?;
        let same = uri.authority().is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host));
        Some(uri.path_and_query()?.as_str().to_owned()).filter(|_| same)
    });
    places.into_iter().flatten()
}

#[cfg(test)]
mod tests;
