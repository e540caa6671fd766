//! Recorded traffic as load: access logs and HAR files become requests with their times.
//!
//! | what | how it is known |
//! |---|---|
//! | common and combined log format (Apache, nginx) | any other line |
//! | JSON lines with `timestamp`, `method` and `path`, as Seawall's access log writes them | the line begins with a brace |
//! | HAR 1.2 (browsers' developer tools) | the file is a JSON object with `log` |
//!
//! Logs have no bodies, so only requests that have none by nature (GET, HEAD, OPTIONS) are taken, unless told otherwise;
//! what is left out is counted. Times of whole seconds are spread evenly over their second.
//!
//! Left out: cookies and sessions that have ended since; a recording is as good as the day it was made.

mod log;
mod time;

use std::path::Path;
use std::time::Duration;

use seawall_core::ConfigError;
use serde_json::Value;

use crate::config::{LoadConfig, MAX_TIMES};
use crate::request::Request;
use crate::target::Target;

/// Most bytes of a recording.
const MAX_BYTES: u64 = 1 << 30;

/// One recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Since the first one.
    pub at: Duration,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Fields, but for those that belong to the connection.
    pub headers: Vec<(String, String)>,
    /// The body; logs have none.
    pub body: Vec<u8>,
}

/// A recording, in order of time.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The requests that can be sent again.
    pub requests: Vec<Recorded>,
    /// Requests that would need a body that the log does not have.
    pub without_body: u64,
    /// Lines that are no request, or are none of a known format.
    pub not_understood: u64,
}

/// One request with its time in nanoseconds since 1970.
#[derive(Debug, Clone)]
struct Entry {
    ns: i128,
    /// The time is known to the second only.
    whole_second: bool,
    request: Recorded,
}

impl Recording {
    /// Reads a file. `all_methods` takes requests of logs whose body is not known, too, and sends them without one.
    ///
    /// # Errors
    /// The file cannot be read, is none of the known formats, or has nothing that can be sent.
    pub fn read(path: &Path, all_methods: bool) -> Result<Self, ConfigError> {
        let refuse = |problem: String| {
            let value = format!("{} ({problem})", path.display());
            ConfigError::new("replay", value, "a log or HAR file of at most 1 GiB that can be read")
        };
        let size = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(refuse(format!("{size} bytes")));
        }
        let text = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        Self::parse(&text, all_methods)
    }

    /// Parses a whole file, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// It is none of the known formats, or has nothing that can be sent.
    pub fn parse(text: &[u8], all_methods: bool) -> Result<Self, ConfigError> {
        let mut recording = Self::default();
        let har =
            if text.trim_ascii_start().starts_with(b"{") { serde_json::from_slice(text).ok() } else { None };
        let mut entries = match har.as_ref().and_then(|har: &Value| har.get("log")) {
            Some(log) => recording.har(log),
            None => recording.log(text, all_methods),
        };
        if entries.is_empty() {
            let Self { without_body, not_understood, .. } = recording;
            let value =
                format!("{without_body} requests without their body, {not_understood} lines not understood");
            let allowed =
                "a log (common, combined or JSON lines) or a HAR file with requests that can be sent again";
            return Err(ConfigError::new("replay", value, allowed));
        }
        if entries.len() > MAX_TIMES {
            return Err(ConfigError::new("replay", entries.len(), format!("at most {MAX_TIMES} requests")));
        }
        entries.sort_by_key(|entry| entry.ns);
        spread(&mut entries);
        let first = entries[0].ns;
        let at = |ns: i128| Duration::from_nanos(u64::try_from(ns - first).unwrap_or(0));
        recording.requests =
            entries.into_iter().map(|entry| Recorded { at: at(entry.ns), ..entry.request }).collect();
        Ok(recording)
    }

    fn log(&mut self, text: &[u8], all_methods: bool) -> Vec<Entry> {
        let mut entries = Vec::new();
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let parsed = std::str::from_utf8(line).ok().and_then(log::parse);
            match parsed.filter(|entry| is_sendable(&entry.request)) {
                None => self.not_understood += 1,
                Some(entry) if all_methods || has_no_body(&entry.request.method) => entries.push(entry),
                Some(_) => self.without_body += 1,
            }
        }
        entries
    }

    fn har(&mut self, log: &Value) -> Vec<Entry> {
        let list = log.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let entries: Vec<Entry> =
            list.iter().filter_map(har_entry).filter(|entry| is_sendable(&entry.request)).collect();
        self.not_understood += (list.len() - entries.len()) as u64;
        entries
    }

    /// Makes `config` send this recording to its URL's host, `speed` times as fast as it was. Fields of `config` are
    /// added, and replace recorded ones of the same name.
    ///
    /// # Errors
    /// The speed is out of range, or the URL is none.
    pub fn put_into(&self, config: &mut LoadConfig, speed: f64) -> Result<(), ConfigError> {
        if !(0.001..=1_000.0).contains(&speed) {
            return Err(ConfigError::new("replay.speed", speed, "0.001 to 1000"));
        }
        let target = Target::parse(&config.url)?;
        config.times = self.requests.iter().map(|request| request.at.div_f64(speed)).collect();
        let replaced = |name: &str| config.headers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name));
        let render = |recorded: &Recorded| {
            let mut headers = config.headers.clone();
            let kept = recorded.headers.iter().filter(|(name, _)| !replaced(name));
            headers.extend(kept.cloned());
            let Recorded { method, path, body, .. } = recorded;
            Request { method, path, headers: &headers, body }.render(&target.host)
        };
        config.list = self.requests.iter().map(render).collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// Requests of the same whole second lie evenly in it.
fn spread(entries: &mut [Entry]) {
    for same in entries.chunk_by_mut(|a, b| a.whole_second && b.whole_second && a.ns == b.ns) {
        let count = same.len() as i128;
        for (number, entry) in (0..).zip(same) {
            entry.ns += 1_000_000_000 * number / count;
        }
    }
}

fn has_no_body(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// It can be rendered: nothing in it would break the head.
fn is_sendable(request: &Recorded) -> bool {
    let Recorded { method, path, headers, body, .. } = request;
    Request { method, path, headers, body }.render("h").is_ok()
}

fn har_entry(entry: &Value) -> Option<Entry> {
    let request = entry.get("request")?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let url = text(request, "url")?;
    let path = Target::parse(&url).ok()?.path;
    let fields = request.get("headers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let headers = fields.iter().filter_map(|field| Some((text(field, "name")?, text(field, "value")?)));
    let body = request.get("postData").and_then(|data| text(data, "text")).unwrap_or_default();
    Some(Entry {
        ns: time::rfc3339(&text(entry, "startedDateTime")?)?,
        whole_second: false,
        request: Recorded {
            at: Duration::ZERO,
            method: text(request, "method")?,
            path,
            headers: headers.filter(|(name, _)| !is_of_the_connection(name)).collect(),
            body: body.into_bytes(),
        },
    })
}

/// Fields that a new connection and a new length replace, and HTTP/2's own.
fn is_of_the_connection(name: &str) -> bool {
    let ours = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "keep-alive",
        "upgrade",
        "te",
        "expect",
    ];
    name.starts_with(':') || ours.iter().any(|field| field.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
