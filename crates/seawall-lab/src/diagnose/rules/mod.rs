//! The rules: facts in, ranked findings out. Pure; thresholds stand beside the rule that uses them.
//!
//! Each rule explains one cause and says which share of the lost time it explains and how sure it is. Defects come first,
//! then notices, then limits, each by score. A rule that explains another one's symptom silences it.

mod card;
mod cpu;
mod memory;
mod network;
mod station;
mod threads;
mod waits;

use super::elasticity;
use super::facts::Facts;
use super::model::{Cause, Finding, Severity};

/// A defect with a smaller score is only a notice.
pub const MIN_DEFECT_SCORE: f64 = 0.25;

/// All causes that the facts show, the most likely first.
pub fn rank(facts: &Facts) -> Vec<Finding> {
    let rules: [fn(&Facts) -> Option<Finding>; 21] = [
        cpu::throttled,
        cpu::cpu_bound,
        cpu::one_thread,
        cpu::allocation,
        cpu::logging,
        threads::deadlock,
        threads::lock_contention,
        threads::blocking_in_async,
        threads::blocking_pool,
        threads::disk,
        waits::downstream,
        waits::pool_starvation,
        waits::own_protection,
        waits::errors,
        network::accept_overflow,
        network::nagle,
        network::retransmits,
        network::churn,
        memory::pressure,
        memory::growth,
        memory::open_files,
    ];
    let mut findings: Vec<Finding> = rules.iter().filter_map(|rule| rule(facts)).collect();
    silence(&mut findings, facts);
    findings.extend(waits::hidden_wait(facts, &findings));
    elasticity::weigh(&mut findings, &facts.trials);
    for finding in &mut findings {
        finding.score = finding.share * finding.confidence;
        if finding.severity == Severity::Defect && finding.score < MIN_DEFECT_SCORE {
            finding.severity = Severity::Notice;
        }
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.score.total_cmp(&a.score)));
    findings
}

/// Takes away what another finding explains.
fn silence(findings: &mut Vec<Finding>, facts: &Facts) {
    let has = |cause: Cause| findings.iter().any(|finding| finding.cause == cause);
    let mut silenced = Vec::new();
    if has(Cause::Deadlock) {
        // Whoever waits for the dead waits, blocks or answers nothing.
        silenced.extend([Cause::LockContention, Cause::BlockingInAsync, Cause::BlockingPool, Cause::Errors]);
    }
    if has(Cause::CpuThrottled) {
        silenced.extend([Cause::CpuBound, Cause::SingleThreaded, Cause::HotThread]);
    }
    if has(Cause::LockContention) {
        // Whoever holds the lock is the one that blocks.
        let of = |cause: Cause| {
            findings
                .iter()
                .find(|finding| finding.cause == cause)
                .map_or(0.0, |finding| finding.share * finding.confidence)
        };
        let lock = of(Cause::LockContention);
        silenced.extend([Cause::BlockingInAsync, Cause::Disk].into_iter().filter(|cause| of(*cause) <= lock));
    }
    if has(Cause::PoolStarvation) {
        silenced.push(Cause::Downstream);
        if station::explains_hottest(facts) {
            silenced.push(Cause::HotThread);
        }
        if station::queue(facts).is_some() {
            // The same threads, seen from outside.
            silenced.push(Cause::BlockingPool);
        }
    }
    findings.retain(|finding| !silenced.contains(&finding.cause));
}

#[cfg(test)]
mod tests;
