//! What a request asks for: path and query to one value. Pure; the words are those of Go's `net/http/pprof`.

use std::time::Duration;

use super::CpuMethod;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Index,
    CommandLine,
    Symbol,
    Trace,
    Timed(Timed),
    Counted(Counted),
    Threads,
    Tasks,
    Section(Section),
}

/// Profiles that are taken over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timed {
    Cpu,
    Wall,
    OffCpu,
}

/// Profiles that are counted anyway, and shown as they are or as what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Heap,
    Allocations,
    Goroutine,
    ThreadCreate,
    Block,
    Mutex,
}

/// A page that other parts of a service fill; see [`Pprof::show`](super::Pprof::show).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// `/debug/seawall/pools`: connection pools.
    Pools,
    /// `/debug/seawall/limits`: limits, breakers, gates.
    Limits,
    /// `/debug/seawall/runtime`: the asynchronous runtime.
    Runtime,
}

impl Section {
    /// The last part of its path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pools => "pools",
            Self::Limits => "limits",
            Self::Runtime => "runtime",
        }
    }
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// gzip'd `profile.proto`; of the thread page, text.
    Usual,
    Text,
    Folded,
    Svg,
    Json,
}

/// One request, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) what: What,
    /// How long; `None` for the default of a timed profile, and for a counted one as it is.
    pub(crate) length: Option<Duration>,
    pub(crate) format: Format,
    pub(crate) hz: Option<u32>,
    pub(crate) method: Option<CpuMethod>,
    pub(crate) gc: bool,
}

/// Why a request cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// There is no such page.
    Unknown,
    /// A parameter is wrong.
    Bad(String),
}

/// Profiles with their names in the path, and what the index says of each.
pub(crate) const PROFILES: [(&str, What, &str); 13] = [
    ("allocs", What::Counted(Counted::Allocations), "every allocation so far, sampled"),
    ("block", What::Counted(Counted::Block), "waits for instrumented locks, by who waited"),
    ("cmdline", What::CommandLine, "the program's arguments"),
    (
        "goroutine",
        What::Counted(Counted::Goroutine),
        "live tasks, by where they were started (not their stacks)",
    ),
    ("heap", What::Counted(Counted::Heap), "memory in use, sampled; gc=1 gives free memory back first"),
    ("mutex", What::Counted(Counted::Mutex), "waits for instrumented locks, by who released"),
    ("offcpu", What::Timed(Timed::OffCpu), "time threads spend off a core, over ?seconds="),
    ("profile", What::Timed(Timed::Cpu), "CPU time, over ?seconds="),
    ("symbol", What::Symbol, "names of addresses"),
    ("threadcreate", What::Counted(Counted::ThreadCreate), "threads, by name"),
    ("trace", What::Trace, "not there: Go's execution trace has no counterpart"),
    ("wall", What::Timed(Timed::Wall), "where threads are, running or not, over ?seconds="),
    ("", What::Index, "this page"),
];

/// Understands a path and its query.
pub(crate) fn ask(path: &str, query: &str) -> Result<Ask, Unclear> {
    let what = what(path).ok_or(Unclear::Unknown)?;
    let mut ask = Ask { what, length: None, format: Format::Usual, hz: None, method: None, gc: false };
    // The addresses of `symbol` are a query without names.
    let pairs = query.split('&').filter(|pair| !pair.is_empty() && what != What::Symbol);
    for (key, value) in pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
        match key {
            "seconds" => ask.length = length(value)?,
            "debug" if value != "0" => ask.format = Format::Text,
            "gc" => ask.gc = value != "0",
            "format" => ask.format = format(value)?,
            "hz" => ask.hz = Some(number(key, value, 1..=999)?),
            "method" => ask.method = Some(method(value)?),
            // Go ignores what it does not know, and its clients add things.
            _ => {}
        }
    }
    let text = ask.format == Format::Text;
    if text && ask.length.is_some() && matches!(what, What::Counted(_)) {
        return Err(Unclear::Bad("seconds and debug params are incompatible".to_owned()));
    }
    Ok(ask)
}

fn what(path: &str) -> Option<What> {
    if let Some(name) = path.strip_prefix("/debug/pprof") {
        let name = name.strip_prefix('/').unwrap_or(name);
        return PROFILES.iter().find(|(known, ..)| *known == name).map(|(_, what, _)| *what);
    }
    let sections = [Section::Pools, Section::Limits, Section::Runtime];
    match path.strip_prefix("/debug/seawall/")? {
        "threads" => Some(What::Threads),
        "tasks" => Some(What::Tasks),
        name => sections.into_iter().find(|section| section.name() == name).map(What::Section),
    }
}

/// Zero is the default, as in Go.
fn length(value: &str) -> Result<Option<Duration>, Unclear> {
    match value.parse::<f64>() {
        Ok(0.0) => Ok(None),
        // A day is beyond every limit, and within what a duration can hold.
        Ok(seconds) if seconds > 0.0 => Ok(Some(Duration::from_secs_f64(seconds.min(86_400.0)))),
        _ => Err(Unclear::Bad(r#"invalid value for "seconds" - must be a positive integer"#.to_owned())),
    }
}

fn number(key: &str, value: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, Unclear> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| Unclear::Bad(format!("invalid value for {key:?} - must be {least} to {most}")))
}

fn format(value: &str) -> Result<Format, Unclear> {
    match value {
        "proto" => Ok(Format::Usual),
        "text" => Ok(Format::Text),
        "folded" => Ok(Format::Folded),
        "svg" => Ok(Format::Svg),
        "json" => Ok(Format::Json),
        _ => Err(Unclear::Bad(
            "invalid value for \"format\" - must be proto, text, folded, svg or json".to_owned(),
        )),
    }
}

fn method(value: &str) -> Result<CpuMethod, Unclear> {
    match value {
        "auto" => Ok(CpuMethod::Auto),
        "perf" => Ok(CpuMethod::Perf),
        "timers" => Ok(CpuMethod::Timers),
        _ => Err(Unclear::Bad("invalid value for \"method\" - must be auto, perf or timers".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, query: &str, expected: &str) {
        let found = match ask(path, query) {
            Ok(Ask { what, length, format, hz, method, gc }) => {
                let mut words = vec![format!("{what:?}")];
                words.extend(length.map(|length| format!("{length:?}")));
                words.extend((format != Format::Usual).then(|| format!("{format:?}")));
                words.extend(hz.map(|hz| format!("{hz} Hz")));
                words.extend(method.map(|method| format!("{method:?}")));
                words.extend(gc.then(|| "gc".to_owned()));
                words.join(" ")
            }
            Err(Unclear::Unknown) => "unknown".to_owned(),
            Err(Unclear::Bad(why)) => why,
        };
        assert_eq!(found, expected, "{path}?{query}");
    }

    #[test]
    fn gos_paths_are_known() {
        check("/debug/pprof/", "", "Index");
        check("/debug/pprof", "", "Index");
        check("/debug/pprof/profile", "seconds=5", "Timed(Cpu) 5s");
        check("/debug/pprof/heap", "gc=1", "Counted(Heap) gc");
        check("/debug/pprof/goroutine", "debug=2", "Counted(Goroutine) Text");
        check("/debug/pprof/symbol", "0x10+0x20", "Symbol");
        check("/debug/pprof/trace", "seconds=1", "Trace 1s");
    }
    #[test]
    fn ours_are_known() {
        check("/debug/pprof/wall", "hz=20&format=svg", "Timed(Wall) Svg 20 Hz");
        check("/debug/pprof/profile", "method=timers&format=folded", "Timed(Cpu) Folded Timers");
        check("/debug/seawall/threads", "format=json", "Threads Json");
        check("/debug/seawall/pools", "", "Section(Pools)");
    }
    #[test]
    fn others_are_not() {
        check("/debug/pprof/goroutines", "", "unknown");
        check("/debug/seawall/x", "", "unknown");
        check("/debug/pprofx", "", "unknown");
        check("/", "", "unknown");
    }
    #[test]
    fn zero_seconds_are_the_default() {
        check("/debug/pprof/profile", "seconds=0", "Timed(Cpu)");
        check("/debug/pprof/heap", "debug=0", "Counted(Heap)");
    }
    #[test]
    fn what_cannot_be_is_said() {
        let bad = r#"invalid value for "seconds" - must be a positive integer"#;
        for query in ["seconds=x", "seconds=-1", "seconds=NaN", "seconds="] {
            check("/debug/pprof/heap", query, bad);
        }
        check("/debug/pprof/heap", "seconds=1&debug=1", "seconds and debug params are incompatible");
        check("/debug/pprof/profile", "hz=1000", r#"invalid value for "hz" - must be 1 to 999"#);
    }
    #[test]
    fn no_length_is_too_long_to_be_understood() {
        check("/debug/pprof/profile", "seconds=1e300", "Timed(Cpu) 86400s");
    }
}
