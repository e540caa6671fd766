//! `/debug/pprof`: Go's profiles of a Rust service, for `go tool pprof` and for browsers.
//!
//! [`Pprof::handle`] is a plain function from a request to an answer. It knows no framework and no runtime; it blocks
//! for as long as a profile takes, so it is called on a thread that may block. [`Admin`](crate::Admin) has it mounted
//! already, if [`AdminConfig::pprof`](crate::AdminConfig::pprof) asks for it.
//!
//! | path | what |
//! |---|---|
//! | `/debug/pprof/profile?seconds=30` | CPU time by function, the kernel's included where it lets us |
//! | `/debug/pprof/heap`, `allocs` | memory by where it was allocated (feature `jemalloc`) |
//! | `/debug/pprof/goroutine` | live tasks by where they were spawned |
//! | `/debug/pprof/block`, `mutex` | waits for the locks of [`sync`](crate::sync) |
//! | `/debug/pprof/wall`, `offcpu` | where threads are; where they wait |
//! | `/debug/pprof/threadcreate`, `cmdline`, `symbol` | as in Go |
//! | `/debug/seawall/threads` | every thread: state, what it waits for, stack; deadlocks |
//! | `/debug/seawall/pools`, `limits`, `runtime` | what [`Pprof::show`] was given |
//!
//! Each profile also comes as `?format=svg` (a flame graph), `?format=folded` and `?debug=1`. What cannot be honest here
//! answers 501 with the reason. A profile's comments say how it was taken and what it does not see.
//!
//! Left out: Go's execution trace, and stacks of tasks, which tokio can only give to builds with unstable flags.

mod answer;
mod collect;
mod counted;
mod heap;
mod profile;
mod read;
mod ring;
mod route;
#[cfg(feature = "admin")]
mod runtime;
pub(crate) mod stacks;
mod symbols;
pub(crate) mod sys;
mod threads;
mod timed;
mod token;
mod waiting;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
#[cfg(feature = "tasks")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use parking_lot::{Mutex, RwLock};
use seawall_core::ConfigError;

use answer::Refusal;
use profile::Profile;
use route::{Ask, Counted, Format, Unclear, What};

pub use collect::CpuMethod;
pub use route::Section;
#[cfg(feature = "admin")]
pub use runtime::tokio_runtime;
pub use threads::provide_stacks;
pub use token::Token;

const NO_FRAME_POINTERS: &str = "stacks cannot be walked: build with `-C force-frame-pointers=yes`, \
     on x86-64 or aarch64, and allow process_vm_readv";

/// Who may profile, how, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PprofConfig {
    /// What a request has to carry: as a bearer, or as the password of basic authentication. Default none: whoever
    /// reaches the listener may.
    pub token: Option<Token>,
    /// The longest profile, seconds; more is a 400. 1 to 3600. Default 300.
    pub max_seconds: u32,
    /// Samples of the CPU profile a second and thread, unless a request says otherwise. 1 to 999. Default 99.
    pub hz: u32,
    /// How the CPU profile is taken. Default [`CpuMethod::Auto`].
    pub cpu: CpuMethod,
    /// Whether to sample the heap from the start. Needs the feature `jemalloc`, and jemalloc as the program's allocator:
    /// the profile answers with the reason if one is missing. Default no.
    pub heap: bool,
    /// Whether `cmdline` shows the arguments and not only the program: they may hold secrets. Default yes.
    pub show_arguments: bool,
}

impl Default for PprofConfig {
    fn default() -> Self {
        Self {
            token: None,
            max_seconds: 300,
            hz: 99,
            cpu: CpuMethod::Auto,
            heap: false,
            show_arguments: true,
        }
    }
}

/// The profiler. Cloning gives another handle to the same.
///
/// ```
/// use seawall_observe::{Pprof, PprofConfig};
///
/// let pprof = Pprof::new(&PprofConfig::default())?;
/// let request = http::Request::get("/debug/pprof/").body("")?;
/// assert_eq!(pprof.handle(&request).status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pprof(Arc<Inner>);

/// One profile over a time, and one delta, at once, in the whole process: they share a signal, and its patience.
static TIMED: Mutex<()> = Mutex::new(());
static DELTA: Mutex<()> = Mutex::new(());

type Source = Box<dyn Fn() -> serde_json::Value + Send + Sync>;

struct Inner {
    config: PprofConfig,
    stopped: AtomicBool,
    #[cfg(feature = "tasks")]
    tasks: OnceLock<seawall_tasks::Tasks>,
    /// As many as the program registers, a handful: no input can add one.
    sections: RwLock<BTreeMap<(&'static str, &'static str), Source>>,
}

impl Pprof {
    /// A profiler that does nothing until it is asked, but for the sampling of the heap if `config` says so.
    ///
    /// # Errors
    /// If a field of `config` is out of its range.
    pub fn new(config: &PprofConfig) -> Result<Self, ConfigError> {
        let PprofConfig { token: _, max_seconds, hz, cpu: _, heap, show_arguments: _ } = *config;
        if !(1..=3600).contains(&max_seconds) {
            return Err(ConfigError::new("pprof.max_seconds", max_seconds, "1 to 3600"));
        }
        if !(1..=999).contains(&hz) {
            return Err(ConfigError::new("pprof.hz", hz, "1 to 999"));
        }
        symbols::learn_code();
        if heap && let Err(reason) = heap::start() {
            tracing::warn!(reason, "the heap is not sampled");
        }
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            stopped: AtomicBool::new(false),
            #[cfg(feature = "tasks")]
            tasks: OnceLock::new(),
            sections: RwLock::default(),
        })))
    }

    /// Answers one request below `/debug/pprof` or `/debug/seawall`. Blocks for as long as the profile takes.
    pub fn handle<B: AsRef<[u8]>>(&self, request: &Request<B>) -> Response<Bytes> {
        self.answer(request).unwrap_or_else(Refusal::answer)
    }

    /// Ends profiles under way with what they have; later ones are as short as can be. For a shutdown that does not want
    /// to wait for them.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Shows these tasks in `goroutine` and on the page of tasks. The first ones given count.
    #[cfg(feature = "tasks")]
    pub fn show_tasks(&self, tasks: &seawall_tasks::Tasks) {
        let _ = self.0.tasks.set(tasks.clone());
    }

    /// What a request has to carry, if anything.
    #[cfg(feature = "admin")]
    pub(crate) fn token(&self) -> Option<&Token> {
        self.0.config.token.as_ref()
    }

    #[cfg(feature = "tasks")]
    fn tasks(&self) -> Option<&seawall_tasks::Tasks> {
        self.0.tasks.get()
    }

    /// Adds what `source` answers to a section, under `name`. It is called at each request for the page and must not
    /// block. Null is nothing to show. [`Admin`](crate::Admin) has added what the registry knows already.
    ///
    /// ```
    /// # use seawall_observe::{Pprof, PprofConfig, Section};
    /// # let pprof = Pprof::new(&PprofConfig::default())?;
    /// pprof.show(Section::Pools, "database", || serde_json::json!({"in_use": 3, "most": 10}));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn show(
        &self,
        section: Section,
        name: &'static str,
        source: impl Fn() -> serde_json::Value + Send + Sync + 'static,
    ) {
        self.0.sections.write().insert((section.name(), name), Box::new(source));
    }

    fn answer<B: AsRef<[u8]>>(&self, request: &Request<B>) -> Result<Response<Bytes>, Refusal> {
        let config = &self.0.config;
        if config.token.as_ref().is_some_and(|token| !token.is_in(request.headers())) {
            return Err(Refusal::Unauthorized);
        }
        if !matches!(*request.method(), Method::GET | Method::POST) {
            return Err(Refusal::Method);
        }
        let query = request.uri().query().unwrap_or_default();
        let ask = route::ask(request.uri().path(), query).map_err(|unclear| match unclear {
            Unclear::Unknown => Refusal::Unknown,
            Unclear::Bad(text) => Refusal::Bad(text),
        })?;
        let most = Duration::from_secs(config.max_seconds.into());
        if ask.length.is_some_and(|length| length > most) {
            let text = "profile duration exceeds the limit of";
            return Err(Refusal::Bad(format!("{text} {} s (PprofConfig::max_seconds)", config.max_seconds)));
        }
        match ask.what {
            What::Index => Ok(answer::html(index())),
            What::CommandLine => Ok(answer::text(command_line(config.show_arguments))),
            What::Symbol if *request.method() == Method::POST => {
                Ok(answer::text(symbols_of(request.body().as_ref())))
            }
            What::Symbol => Ok(answer::text(symbols_of(query.as_bytes()))),
            What::Trace => Err(Refusal::Unavailable(NO_TRACE.to_owned())),
            What::Threads => Ok(threads_page(ask.format)),
            What::Tasks => self.tasks_page(),
            What::Section(section) => self.section(section),
            What::Timed(what) => written(timed::take(self, what, &ask)?, &ask, what.name(), false),
            What::Counted(what) => self.counted(what, &ask),
        }
    }

    fn counted(&self, what: Counted, ask: &Ask) -> Result<Response<Bytes>, Refusal> {
        let take = || counted::take(self, what, ask.gc).map_err(Refusal::Unavailable);
        let begun = crate::clock::unix_nanos();
        let Some(length) = ask.length else {
            let mut profile = take()?;
            profile.time_nanos = begun;
            return written(profile, ask, what.name(), false);
        };
        let Some(_one) = DELTA.try_lock() else {
            return Err(Refusal::Busy("Could not take a delta: another one is being taken"));
        };
        let before = take()?;
        let start = crate::clock::now();
        while !self.is_stopped() && crate::clock::now().saturating_duration_since(start) < length {
            crate::clock::wait(Duration::from_millis(50).min(length));
        }
        let mut profile = take()?.since(&before);
        profile.time_nanos = begun;
        let took = crate::clock::now().saturating_duration_since(start);
        profile.duration_nanos = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        written(profile, ask, what.name(), true)
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    fn section(&self, section: Section) -> Result<Response<Bytes>, Refusal> {
        let sections = self.0.sections.read();
        let ours = sections.iter().filter(|((of, _), _)| *of == section.name());
        let shown = ours.map(|((_, name), source)| (*name, source())).filter(|(_, value)| !value.is_null());
        let shown: BTreeMap<_, _> = shown.collect();
        if shown.is_empty() {
            let reason = format!("nothing shows its {} here: Pprof::show(Section::..)", section.name());
            return Err(Refusal::Unavailable(reason));
        }
        Ok(answer::json(&shown))
    }

    #[cfg(feature = "tasks")]
    fn tasks_page(&self) -> Result<Response<Bytes>, Refusal> {
        let none = "this service shows no tasks: Pprof::show_tasks";
        let tasks = self.tasks().ok_or_else(|| Refusal::Unavailable(none.to_owned()))?;
        Ok(answer::json(&tasks.snapshot()))
    }

    #[cfg(not(feature = "tasks"))]
    fn tasks_page(&self) -> Result<Response<Bytes>, Refusal> {
        Err(Refusal::Unavailable("tasks need the feature `tasks` of seawall-observe".to_owned()))
    }
}

const NO_TRACE: &str = "Go's execution trace has no counterpart here: no honest file could be made. \
     /debug/pprof/wall and /debug/pprof/offcpu show where time goes, /debug/seawall/threads who waits for what";

fn written(profile: Profile, ask: &Ask, name: &str, delta: bool) -> Result<Response<Bytes>, Refusal> {
    Ok(match ask.format {
        Format::Usual if delta => answer::attachment(&format!("{name}-delta"), profile::gzip(&profile)),
        Format::Usual => answer::attachment(name, profile::gzip(&profile)),
        Format::Text => answer::text(profile::debug(&profile)),
        Format::Folded => answer::text(profile::folded(&profile)),
        Format::Svg => answer::svg(profile::svg(&profile, &title(&profile, name))),
        Format::Json => return Err(Refusal::Bad("a profile has no JSON form".to_owned())),
    })
}

fn title(profile: &Profile, name: &str) -> String {
    match profile.duration_nanos {
        0 => name.to_owned(),
        nanos => format!("{name}, {:.1} s", nanos as f64 / 1e9),
    }
}

fn threads_page(format: Format) -> Response<Bytes> {
    let page = threads::page();
    if format == Format::Json { answer::json(&page) } else { answer::text(page.text()) }
}

/// Arguments joined by zero bytes, as the kernel keeps them.
fn command_line(arguments: bool) -> Vec<u8> {
    let mut line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    if line.last() == Some(&0) {
        line.pop();
    }
    if !arguments {
        line.truncate(line.iter().position(|byte| *byte == 0).unwrap_or(line.len()));
    }
    line
}

/// Addresses of one request.
const MOST_ADDRESSES: usize = 1_024;

/// `0x10+0x20` to one line each; the first line says that names can be had.
fn symbols_of(list: &[u8]) -> String {
    let list = String::from_utf8_lossy(list);
    let addresses =
        list.split('+').filter_map(|word| u64::from_str_radix(word.trim().strip_prefix("0x")?, 16).ok());
    let mut out = "num_symbols: 1\n".to_owned();
    for address in addresses.take(MOST_ADDRESSES) {
        if let Some(name) = symbols::name(address) {
            let _ = writeln!(out, "{address:#x} {name}"); // a string takes everything
        }
    }
    out
}

fn index() -> String {
    let mut rows = String::new();
    for (name, what, about) in route::PROFILES.iter().filter(|(name, ..)| !name.is_empty()) {
        let views = match what {
            What::Timed(_) => format!(
                "<a href=\"/debug/pprof/{name}?seconds=5&amp;format=svg\">5 s, flame graph</a> \
                 <a href=\"/debug/pprof/{name}?seconds=5&amp;debug=1\">text</a>"
            ),
            What::Counted(_) => format!(
                "<a href=\"/debug/pprof/{name}?format=svg\">flame graph</a> <a href=\"/debug/pprof/{name}?debug=1\">text</a>"
            ),
            _ => String::new(),
        };
        let _ = writeln!(rows, "<tr><td><a href=\"/debug/pprof/{name}\">{name}</a><td>{views}<td>{about}");
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>/debug/pprof/</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2rem}}td{{padding:.2rem 1rem .2rem 0}}</style>\n\
         <h1>/debug/pprof/</h1>\n<p>Open one with <code>go tool pprof http://this-address/debug/pprof/profile</code>, or here.\n\
         <table>\n{rows}</table>\n\
         <p><a href=\"/debug/seawall/threads\">threads</a>: state, waits, stacks, deadlocks. \
         <a href=\"/debug/seawall/tasks\">tasks</a> <a href=\"/debug/seawall/pools\">pools</a> \
         <a href=\"/debug/seawall/limits\">limits</a> <a href=\"/debug/seawall/runtime\">runtime</a>\n"
    )
}

impl fmt::Debug for Pprof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pprof").field("config", &self.0.config).finish_non_exhaustive()
    }
}
