//! The access log as lines of a file, written by a thread of its own.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::header;
use seawall_core::metrics::{Counter, Registry};
use seawall_core::{Class, ConfigError};
use serde::Deserialize;

use super::line::{LogField, LogFormat, Value, write};
use super::ring::Ring;
use crate::clock;
use crate::context::Context;
use crate::error::Result;
use crate::measure::Ending;
use crate::middleware::{Middleware, Next, Step, before};
use crate::respond::Response;

/// What is logged, how, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLogConfig {
    /// Where lines go. Default: standard output.
    pub to: LogTarget,
    /// How they are written. Default: text.
    pub format: LogFormat,
    /// What they say, in this order. Default: time, method, path, route, status, error_type, micros, client,
    /// request_id, trace_id, slow.
    pub fields: Vec<LogField>,
    /// From how many milliseconds on a request counts as slow: such a one is always logged. None for never. Default
    /// 1,000.
    pub slow_ms: Option<u64>,
    /// Logs one of so many requests that are neither slow nor failed; 1 logs all of them, which is the default. A failure
    /// is a 5xx, a client that left, or a body that broke off.
    pub sample_every: u32,
    /// Memory for lines that are not written yet, 64 KiB to 256 MiB. When it is full, lines are dropped and counted in
    /// `seawall_access_log_dropped_total`; nobody waits. Default 1 MiB.
    pub buffer_bytes: usize,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogTarget {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// The end of this file, which is made if it is not there. It stays open: rotate it by copying and truncating.
    File(PathBuf),
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        use LogField::{
            Client, ErrorType, Method, Micros, Path, RequestId, Route, Slow, Status, Time, TraceId,
        };
        Self {
            to: LogTarget::Stdout,
            format: LogFormat::Text,
            fields: vec![
                Time, Method, Path, Route, Status, ErrorType, Micros, Client, RequestId, TraceId, Slow,
            ],
            slow_ms: Some(1_000),
            sample_every: 1,
            buffer_bytes: 1 << 20,
        }
    }
}

/// Writes a line per request when it is over, as [`AccessLog`](super::AccessLog) does, but without `tracing`: through a
/// buffer of fixed size, by one thread. The worker formats the line into memory that it has already and copies it; a
/// disk that hangs costs lines and never time. Lines are written within 50 ms or so. Those of one worker are in order,
/// those of several nearly.
///
/// Where several of them stand around a route, the outermost writes the line. Dropping the app writes what is left, for
/// a second at most.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{AccessLines, AccessLogConfig, LogFormat};
///
/// let config = AccessLogConfig { format: LogFormat::Json, sample_every: 100, ..AccessLogConfig::default() };
/// let app = App::new().with(AccessLines::new(&config)?).get("/", async || "hello");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AccessLines(Arc<Lines>);

/// The log itself.
#[derive(Debug)]
pub(crate) struct Lines {
    ring: Ring,
    format: LogFormat,
    fields: Vec<LogField>,
    slow: Option<Duration>,
    sample_every: u32,
    passed: AtomicU32,
    dropped: OnceLock<Counter>,
}

const ROOM: std::ops::RangeInclusive<usize> = 64 << 10..=256 << 20;

impl AccessLines {
    /// Checks the configuration, opens the file and starts the thread.
    ///
    /// # Errors
    /// For a file that cannot be opened, a size out of range, a rate of zero, and without fields.
    pub fn new(config: &AccessLogConfig) -> Result<Self, ConfigError> {
        let AccessLogConfig { to, format, fields, slow_ms, sample_every, buffer_bytes } = config.clone();
        if !ROOM.contains(&buffer_bytes) {
            let allowed = format!("{} to {}", ROOM.start(), ROOM.end());
            return Err(ConfigError::new("access_log.buffer_bytes", buffer_bytes, allowed));
        }
        if sample_every == 0 {
            return Err(ConfigError::new("access_log.sample_every", 0, "at least 1"));
        }
        if fields.is_empty() {
            return Err(ConfigError::new("access_log.fields", "empty", "some fields"));
        }
        let out: Box<dyn Write + Send> = match &to {
            LogTarget::Stdout => Box::new(io::stdout()),
            LogTarget::Stderr => Box::new(io::stderr()),
            LogTarget::File(path) => {
                Box::new(File::options().create(true).append(true).open(path).map_err(|error| {
                    let allowed = format!("a file that can be written to ({error})");
                    ConfigError::new("access_log.to", path.display(), allowed)
                })?)
            }
        };
        let no_thread = |error| {
            ConfigError::new("access_log", "on", format!("off, because its thread cannot be made ({error})"))
        };
        Ok(Self(Arc::new(Lines {
            ring: Ring::start(buffer_bytes, out).map_err(no_thread)?,
            format,
            fields,
            slow: slow_ms.map(Duration::from_millis),
            sample_every,
            passed: AtomicU32::new(0),
            dropped: OnceLock::new(),
        })))
    }
}

impl Middleware for AccessLines {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        c.write_lines(&self.0);
        next.run(c).await
    }
    fn into_step(self) -> Step {
        before(move |c| {
            c.write_lines(&self.0);
            Ok(None)
        })
        .into_step()
    }
}

/// The end of a request, for its line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    pub(crate) class: Option<Class>,
    pub(crate) taken: Duration,
}

impl Lines {
    /// Writes the line, unless it is one of those that are left out.
    pub(crate) fn log(&self, c: &Context, ended: &Ended) {
        let slow = self.slow.is_some_and(|slow| ended.taken >= slow);
        let failed = !ended.ending.error_type().is_empty();
        if !slow && !failed && !self.is_sampled() {
            return;
        }
        thread_local!(static LINE: RefCell<String> = const { RefCell::new(String::new()) });
        LINE.with_borrow_mut(|line| {
            line.clear();
            let now = clock::wall();
            write(line, self.format, &self.fields, |field| value(c, ended, slow, now, field));
            if !self.ring.push(line.as_bytes()) {
                self.dropped(c.shared().registry()).inc();
            }
        });
    }

    /// One of so many, and the first one.
    fn is_sampled(&self) -> bool {
        self.sample_every == 1
            || self.passed.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.sample_every)
    }

    fn dropped(&self, registry: &Registry) -> &Counter {
        self.dropped.get_or_init(|| {
            registry.counter(
                "seawall_access_log_dropped_total",
                "Lines of the access log that did not fit into its buffer.",
                &[],
            )
        })
    }
}

fn value<'a>(c: &'a Context, ended: &'a Ended, slow: bool, now: SystemTime, field: LogField) -> Value<'a> {
    let text = |text: Option<&'a str>| Value::from(text);
    match field {
        LogField::Time => Value::Time(now),
        LogField::Method => Value::Text(c.method().as_str()),
        LogField::Path => Value::Text(c.path()),
        LogField::Route => text(c.route()),
        LogField::Status => {
            ended.ending.status.map_or(Value::None, |status| Value::Number(status.as_u16().into()))
        }
        LogField::ErrorType => text(Some(ended.ending.error_type())),
        LogField::Class => text(ended.class.map(Class::as_str)),
        LogField::Micros => Value::Number(u64::try_from(ended.taken.as_micros()).unwrap_or(u64::MAX)),
        LogField::Peer => c.peer().map_or(Value::None, Value::Socket),
        LogField::Client => c.client_ip().map_or(Value::None, Value::Ip),
        LogField::Host => text(c.host()),
        LogField::UserAgent => text(c.header(header::USER_AGENT)),
        LogField::Referer => text(c.header(header::REFERER).and_then(|page| page.split(['?', '#']).next())),
        LogField::Version => text(Some(version(c.version()))),
        LogField::RequestId => Value::Text(c.request_id()),
        LogField::TraceId => text(c.known_trace_id()),
        LogField::Slow => {
            if slow {
                Value::True
            } else {
                Value::None
            }
        }
    }
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_11 => "1.1",
        http::Version::HTTP_2 => "2",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_checked() {
        let refused = |config: AccessLogConfig| AccessLines::new(&config).unwrap_err().field().to_owned();
        let default = AccessLogConfig::default;
        assert_eq!(refused(AccessLogConfig { buffer_bytes: 0, ..default() }), "access_log.buffer_bytes");
        assert_eq!(refused(AccessLogConfig { sample_every: 0, ..default() }), "access_log.sample_every");
        assert_eq!(refused(AccessLogConfig { fields: vec![], ..default() }), "access_log.fields");
        let to = LogTarget::File("/no/such/folder/log".into());
        assert_eq!(refused(AccessLogConfig { to, ..default() }), "access_log.to");
    }
}
