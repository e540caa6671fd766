//! Tables of requests: which are refused, which are accepted and how they are read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall_http::{App, Context, Next, Response, Result, ServerConfig};

use crate::live::Live;
use crate::wire::{Heard, exchange, latin1, shown};

/// Ends a connection that is still in step.
pub(crate) const LAST: &str = "GET /last HTTP/1.1\r\nhost: z\r\nconnection: close\r\n\r\n";
/// How [`LAST`] is read.
pub(crate) const LAST_READ: &str = "GET /last z []";

/// A server that says how it read a request, and keeps a list of those it read to their end.
pub(crate) struct Echo {
    pub(crate) live: Live,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub(crate) fn start() -> Self {
        // A request that the server takes for half a one fails soon instead of late.
        let head_timeout = Duration::from_secs(3);
        Self::with(ServerConfig { workers: Some(1), head_timeout, ..ServerConfig::default() })
    }
    pub(crate) fn with(config: ServerConfig) -> Self {
        let seen = Arc::default();
        Self { live: Live::with(echo_app(&seen), config), seen }
    }
    /// What was read since the last call.
    pub(crate) fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// An app that says how it read a request. It does so before routing, so that it gets every method and every target.
pub(crate) fn echo_app(seen: &Arc<Mutex<Vec<String>>>) -> App {
    let seen = Arc::clone(seen);
    App::new().pre(move |c: Context, _: Next| echo(c, Arc::clone(&seen)))
}

async fn echo(c: Context, log: Arc<Mutex<Vec<String>>>) -> Result<Response> {
    let body = c.body().await?;
    let target = match (c.uri().path(), c.uri().query()) {
        ("", _) => "-".to_owned(), // of an authority
        (path, None) => path.to_owned(),
        (path, Some(query)) => format!("{path}?{query}"),
    };
    let body: String = if body.len() > 200 {
        format!("{} bytes", body.len())
    } else {
        body.iter().copied().map(char::from).collect()
    };
    let line = format!("{} {target} {} [{body}]", c.method(), c.host().unwrap_or("-"));
    log.lock().unwrap().push(line.clone());
    c.bytes(200, "text/plain", latin1(&line))
}

/// A request with these field lines after its host, and this body.
pub(crate) fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{body}")
}

/// Every request is refused with one of `statuses`: the answer says so and is seen, nothing behind it is taken for a
/// request, no handler gets it whole, and the connection is closed.
#[track_caller]
pub(crate) fn refused<T: AsRef<str>>(statuses: &[u16], requests: impl IntoIterator<Item = T>) {
    let server = Echo::start();
    let requests = requests.into_iter();
    report(requests.filter_map(|request| {
        let bytes = latin1(request.as_ref());
        let heard = exchange(&server.live, &[&bytes[..], LAST.as_bytes()].concat());
        let problem = match heard {
            Ok(heard) => refusal_problem(&heard, statuses, &server.take_seen()),
            Err(problem) => Some(problem),
        };
        problem.map(|problem| (bytes, problem))
    }));
}

fn refusal_problem(heard: &Heard, statuses: &[u16], seen: &[String]) -> Option<String> {
    if !seen.is_empty() {
        return Some(format!("expected one of {statuses:?}, but it was read as {seen:?}"));
    }
    match &heard.answers[..] {
        [answer] if !statuses.contains(&answer.status) => {
            Some(format!("expected one of {statuses:?}, got {}", answer.status))
        }
        [answer] if !answer.says_close() => Some(format!("{} without `connection: close`", answer.status)),
        [_] if heard.reset => Some("closed by a reset".to_owned()),
        [_] => None,
        [] => Some(format!("expected one of {statuses:?}, got no answer")),
        _ => Some(format!("expected one of {statuses:?}, got {:?}", heard.statuses())),
    }
}

/// Every request is read as said, and what follows it on the connection as well.
#[track_caller]
pub(crate) fn accepted<T: AsRef<str>>(requests: impl IntoIterator<Item = (T, &'static str)>) {
    let server = Echo::start();
    report(requests.into_iter().filter_map(|(request, read)| {
        let bytes = latin1(request.as_ref());
        let heard = exchange(&server.live, &[&bytes[..], LAST.as_bytes()].concat());
        let seen = server.take_seen();
        let problem = match heard {
            Ok(heard) if heard.statuses() != [200, 200] => Some(format!(
                "expected {read:?}, got {:?} {:?}, read as {seen:?}",
                heard.statuses(),
                heard.texts()
            )),
            Ok(_) if seen != [read, LAST_READ] => Some(format!("expected {read:?}, read as {seen:?}")),
            Ok(_) => None,
            Err(problem) => Some(problem),
        };
        problem.map(|problem| (bytes, problem))
    }));
}

/// Where the RFC leaves a choice: either refused with one of `statuses` or read as said, but never in a third way.
#[track_caller]
pub(crate) fn framed_or_refused<T: AsRef<str>>(
    statuses: &[u16],
    requests: impl IntoIterator<Item = (T, &'static str)>,
) {
    let server = Echo::start();
    report(requests.into_iter().filter_map(|(request, read)| {
        let bytes = latin1(request.as_ref());
        let heard = exchange(&server.live, &[&bytes[..], LAST.as_bytes()].concat());
        let seen = server.take_seen();
        let problem = match heard {
            Ok(_) if seen == [read, LAST_READ] => None,
            Ok(heard) => refusal_problem(&heard, statuses, &seen),
            Err(problem) => Some(problem),
        };
        problem.map(|problem| (bytes, problem))
    }));
}

/// Fails with all rows that went wrong, not only the first.
#[track_caller]
pub(crate) fn report(problems: impl Iterator<Item = (Vec<u8>, String)>) {
    let lines: Vec<_> =
        problems.map(|(bytes, problem)| format!("{}\n    {problem}", shown(&bytes))).collect();
    assert!(lines.is_empty(), "{} rows went wrong:\n{}", lines.len(), lines.join("\n"));
}
