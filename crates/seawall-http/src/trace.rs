//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): `traceparent` and `tracestate`, in and out.
//!
//! Pure: headers in, a [`TraceContext`] out. What is not exactly as the standard says is ignored, and the request
//! begins a trace of its own; a guess would join traces that do not belong together.
//!
//! No answer carries a `traceresponse`: no finished standard defines it, and browsers and libraries do not read it.
//! The client finds its request by `X-Request-Id`; whoever wants the trace's id in an answer sets it in a hook.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ids;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of version 00, which later versions begin with.
const LEN: usize = 55;
/// More entries make the whole list invalid (3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// What has to be passed on at least (3.3.1.5); longer lists are cut to it.
const MAX_STATE: usize = 512;
/// Longer entries are the first to go then.
const LONG_MEMBER: usize = 128;

/// The only flag of version 00: somebody records this trace.
const SAMPLED: u8 = 1;

/// Where a request stands in a distributed trace: the trace's id, the id of this request's span, that of its caller.
///
/// [`Context::trace`](crate::Context::trace) gives it; [`TraceContext::child`] and [`TraceContext::inject`] hand it
/// on to a service that this one calls.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 32],
    span_id: [u8; 16],
    parent_id: Option<[u8; 16]>,
    sampled: bool,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// A trace that begins here. Nobody records it, as far as this service knows.
    pub(crate) fn start() -> Self {
        let (trace_id, span_id) = (ids::hex(not_zero(ids::next())), new_span());
        Self { trace_id, span_id, parent_id: None, sampled: false, state: None }
    }

    /// The trace that the headers name: this request is a new span in it.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (first, None) = (given.next()?, given.next()) else { return None }; // two callers cannot both be right
        let (trace_id, parent_id, flags) = parse_parent(first.as_bytes())?;
        let state = state(headers);
        let sampled = flags & SAMPLED != 0;
        Some(Self { trace_id, span_id: new_span(), parent_id: Some(parent_id), sampled, state })
    }

    /// The id of the trace: 32 hexadecimal digits, never all zero.
    pub fn trace_id(&self) -> &str {
        text(&self.trace_id)
    }
    /// The id of this request's span: 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        text(&self.span_id)
    }
    /// The id of the caller's span; `None` if the trace began here.
    pub fn parent_id(&self) -> Option<&str> {
        self.parent_id.as_ref().map(|id| text(id))
    }
    /// Whether the caller says that it records this trace.
    pub fn sampled(&self) -> bool {
        self.sampled
    }
    /// What tracing systems passed along, `tracestate`, as it is sent on: at most 32 entries and 512 bytes.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The span of one call out of this request: same trace, a new id, this span as its parent. One per attempt.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: new_span(), parent_id: Some(self.span_id), ..self.clone() }
    }
    /// The same with the `sampled` flag set or not, for whoever decides what is recorded.
    #[must_use]
    pub fn with_sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }
    /// The value of a `traceparent` header that names this span.
    pub fn traceparent(&self) -> HeaderValue {
        let flags = if self.sampled { "01" } else { "00" };
        let text = format!("00-{}-{}-{flags}", self.trace_id(), self.span_id());
        HeaderValue::try_from(text).expect("digits and dashes are visible ASCII")
    }
    /// Sets `traceparent` and `tracestate` of a request that goes out, in place of what was there.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, self.traceparent());
        match self.state.as_deref().map(HeaderValue::from_str) {
            Some(Ok(state)) => _ = headers.insert(TRACESTATE, state),
            Some(Err(_)) | None => _ = headers.remove(TRACESTATE),
        }
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceContext")
            .field("trace_id", &self.trace_id())
            .field("span_id", &self.span_id())
            .field("parent_id", &self.parent_id())
            .field("sampled", &self.sampled)
            .finish_non_exhaustive()
    }
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).expect("an id is made of hexadecimal digits")
}

fn not_zero(id: u128) -> u128 {
    if id == 0 { 1 } else { id }
}

fn new_span() -> [u8; 16] {
    ids::hex(not_zero(ids::next() >> 64))
}

/// `version "-" trace-id "-" parent-id "-" flags` (3.2). A later version may go on after another dash.
fn parse_parent(value: &[u8]) -> Option<([u8; 32], [u8; 16], u8)> {
    let known = value.get(..LEN)?;
    let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
    let (version, trace_id, parent_id) = (hex(&known[..2])?, hex(&known[3..35])?, hex(&known[36..52])?);
    let flags: [u8; 2] = hex(&known[53..55])?;
    let ends = match version {
        [b'0', b'0'] => value.len() == LEN,
        [b'f', b'f'] => false,
        _ => matches!(value.get(LEN), None | Some(b'-')),
    };
    if !dashes || !ends || trace_id == [b'0'; 32] || parent_id == [b'0'; 16] {
        return None;
    }
    let digit = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
    Some((trace_id, parent_id, digit(flags[0]) << 4 | digit(flags[1])))
}

/// Lower case only: the standard's `HEXDIGLC`.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let lower = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    text.try_into().ok().filter(|digits: &[u8; N]| digits.iter().all(lower))
}

/// All `tracestate` lines as one list; `None` if there is none, or if it is not valid.
fn state(headers: &HeaderMap) -> Option<Box<str>> {
    let mut members = Vec::new();
    for line in headers.get_all(TRACESTATE) {
        for member in line.to_str().ok()?.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue; // allowed, and worth nothing
            }
            let (key, value) = member.split_once('=')?;
            let twice = members.iter().any(|(known, _): &(&str, &str)| *known == key);
            if twice || members.len() == MAX_MEMBERS || !is_key(key) || !is_value(value) {
                return None;
            }
            members.push((key, member));
        }
    }
    let mut members: Vec<_> = members.into_iter().map(|(_, member)| member).collect();
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
    while length(&members) > MAX_STATE + 1 {
        let long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    (!members.is_empty()).then(|| members.join(",").into())
}

/// `lcalpha` or a digit first, then up to 255 of `a-z 0-9 _ - * /`, with `@` before the name of a system.
fn is_key(key: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let rest = |byte: u8| first(byte) || b"_-*/@".contains(&byte);
    let bytes = key.as_bytes();
    let ats = bytes.iter().filter(|byte| **byte == b'@').count();
    (1..=256).contains(&bytes.len()) && first(bytes[0]) && bytes.iter().all(|byte| rest(*byte)) && ats <= 1
}

/// Up to 256 visible characters or spaces, without `,` and `=`; the last one is no space.
fn is_value(value: &str) -> bool {
    let chars = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(chars) && !value.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| _ = headers.append(name, value));
        headers
    }
    #[track_caller]
    fn check(traceparent: &str, expected: Option<bool>) {
        let found = TraceContext::from_headers(&headers(&[("traceparent", traceparent)]));
        assert_eq!(found.as_ref().map(TraceContext::sampled), expected, "{traceparent}");
        if let Some(found) = found {
            assert_eq!((found.trace_id(), found.parent_id()), (TRACE, Some(SPAN)));
        }
    }

    #[test]
    fn version_00_is_read() {
        check(&format!("00-{TRACE}-{SPAN}-01"), Some(true));
        check(&format!("00-{TRACE}-{SPAN}-00"), Some(false));
        check(&format!("00-{TRACE}-{SPAN}-ff"), Some(true));
        check(&format!("00-{TRACE}-{SPAN}-02"), Some(false));
    }
    #[test]
    fn version_00_has_nothing_behind_it() {
        check(&format!("00-{TRACE}-{SPAN}-01-x"), None);
        check(&format!("00-{TRACE}-{SPAN}-01-"), None);
        check(&format!("00-{TRACE}-{SPAN}-0"), None);
    }
    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        check(&format!("01-{TRACE}-{SPAN}-01"), Some(true));
        check(&format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"), Some(true));
        check(&format!("cc-{TRACE}-{SPAN}-01x"), None);
        check(&format!("ff-{TRACE}-{SPAN}-01"), None);
    }
    #[test]
    fn zeros_capitals_and_other_separators_are_refused() {
        check(&format!("00-{}-{SPAN}-01", "0".repeat(32)), None);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), None);
        check(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None);
        check(&format!("00-{TRACE}-{SPAN}-0G"), None);
        check(&format!("00_{TRACE}-{SPAN}-01"), None);
        check(&format!(" 0-{TRACE}-{SPAN}-01"), None);
        check("", None);
    }
    #[test]
    fn two_callers_are_none() {
        let given = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(
            TraceContext::from_headers(&headers(&[("traceparent", &given), ("traceparent", &given)])),
            None
        );
    }

    #[track_caller]
    fn check_state(lines: &[&str], expected: Option<&str>) {
        let lines: Vec<_> = lines.iter().map(|line| ("tracestate", *line)).collect();
        assert_eq!(state(&headers(&lines)).as_deref(), expected);
    }
    #[test]
    fn a_state_is_passed_on_in_its_order() {
        check_state(
            &["congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"],
            Some("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        );
        check_state(&["a=1 , b=2", "", " ,c@d=3"], Some("a=1,b=2,c@d=3"));
        check_state(&[], None);
        check_state(&[","], None);
    }
    #[test]
    fn one_bad_entry_spoils_the_state() {
        for bad in ["a", "A=1", "=1", "a=", "a=1,a=2", "a=b=c", "a@b@c=1", "-a=1", "a=\u{e9}"] {
            check_state(&["z=9", bad], None);
        }
        let many = |n: usize| (0..n).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        check_state(&[&many(32)], Some(&many(32)));
        check_state(&[&many(33)], None);
        check_state(&[&format!("a={}", "x".repeat(257))], None);
    }
    #[test]
    fn a_state_that_is_too_long_loses_long_entries_first_and_then_the_last() {
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<_> = (0..6).map(|n| format!("k{n}={}", "y".repeat(77))).collect();
        let all = format!("{},{long},{}", short[..3].join(","), short[3..].join(","));
        check_state(&[&all], Some(&short.join(",")));
        let more: Vec<_> = (0..10).map(|n| format!("k{n}={}", "y".repeat(97))).collect();
        check_state(&[&more.join(",")], Some(&more[..5].join(",")));
    }
    #[test]
    fn a_child_has_this_span_as_its_parent() {
        let given = headers(&[("traceparent", &format!("00-{TRACE}-{SPAN}-01")), ("tracestate", "a=1")]);
        let own = TraceContext::from_headers(&given).unwrap();
        let child = own.child();
        assert_eq!((child.trace_id(), child.parent_id()), (TRACE, Some(own.span_id())));
        let mut out = headers(&[("traceparent", "old"), ("tracestate", "old=1")]);
        child.inject(&mut out);
        assert_eq!(out["traceparent"], format!("00-{TRACE}-{}-01", child.span_id()));
        assert_eq!(out["tracestate"], "a=1");
        TraceContext::start().inject(&mut out);
        assert_eq!(out.get("tracestate"), None);
    }
    #[test]
    fn what_starts_here_can_be_read_elsewhere() {
        let own = TraceContext::start().with_sampled(true);
        let mut sent = HeaderMap::new();
        own.inject(&mut sent);
        let there = TraceContext::from_headers(&sent).unwrap();
        assert_eq!((there.trace_id(), there.parent_id()), (own.trace_id(), Some(own.span_id())));
        assert!(there.sampled());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_ignored(
            parent in proptest::collection::vec(0x20_u8..0x7f, 0..70),
            given in "[a-z0-9@=, \t-]{0,700}",
        ) {
            let parent = HeaderValue::from_bytes(&parent).unwrap();
            let mut all = headers(&[("tracestate", &given)]);
            all.insert(TRACEPARENT, parent);
            let _ = TraceContext::from_headers(&all);
            if let Some(kept) = state(&all) {
                prop_assert!(kept.len() <= MAX_STATE && kept.split(',').count() <= MAX_MEMBERS);
            }
        }
        #[test]
        fn every_well_formed_parent_is_read(trace in "[0-9a-f]{31}[1-9a-f]", span in "[0-9a-f]{15}[1-9a-f]", flags: u8) {
            let given = headers(&[("traceparent", &format!("00-{trace}-{span}-{flags:02x}"))]);
            let found = TraceContext::from_headers(&given).unwrap();
            prop_assert_eq!(found.trace_id(), trace);
            prop_assert_eq!(found.parent_id(), Some(&*span));
            prop_assert_eq!(found.sampled(), flags & 1 == 1);
        }
    }
}
