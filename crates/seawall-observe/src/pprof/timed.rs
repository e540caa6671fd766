//! Profiles that are taken over a time: one at once.

use std::time::Duration;

use super::answer::Refusal;
use super::collect::{self, CpuMethod, Order, Taken};
use super::profile::{Label, Profile, ValueType};
use super::route::{Ask, Counted, Timed};
use super::stacks::Key;
use super::{Pprof, symbols};
use crate::clock;

/// Go's default.
const USUAL_LENGTH: Duration = Duration::from_secs(30);
/// Every thread comes out of its wait for each question.
const USUAL_QUESTIONS: u32 = 20;

impl Timed {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "profile",
            Self::Wall => "wall",
            Self::OffCpu => "offcpu",
        }
    }

    fn kinds(self) -> [ValueType; 2] {
        let time = match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::OffCpu => "offcpu",
        };
        [ValueType::new("samples", "count"), ValueType::new(time, "nanoseconds")]
    }
}

impl Counted {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Allocations => "allocs",
            Self::Goroutine => "goroutine",
            Self::ThreadCreate => "threadcreate",
            Self::Block => "block",
            Self::Mutex => "mutex",
        }
    }
}

/// Takes it, which blocks for as long.
///
/// # Errors
/// Why there is none.
pub(super) fn take(pprof: &Pprof, what: Timed, ask: &Ask) -> Result<Profile, Refusal> {
    let Some(_one) = super::TIMED.try_lock() else {
        return Err(Refusal::Busy("Could not enable CPU profiling: cpu profiling already in use"));
    };
    let config = &pprof.0.config;
    let most = Duration::from_secs(config.max_seconds.into());
    let usual = if what == Timed::Cpu { config.hz } else { USUAL_QUESTIONS };
    let stopped = || pprof.is_stopped();
    let order = Order {
        length: ask.length.unwrap_or(USUAL_LENGTH.min(most)),
        hz: ask.hz.unwrap_or(usual),
        stopped: &stopped,
    };
    let begun = clock::unix_nanos();
    let method = ask.method.unwrap_or(config.cpu);
    let taken = match what {
        Timed::Cpu => collect::cpu(order, method),
        Timed::Wall => collect::wall(order),
        Timed::OffCpu if method == CpuMethod::Timers => collect::off_cpu_asked(order, "as was asked for"),
        Timed::OffCpu => {
            collect::off_cpu_events(order).or_else(|reason| collect::off_cpu_asked(order, &reason))
        }
    };
    Ok(shown(taken.map_err(Refusal::Unavailable)?, what, begun))
}

fn shown(taken: Taken, what: Timed, begun: i64) -> Profile {
    let Taken { stacks, names, length, period, comments } = taken;
    let label = |key: &Key| {
        let name = names.get(&key.thread).cloned().unwrap_or_else(|| key.thread.to_string());
        vec![("thread", Label::Text(name))]
    };
    let kinds = what.kinds();
    let mut profile = symbols::profile(&kinds, kinds[1].name, &stacks, label, |_| false);
    profile.time_nanos = begun;
    profile.duration_nanos = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
    if period > 0 {
        profile.period_type = Some(kinds[1]);
        profile.period = period;
    }
    profile.comments = comments;
    profile
}
