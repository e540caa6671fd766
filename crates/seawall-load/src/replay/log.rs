//! One line of an access log.

use std::time::Duration;

use serde_json::Value;

use super::{Entry, Recorded, time};

/// The request of a line, if it has one.
pub(super) fn parse(line: &str) -> Option<Entry> {
    if line.trim_start().starts_with('{') { json(line) } else { common(line) }
}

/// `host - user [time] "METHOD path HTTP/1.1" ...`; combined lines have more at the end.
fn common(line: &str) -> Option<Entry> {
    let (_, rest) = line.split_once('[')?;
    let (at, rest) = rest.split_once(']')?;
    let (_, rest) = rest.split_once('"')?;
    let (request, _) = rest.split_once('"')?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    Some(entry(time::common_log(at)?, true, method, path))
}

/// Members at the top, or in `fields` as the tracing crates write them. The line is written when the answer is
/// complete, so its duration is taken off.
fn json(line: &str) -> Option<Entry> {
    let line: Value = serde_json::from_str(line).ok()?;
    let member = |names: &[&str]| {
        let in_fields = line.get("fields");
        names.iter().find_map(|name| line.get(name).or_else(|| in_fields?.get(name))).cloned()
    };
    let text = |names: &[&str]| member(names).and_then(|value| value.as_str().map(str::to_owned));
    let at = time::rfc3339(&text(&["timestamp", "time", "ts", "@timestamp"])?)?;
    let micros = member(&["micros"]).and_then(|value| value.as_u64()).unwrap_or(0);
    let (method, path) = (text(&["method"])?, text(&["path", "uri", "url"])?);
    Some(entry(at - i128::from(micros) * 1_000, false, &method, &path))
}

fn entry(ns: i128, whole_second: bool, method: &str, path: &str) -> Entry {
    let request = Recorded {
        at: Duration::ZERO,
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    Entry { ns, whole_second, request }
}
