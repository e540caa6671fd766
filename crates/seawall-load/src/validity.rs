//! Was the generator fit to measure this? Rules over what it observed about itself.
//!
//! Pure. A run in which the generator was the limit must never be sold as the server's capacity; a slow server, on the
//! other hand, is a result and no defect of the run: an open loop whose connections were all busy is valid overload
//! data.

use serde::Serialize;

/// May the numbers be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Valid,
    /// As a floor, not as the server's capacity: a closed loop whose generator was busy all the time, or could not make its
    /// connections.
    GeneratorBound,
    /// No: the generator did not do what was asked of it.
    Invalid,
}

/// The verdict and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validity {
    /// May the numbers be used?
    pub verdict: Verdict,
    /// One sentence each, empty if valid.
    pub reasons: Vec<String>,
}

/// What the generator observed about itself while it measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SelfCheck {
    /// Requests had due times (open loop, virtual users).
    pub open_loop: bool,
    /// Complete answers that were measured.
    pub answered: u64,
    /// Requests that were due, per second.
    pub offered_rps: f64,
    /// Requests that were sent, per second.
    pub sent_rps: f64,
    /// Requests still due and never sent when the measurement ended.
    pub backlog: u64,
    /// Requests that were given up because no connection was free before their deadline.
    pub shed: u64,
    /// Share of the sent requests that had to wait because every connection was busy.
    pub waited_share: f64,
    /// Attempts to connect for which this machine had no descriptor or no port left, warm-up included.
    pub unconnected: u64,
    /// Per generator thread: share of the time it ran, without its idle spinning.
    pub cpu_shares: Vec<f64>,
    /// Per generator thread: share of the time it wanted to run and got no CPU.
    pub run_delay_shares: Vec<f64>,
    /// Lag that does no harm in this kind of run, in microseconds; more than a tenth of the measured p99 does.
    pub accepted_lag_us: f64,
    /// 99th percentile of how late the generator was with a request that a connection was free for, in microseconds.
    pub lag_p99_us: f64,
    /// 99th percentile of the latency, in microseconds.
    pub latency_p99_us: f64,
}

impl SelfCheck {
    /// Fewer requests were sent than were due.
    fn missed(&self) -> bool {
        self.sent_rps < self.offered_rps * MIN_SENT_SHARE
    }

    /// Requests were late, or given up, because every connection waited for an answer.
    fn kept_busy(&self) -> bool {
        (self.backlog > 0 && self.waited_share > 0.0) || self.shed > 0
    }
}

/// A thread that ran, or waited for a CPU, for more than this share of the time had no reserve.
pub const MAX_CPU_SHARE: f64 = 0.90;
/// A closed loop that waited for a CPU for more than this share of the time measured its own machine. An open loop is
/// judged by what came of it, the lag.
pub const MAX_RUN_DELAY_SHARE: f64 = 0.10;
/// An open loop that missed its rate because all connections were busy, and waited for a CPU for more than this share of
/// the time, cannot blame the server: answers may have lain there unread.
pub const MAX_RUN_DELAY_IN_OVERLOAD: f64 = 0.30;
/// An open loop must send this share of what is due, unless the server kept all connections busy.
pub const MIN_SENT_SHARE: f64 = 0.98;
/// Lag that is accepted at a fixed rate, in microseconds.
pub const ACCEPTED_LAG_US: f64 = 1_000.0;
/// The same for virtual users: they pause for much longer, so the crowd keeps its shape; and their latencies, which
/// include the lag, are too high rather than too low.
pub const ACCEPTED_LAG_OF_USERS_US: f64 = 100_000.0;

/// Judges a run.
pub fn judge(check: &SelfCheck) -> Validity {
    if check.answered == 0 {
        return Validity { verdict: Verdict::Invalid, reasons: vec!["no answer was measured".to_owned()] };
    }
    let mut reasons = Vec::new();
    let threads = check.cpu_shares.iter().zip(&check.run_delay_shares);
    let busiest = threads.max_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1)));
    let (cpu, run_delay) = busiest.map_or((0.0, 0.0), |(cpu, run_delay)| (*cpu, *run_delay));
    if cpu + run_delay > MAX_CPU_SHARE {
        reasons.push(format!(
            "a generator thread had no reserve: it ran {:.0} % of the time and waited for a CPU {:.0} % (limit {:.0} % \
             in all): add threads (-t), or CPUs that nobody else uses",
            cpu * 100.0,
            run_delay * 100.0,
            MAX_CPU_SHARE * 100.0
        ));
    } else if !check.open_loop && run_delay > MAX_RUN_DELAY_SHARE {
        reasons.push(format!(
            "a generator thread waited for a CPU {:.0} % of the time (limit {:.0} %): other work shares its CPUs",
            run_delay * 100.0,
            MAX_RUN_DELAY_SHARE * 100.0
        ));
    }
    // An open loop that kept its rate has not missed them.
    if check.unconnected > 0 && (!check.open_loop || check.missed() || check.kept_busy()) {
        reasons.push(format!(
            "this machine had no descriptor or no port left for a connection, {} times: see errors",
            check.unconnected
        ));
    }
    if check.open_loop {
        if reasons.is_empty() && run_delay > MAX_RUN_DELAY_IN_OVERLOAD && check.kept_busy() && check.missed()
        {
            reasons.push(format!(
                "the rate was missed with all connections busy, but a generator thread waited for a CPU {:.0} % of the \
                 time (limit {:.0} %): nobody knows who was slow, the server or the reading of its answers",
                run_delay * 100.0,
                MAX_RUN_DELAY_IN_OVERLOAD * 100.0
            ));
        }
        reasons.extend(open_loop_reasons(check));
    } else if !reasons.is_empty() {
        reasons.push("the rate is a floor, not the server's capacity".to_owned());
    }
    let verdict = match (reasons.is_empty(), check.open_loop) {
        (true, _) => Verdict::Valid,
        (false, true) => Verdict::Invalid,
        (false, false) => Verdict::GeneratorBound,
    };
    Validity { verdict, reasons }
}

fn open_loop_reasons(check: &SelfCheck) -> Vec<String> {
    let mut reasons = Vec::new();
    let accepted = check.accepted_lag_us.max(check.latency_p99_us * 0.1);
    if check.lag_p99_us > accepted {
        reasons.push(format!(
            "the generator sent 1 % of its requests more than {:.0} us late (limit {accepted:.0} us)",
            check.lag_p99_us
        ));
    }
    // Late because all connections were busy: that is the server's doing.
    if check.missed() && !check.kept_busy() {
        reasons.push(format!(
            "only {:.0} of {:.0} requests per second were sent though connections were free",
            check.sent_rps, check.offered_rps
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> SelfCheck {
        SelfCheck {
            open_loop: true,
            answered: 1_000,
            offered_rps: 1_000.0,
            sent_rps: 1_000.0,
            cpu_shares: vec![0.3],
            run_delay_shares: vec![0.01],
            accepted_lag_us: ACCEPTED_LAG_US,
            lag_p99_us: 80.0,
            latency_p99_us: 900.0,
            ..SelfCheck::default()
        }
    }

    fn check(self_check: &SelfCheck, verdict: Verdict, reason: &str) {
        let validity = judge(self_check);
        assert_eq!(validity.verdict, verdict, "{validity:?}");
        assert_eq!(validity.reasons.is_empty(), verdict == Verdict::Valid);
        assert!(validity.reasons.join("; ").contains(reason), "{validity:?}");
    }

    #[test]
    fn connections_that_this_machine_could_not_make_are_no_capacity() {
        let closed = SelfCheck { open_loop: false, unconnected: 3, ..open() };
        check(&closed, Verdict::GeneratorBound, "no port left for a connection, 3 times");
        check(&SelfCheck { unconnected: 3, ..open() }, Verdict::Valid, "");
        let shed = SelfCheck { unconnected: 3, shed: 1, ..open() };
        check(&shed, Verdict::Invalid, "no port left for a connection, 3 times");
    }

    #[test]
    fn a_calm_open_loop_is_valid() {
        check(&open(), Verdict::Valid, "");
    }

    #[test]
    fn a_slow_server_is_a_result() {
        let overload = SelfCheck { sent_rps: 500.0, backlog: 5_000, waited_share: 0.9, ..open() };
        check(&overload, Verdict::Valid, "");
    }

    #[test]
    fn an_overload_is_the_servers_only_if_the_generator_was_awake() {
        let overload = SelfCheck { sent_rps: 500.0, backlog: 5_000, waited_share: 0.9, ..open() };
        check(
            &SelfCheck { run_delay_shares: vec![0.4], ..overload },
            Verdict::Invalid,
            "nobody knows who was slow",
        );
    }

    #[test]
    fn what_was_shed_is_the_servers_doing() {
        check(&SelfCheck { sent_rps: 500.0, shed: 5_000, ..open() }, Verdict::Valid, "");
    }

    #[test]
    fn a_missed_rate_with_free_connections_is_invalid() {
        check(&SelfCheck { sent_rps: 970.0, ..open() }, Verdict::Invalid, "only 970 of 1000");
    }

    #[test]
    fn a_busy_generator_makes_an_open_loop_invalid() {
        check(
            &SelfCheck { cpu_shares: vec![0.2, 0.95], run_delay_shares: vec![0.0; 2], ..open() },
            Verdict::Invalid,
            "it ran 95 % of the time",
        );
    }

    #[test]
    fn a_busy_generator_makes_a_closed_loop_a_floor() {
        let closed = SelfCheck { open_loop: false, cpu_shares: vec![0.97], ..open() };
        check(&closed, Verdict::GeneratorBound, "a floor, not the server's capacity");
    }

    #[test]
    fn lag_is_compared_with_what_was_measured() {
        check(&SelfCheck { lag_p99_us: 3_000.0, ..open() }, Verdict::Invalid, "3000 us late");
        let slow = SelfCheck { lag_p99_us: 3_000.0, latency_p99_us: 50_000.0, ..open() };
        check(&slow, Verdict::Valid, "");
    }

    #[test]
    fn waiting_for_a_cpu_is_no_reserve_either() {
        let starved = SelfCheck { run_delay_shares: vec![0.7], ..open() };
        check(&starved, Verdict::Invalid, "waited for a CPU 70 %");
    }

    #[test]
    fn waiting_for_a_cpu_without_being_late_does_no_harm_to_an_open_loop() {
        check(&SelfCheck { run_delay_shares: vec![0.2], ..open() }, Verdict::Valid, "");
        let closed = SelfCheck { run_delay_shares: vec![0.2], open_loop: false, ..open() };
        check(&closed, Verdict::GeneratorBound, "waited for a CPU 20 %");
    }

    #[test]
    fn no_answer_is_no_measurement() {
        let closed = SelfCheck { open_loop: false, answered: 0, ..open() };
        check(&closed, Verdict::Invalid, "no answer was measured");
    }
}
