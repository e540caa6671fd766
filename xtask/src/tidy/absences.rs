//! Invariants written as absences: what must not be named where, and why.

use super::scan::{Line, has_word};
use super::{Finding, Source, Tree};

/// Code that may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Everything but tests.
    Product,
    /// Tests too.
    All,
}

struct Absence {
    /// Where the rule holds.
    holds: fn(&Source) -> bool,
    reach: Reach,
    /// What must not be there; a guard against parts of longer names is built in.
    breaks: fn(&Line) -> Option<&'static str>,
    reason: &'static str,
}

const ABSENCES: [Absence; 11] = [
    Absence {
        holds: is_pure,
        reach: Reach::Product,
        breaks: |line| {
            let impure = ["tokio", "async", "await", "rand", "Instant::now", "SystemTime::now"];
            word(line, &impure).or_else(|| word(line, &["std::net", "std::fs", "std::process"]))
        },
        reason: "this file decides, purely: time and randomness are arguments, waiting and I/O belong to the callers",
    },
    Absence {
        holds: |source| !source.path.ends_with("/clock.rs") && !source.path.contains("/examples/"),
        reach: Reach::Product,
        breaks: |line| word(line, &["Instant::now", "SystemTime::now"]),
        reason: "time is an argument; only a crate's clock.rs reads the clock",
    },
    Absence {
        holds: |source| in_crates(source) && source.path != "crates/seawall-http/src/server/h2.rs",
        reach: Reach::Product,
        breaks: |line| {
            let hyper = has_word(&line.code, "hyper") || has_word(&line.code, "hyper_util");
            (hyper && has_word(&line.code, "server")).then_some("hyper's server")
        },
        reason: "only seawall-http's server/h2.rs names the engine of HTTP/2",
    },
    Absence {
        holds: |source| in_crates(source) && source.path != "crates/seawall-http/src/error/status.rs",
        reach: Reach::Product,
        breaks: |line| {
            let refusals =
                ["TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT", "PAYLOAD_TOO_LARGE"];
            let rarer =
                ["CONTENT_TOO_LARGE", "REQUEST_TIMEOUT", "REQUEST_HEADER_FIELDS_TOO_LARGE", "URI_TOO_LONG"];
            word(line, &refusals).or_else(|| word(line, &rarer))
        },
        reason: "a refusal meets its status code in seawall-http's error/status.rs and nowhere else",
    },
    Absence {
        holds: |source| in_crates(source) && !source.path.starts_with("crates/seawall-observe/"),
        reach: Reach::Product,
        breaks: |line| line.strings.iter().any(|text| text.contains("# TYPE")).then_some("# TYPE"),
        reason: "Prometheus text is written by seawall-observe alone",
    },
    Absence {
        holds: |_| true,
        reach: Reach::Product,
        breaks: |line| word(line, &["unbounded_channel", "unbounded()"]).or_else(|| std_channel(line)),
        reason: "every channel has a bound, and says what happens when it is full",
    },
    Absence {
        holds: |_| true,
        reach: Reach::All,
        breaks: |line| word(line, &["todo!", "unimplemented!", "dbg!"]),
        reason: "unfinished code does not land",
    },
    Absence {
        holds: |_| true,
        reach: Reach::All,
        breaks: |line| {
            let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
            marks.into_iter().find(|mark| has_word(&line.comment, mark))
        },
        reason: "what is left to do is an issue, not a comment",
    },
    Absence {
        holds: |_| true,
        // In tests clippy finds it too, and a reason can be given: a server that is slow on purpose.
        reach: Reach::Product,
        breaks: |line| word(line, &["thread::sleep"]),
        reason: "a sleeping thread serves nobody: wait for the condition, with a time limit",
    },
    Absence {
        holds: |_| true,
        reach: Reach::Product,
        breaks: |line| line.code.contains(".unwrap()").then_some(".unwrap()"),
        reason: "outside tests, say why it cannot fail: `expect(\"...\")`",
    },
    Absence {
        holds: |_| true,
        reach: Reach::All,
        breaks: |line| word(line, &["mod util", "mod utils", "mod helpers", "mod misc"]),
        reason: "a module is named after what is in it",
    },
];

/// Nothing that must not be there.
pub(super) fn absences(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(|source| ABSENCES.iter().flat_map(|absence| absence.check(source))).collect()
}

/// Every `allow` and `expect` of a lint has a reason.
pub(super) fn reasons(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        for (number, line) in source.all_lines() {
            let code = line.code.trim_start();
            let attribute = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
            if attribute.iter().any(|begin| code.starts_with(begin)) && !has_reason(source, number) {
                findings.push(Finding::new(&source.path, number, "say why: `reason = \"...\"`"));
            }
        }
    }
    findings
}

/// Whether the attribute that begins on line `number` names a reason before it ends.
fn has_reason(source: &Source, number: usize) -> bool {
    let rest = source.lines[number - 1..].iter();
    let until_end = rest.scan(false, |ended, line| {
        let go_on = !*ended;
        *ended = line.code.contains(")]");
        go_on.then_some(line)
    });
    until_end.into_iter().any(|line| has_word(&line.code, "reason"))
}

impl Absence {
    fn check(&self, source: &Source) -> Vec<Finding> {
        if !(self.holds)(source) {
            return Vec::new();
        }
        let in_reach = |line: &Line| self.reach == Reach::All || !(source.is_test() || line.in_test);
        let lines = source.all_lines().filter(|(_, line)| in_reach(line));
        let broken = lines.filter_map(|(number, line)| Some((number, (self.breaks)(line)?)));
        broken.map(|(number, what)| Finding::new(&source.path, number, self.message(what))).collect()
    }

    fn message(&self, what: &str) -> String {
        format!("`{what}`: {}", self.reason)
    }
}

fn word(line: &Line, words: &[&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| has_word(&line.code, word))
}

/// `channel()` without a bound; a one-shot channel has room for one by nature.
fn std_channel(line: &Line) -> Option<&'static str> {
    let code = &line.code;
    let bare = code.match_indices("channel").any(|(at, name)| {
        let after = &code[at + name.len()..];
        let call = after
            .strip_prefix("::<")
            .and_then(|types| types.split_once(">("))
            .map_or(after, |(_, rest)| rest);
        let empty = after.starts_with("()") || (call != after && call.starts_with(')'));
        empty
            && !code[..at].ends_with("oneshot::")
            && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
    });
    bare.then_some("channel()")
}

fn in_crates(source: &Source) -> bool {
    source.path.starts_with("crates/")
}

/// All of guard and core, and wherever decisions are made.
fn is_pure(source: &Source) -> bool {
    let decisions = ["policy", "search", "stats", "rules", "schedule"];
    let of_a_pure_crate = ["crates/seawall-guard/src/", "crates/seawall-core/src/"];
    let parts = source.path.trim_end_matches(".rs").split('/');
    of_a_pure_crate.iter().any(|folder| source.path.starts_with(folder))
        || in_crates(source) && parts.into_iter().any(|part| decisions.contains(&part))
}
