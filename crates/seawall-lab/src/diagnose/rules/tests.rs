//! Facts as each bottleneck makes them, and the cause that must come first; and facts of healthy services, which show none.

use proptest::prelude::*;

use super::rank;
use crate::diagnose::elasticity::{Capacity, Trial};
use crate::diagnose::facts::{Facts, Level, LoadFacts};
use crate::diagnose::model::{Cause, ExperimentResult, Severity};
use crate::profile::Profile;
use crate::signals::station::Station;
use crate::signals::window::{ThreadWindow, Window};

/// A worker with an event loop that is idle.
fn worker(tid: u32) -> ThreadWindow {
    ThreadWindow {
        pid: 1,
        tid,
        name: "worker".into(),
        events: 1.0,
        voluntary: 200.0,
        ..ThreadWindow::default()
    }
}

fn window(threads: Vec<ThreadWindow>) -> Window {
    let cpu = threads.iter().map(|thread| thread.running).sum();
    Window {
        seconds: 2.0,
        cpu_user: cpu,
        machine_idle: Some(0.5),
        machine_busy: Some(cpu + 0.5),
        threads,
        accept_limit: Some(1024),
        listen_overflows: Some(0.0),
        ..Window::default()
    }
}

fn level(connections: f64, rps: f64, window: Window) -> Level {
    let mean_ms = connections / rps * 1e3;
    let load = LoadFacts {
        rps,
        sent_rps: rps,
        mean_ms,
        p50_ms: mean_ms,
        p99_ms: mean_ms * 2.0,
        ..LoadFacts::default()
    };
    Level { name: format!("{connections} connections"), connections, load, window: Some(window) }
}

/// 1, 8 and 64 connections with these rates; `top` is what the threads do at the heaviest.
fn facts(rates: [f64; 3], top: Vec<ThreadWindow>) -> Facts {
    let light = || window(vec![worker(1), worker(2)]);
    let levels = vec![
        level(1.0, rates[0], light()),
        level(8.0, rates[1], light()),
        level(64.0, rates[2], window(top)),
    ];
    Facts { cores: 2.0, levels, idle: Some(light()), after: Some(light()), ..Facts::default() }
}

fn top(facts: &mut Facts) -> &mut Level {
    facts.levels.last_mut().unwrap()
}

fn top_window(facts: &mut Facts) -> &mut Window {
    top(facts).window.as_mut().unwrap()
}

/// The first defect; none for a healthy service.
fn check(facts: &Facts, expected: Option<Cause>) {
    let findings = rank(facts);
    let first =
        findings.first().filter(|finding| finding.severity == Severity::Defect).map(|finding| finding.cause);
    assert_eq!(first, expected, "{findings:#?}");
    assert!(findings.windows(2).all(|pair| pair[0].severity >= pair[1].severity), "defects come first");
    for finding in &findings {
        assert!((0.0..=1.0).contains(&finding.score) && !finding.change.is_empty(), "{finding:?}");
        assert!(!finding.experiment.what.is_empty() && !finding.numbers.is_empty(), "{finding:?}");
    }
}

fn with_limit(facts: &Facts, limit: Cause) {
    let findings = rank(facts);
    assert!(findings.iter().any(|f| f.cause == limit && f.severity == Severity::Limit), "{findings:#?}");
}

#[test]
fn a_service_that_is_not_busy_is_healthy() {
    check(&facts([900.0, 7_000.0, 40_000.0], vec![worker(1), worker(2)]), None);
}
#[test]
fn all_cpu_used_is_a_limit_and_no_defect() {
    let busy = |tid| ThreadWindow { running: 0.95, events: 0.05, ..worker(tid) };
    let facts = facts([9_000.0, 20_000.0, 21_000.0], vec![busy(1), busy(2)]);
    check(&facts, None);
    with_limit(&facts, Cause::CpuBound);
}
#[test]
fn a_program_with_one_thread_is_limited_by_it_and_has_no_defect() {
    let facts =
        facts([9_000.0, 20_000.0, 21_000.0], vec![ThreadWindow { running: 0.97, events: 0.03, ..worker(1) }]);
    check(&facts, None);
    with_limit(&facts, Cause::SingleThreaded);
}
#[test]
fn one_hot_thread_that_others_wait_for() {
    let hot = ThreadWindow { running: 0.97, events: 0.0, tid: 3, name: "pricing".into(), ..worker(3) };
    let helper = |tid| ThreadWindow { running: 0.1, events: 0.9, ..worker(tid) };
    check(&facts([900.0, 1_000.0, 1_000.0], vec![hot, helper(1), helper(2)]), Some(Cause::HotThread));
}
#[test]
fn threads_that_wait_for_one_lock() {
    let waiting = |tid| ThreadWindow { lock: 0.8, running: 0.1, events: 0.1, ..worker(tid) };
    let holder = ThreadWindow { sleep: 0.7, running: 0.3, events: 0.0, ..worker(1) };
    let mut facts = facts([500.0, 600.0, 600.0], vec![holder, waiting(2), waiting(3), waiting(4)]);
    top_window(&mut facts).same_lock = 3;
    check(&facts, Some(Cause::LockContention));
}
#[test]
fn a_little_contention_is_nothing() {
    let busy = |tid| ThreadWindow { running: 0.9, lock: 0.08, events: 0.0, ..worker(tid) };
    check(&facts([9_000.0, 20_000.0, 21_000.0], vec![busy(1), busy(2)]), None);
}
#[test]
fn a_deadlock_stays_when_the_load_is_over() {
    let stuck = |tid| ThreadWindow { lock: 1.0, events: 0.0, voluntary: 0.0, ..worker(tid) };
    let mut facts = facts([500.0, 1.0, 0.001], vec![stuck(1), stuck(2)]);
    top(&mut facts).load.unanswered = 1.0;
    facts.after = Some(window(vec![stuck(1), stuck(2)]));
    check(&facts, Some(Cause::Deadlock));
    assert!(
        rank(&facts).iter().all(|finding| finding.cause != Cause::LockContention),
        "it is the deadlock's"
    );
}
#[test]
fn an_event_loop_that_sleeps() {
    let asleep = |tid| ThreadWindow { sleep: 0.95, running: 0.02, events: 0.03, ..worker(tid) };
    check(&facts([90.0, 190.0, 190.0], vec![asleep(1), asleep(2)]), Some(Cause::BlockingInAsync));
}
#[test]
fn threads_of_a_thread_per_request_may_sleep() {
    let asleep = |tid: u32| ThreadWindow { sleep: 0.9, client: 0.1, events: 0.0, ..worker(100 + tid) };
    let threads = (0..64).map(asleep).chain([worker(1)]).collect();
    check(&facts([50.0, 400.0, 3_200.0], threads), None);
}
#[test]
fn a_pool_that_is_full() {
    let taken = |tid| ThreadWindow { sleep: 0.99, events: 0.0, name: "pool".into(), ..worker(tid) };
    let facts = facts([50.0, 100.0, 100.0], vec![worker(1), worker(2), taken(8), taken(9)]);
    check(&facts, Some(Cause::BlockingPool));
    assert_eq!(rank(&facts)[0].numbers[0].value, 2.0, "two threads");
}
#[test]
fn a_disk() {
    let waiting =
        |tid| ThreadWindow { disk: 0.9, running: 0.05, events: 0.0, name: "io".into(), ..worker(tid) };
    let mut facts = facts([200.0, 240.0, 400.0], vec![worker(1), waiting(8), waiting(9)]);
    facts.levels.remove(1);
    check(&facts, Some(Cause::Disk));
}
#[test]
fn a_quota_explains_what_looks_like_a_busy_cpu() {
    let busy = |tid| ThreadWindow { running: 0.1, run_delay: 0.8, events: 0.1, ..worker(tid) };
    let mut facts = facts([900.0, 1_000.0, 1_000.0], vec![busy(1), busy(2)]);
    facts.quota = Some(0.2);
    top_window(&mut facts).throttled = Some(0.9);
    check(&facts, Some(Cause::CpuThrottled));
    assert!(rank(&facts).iter().all(|finding| finding.cause != Cause::CpuBound));
}
#[test]
fn a_full_accept_queue_of_ours() {
    let mut facts = facts([900.0, 1_000.0, 1_000.0], vec![worker(1)]);
    let top = top(&mut facts);
    top.load.p99_ms = 2_000.0;
    let window = top.window.as_mut().unwrap();
    (window.listen_overflows, window.accept_queue, window.accept_limit) = (Some(100.0), 2, Some(1));
    check(&facts, Some(Cause::AcceptOverflow));
}
#[test]
fn a_full_accept_queue_of_a_neighbour_is_not_ours() {
    let mut facts = facts([900.0, 7_000.0, 40_000.0], vec![worker(1)]);
    let window = top_window(&mut facts);
    (window.listen_overflows, window.accept_queue) = (Some(100.0), 55);
    check(&facts, None);
}
#[test]
fn forty_milliseconds_of_nothing() {
    let mut facts = facts([23.0, 180.0, 1_400.0], vec![worker(1)]);
    facts.levels[0].load.near_40_ms = 0.97;
    check(&facts, Some(Cause::NagleDelayedAck));
    let tried = |confirmed| ExperimentResult {
        measured: "median latency".into(),
        unit: "ms".into(),
        before: 44.0,
        after: if confirmed { 0.2 } else { 43.0 },
        elasticity: None,
        confirmed,
    };
    facts.quick_ack = Some(tried(true));
    assert!(rank(&facts)[0].confidence > 0.9 && rank(&facts)[0].experiment.result.is_some());
    facts.quick_ack = Some(tried(false));
    check(&facts, None); // it was tried, and it is something else
}
#[test]
fn another_service_that_is_slow() {
    let mut facts = facts([16.0, 120.0, 900.0], vec![worker(1), worker(2)]);
    top_window(&mut facts).outbound = vec![("10.0.0.7:5432".parse().unwrap(), 58.0)];
    check(&facts, Some(Cause::Downstream));
    assert!(rank(&facts)[0].sentence.contains("10.0.0.7:5432"));
}
#[test]
fn connections_to_a_database_that_nobody_waits_for_are_nothing() {
    let mut facts = facts([9_000.0, 40_000.0, 90_000.0], vec![worker(1), worker(2)]);
    top_window(&mut facts).outbound = vec![("10.0.0.7:5432".parse().unwrap(), 30.0)];
    check(&facts, None);
}
#[test]
fn a_pool_of_connections_that_does_not_grow_with_the_load() {
    let mut facts = facts([100.0, 190.0, 195.0], vec![worker(1), worker(2)]);
    for level in &mut facts.levels[1..] {
        level.window.as_mut().unwrap().outbound = vec![("10.0.0.7:5432".parse().unwrap(), 2.0)];
    }
    check(&facts, Some(Cause::PoolStarvation));
}
#[test]
fn a_pool_whose_own_gauge_shows_waiters() {
    let mut facts = facts([500.0, 900.0, 900.0], vec![worker(1), worker(2)]);
    top_window(&mut facts).gauges.insert("pools.sql.read".into(), 50.0);
    check(&facts, Some(Cause::PoolStarvation));
    assert!(rank(&facts)[0].sentence.contains("pools.sql.read"));
}
#[test]
fn answers_that_say_they_failed() {
    let mut facts = facts([900.0, 7_000.0, 40_000.0], vec![worker(1)]);
    top(&mut facts).load.statuses = [(200, 80), (500, 20)].into();
    check(&facts, Some(Cause::Errors));
}
#[test]
fn refusals_on_purpose_are_told_and_no_defect() {
    let mut facts = facts([900.0, 7_000.0, 40_000.0], vec![worker(1)]);
    top(&mut facts).load.statuses = [(200, 50), (429, 50)].into();
    check(&facts, None);
    assert!(rank(&facts).iter().any(|finding| finding.cause == Cause::OwnProtection));
}
#[test]
fn memory_that_is_short() {
    let mut facts = facts([900.0, 1_000.0, 1_000.0], vec![worker(1)]);
    let window = top_window(&mut facts);
    (window.memory_pressure, window.major_faults) = (Some(0.3), 900.0);
    check(&facts, Some(Cause::MemoryPressure));
}
#[test]
fn memory_that_grows_everywhere_is_worth_a_word() {
    let mut facts = facts([900.0, 7_000.0, 9_000.0], vec![worker(1)]);
    for level in &mut facts.levels {
        let window = level.window.as_mut().unwrap();
        (window.rss_first, window.rss_last) = (100_000_000, 160_000_000);
    }
    check(&facts, None);
    assert!(rank(&facts).iter().any(|finding| finding.cause == Cause::MemoryGrowth));
}
#[test]
fn descriptors_that_run_out() {
    let mut facts = facts([900.0, 1_000.0, 1_000.0], vec![worker(1)]);
    let window = top_window(&mut facts);
    (window.descriptors, window.descriptor_limit) = (Some(1_020), Some(1_024));
    check(&facts, Some(Cause::OpenFiles));
}
#[test]
fn lost_segments_and_new_connections_are_worth_a_word() {
    let mut facts = facts([900.0, 7_000.0, 9_000.0], vec![worker(1)]);
    top(&mut facts).load.connect_mean_ms = 0.2;
    let window = top_window(&mut facts);
    (window.retransmitted, window.accepted) = (Some(0.05), Some(9_000.0));
    check(&facts, None);
    let causes: Vec<Cause> = rank(&facts).iter().map(|finding| finding.cause).collect();
    assert!(causes.contains(&Cause::Retransmits) && causes.contains(&Cause::ConnectionChurn), "{causes:?}");
}
#[test]
fn a_wait_that_cannot_be_seen_is_unexplained_only_if_it_queues() {
    check(&facts([50.0, 100.0, 100.0], vec![worker(1)]), Some(Cause::HiddenWait));
    check(&facts([50.0, 400.0, 3_200.0], vec![worker(1)]), None);
}

fn profile(stacks: &[(&str, f64)]) -> Option<Profile> {
    Some(Profile { seconds: 2.0, ..Profile::of_cpu(stacks) })
}
fn busy_facts() -> Facts {
    let busy = |tid| ThreadWindow { running: 0.95, events: 0.05, ..worker(tid) };
    facts([900.0, 1_900.0, 2_000.0], vec![busy(1), busy(2)])
}

#[test]
fn half_of_the_cpu_in_malloc() {
    let mut facts = busy_facts();
    facts.cpu_profile = profile(&[("w;handle;malloc", 3.0), ("w;handle;cfree", 2.0), ("w;handle", 5.0)]);
    check(&facts, Some(Cause::Allocation));
    assert_eq!(rank(&facts)[0].frames[0].function, "malloc");
}
#[test]
fn some_allocation_is_normal() {
    let mut facts = busy_facts();
    facts.cpu_profile = profile(&[("w;handle;malloc", 1.0), ("w;handle", 9.0)]);
    check(&facts, None);
}
#[test]
fn without_a_profile_pages_that_come_and_go_show_allocation() {
    let mut facts = busy_facts();
    let window = top_window(&mut facts);
    (window.cpu_user, window.cpu_system, window.minor_faults) = (0.6, 1.3, 1_000_000.0);
    check(&facts, Some(Cause::Allocation));
}
#[test]
fn a_log_that_takes_the_cpu() {
    let mut facts = busy_facts();
    facts.cpu_profile =
        profile(&[("w;write;vfs_write_[k];ext4_file_write_iter_[k]", 6.0), ("w;handle", 4.0)]);
    let window = top_window(&mut facts);
    window.files = vec![("/var/log/service.log".into(), 8e6)];
    window.writes = Some(80_000.0);
    check(&facts, Some(Cause::Logging));
    window_without_log(&mut facts);
    check(&facts, None);
}
fn window_without_log(facts: &mut Facts) {
    top_window(facts).files = vec![("/var/log/service.log".into(), 8e3)];
}

proptest! {
    /// Whatever the numbers, the rules neither panic nor give a score that is none.
    #[test]
    fn any_facts_are_ranked(
        rates in prop::array::uniform3(0.0f64..1e6),
        shares in prop::collection::vec(prop::array::uniform6(0.0f64..1.0), 0..8),
        idle in prop::option::of(0.0f64..1.0),
        counters in prop::array::uniform4(0.0f64..1e5),
    ) {
        let thread = |(i, s): (usize, &[f64; 6])| ThreadWindow {
            running: s[0], run_delay: s[1], lock: s[2], sleep: s[3], io: s[4], disk: s[5], ..worker(i as u32)
        };
        let mut facts = facts(rates, shares.iter().enumerate().map(thread).collect());
        let window = top_window(&mut facts);
        (window.machine_idle, window.listen_overflows, window.throttled) = (idle, Some(counters[0]), idle);
        (window.minor_faults, window.writes, window.files) = (counters[1], Some(counters[2]), vec![("f".into(), counters[3])]);
        for finding in rank(&facts) {
            prop_assert!((0.0..=1.0).contains(&finding.score), "{finding:?}");
            prop_assert!(!finding.sentence.contains("NaN") || rates.contains(&0.0), "{}", finding.sentence);
        }
    }
}

/// `threads` readers with a queue; each does this much of its time on a CPU or waits for one. `room` of the CPUs is free.
fn with_queue(waiting: f64, threads: u32, running: f64, is_pressed: bool) -> Facts {
    let reader = |i| ThreadWindow { running, events: 0.0, name: "sql-reader".into(), ..worker(10 + i) };
    let busy = if is_pressed { 0.9 } else { 0.2 };
    let other = ThreadWindow { running: busy, events: 1.0 - busy, ..worker(1) };
    let all = std::iter::once(other).chain((0..threads).map(reader)).collect();
    let mut facts = facts([2_000.0, 3_000.0, 3_100.0], all);
    if is_pressed {
        top_window(&mut facts).machine_idle = Some(0.0);
    }
    let threads = f64::from(threads);
    let name = "sql.read".to_owned();
    let station = Station { name, threads, waiting, jobs: 3_100.0, busy: threads * 0.97 };
    top_window(&mut facts).stations = vec![station];
    facts
}

#[test]
fn one_reader_that_requests_wait_for_is_named_with_its_queue() {
    let facts = with_queue(50.0, 1, 0.1, false);
    check(&facts, Some(Cause::PoolStarvation));
    let first = &rank(&facts)[0];
    assert!(
        first.sentence.contains("50.0 of 64 requests in flight wait in the queue `sql.read`"),
        "{first:?}"
    );
    assert!(first.sentence.contains("16 ms of a request's 21 ms"), "Little's law: {}", first.sentence);
}
/// A server that protects itself lets in as many as the reader takes, and the line is before its door.
#[test]
fn the_line_before_the_servers_own_limit_is_that_of_the_reader_who_is_taken() {
    let held_back = |mut facts: Facts| {
        top_window(&mut facts).gauges.insert("queues.admission".into(), 48.0);
        facts
    };
    let facts = held_back(with_queue(2.0, 1, 0.1, false));
    check(&facts, Some(Cause::PoolStarvation));
    let said = &rank(&facts)[0].sentence;
    assert!(said.contains("50.0 of 64") && said.contains("own limit (48.0 of them)"), "{said}");
    let mut idle = held_back(with_queue(2.0, 1, 0.1, false));
    top_window(&mut idle).stations[0].busy = 0.5;
    check(&idle, None);
}
#[test]
fn a_hot_reader_is_named_by_its_queue_and_not_as_a_hot_thread() {
    let facts = with_queue(50.0, 1, 0.95, false);
    check(&facts, Some(Cause::PoolStarvation));
    assert!(rank(&facts).iter().all(|finding| finding.cause != Cause::HotThread));
}
#[test]
fn a_queue_before_as_many_threads_as_there_are_cpus_is_that_of_the_cpu() {
    let facts = with_queue(50.0, 2, 0.95, true);
    check(&facts, None);
    with_limit(&facts, Cause::CpuBound);
}
#[test]
fn a_short_queue_or_threads_with_time_to_spare_are_no_cause() {
    check(&with_queue(5.0, 1, 0.1, false), None);
    let mut idle = with_queue(50.0, 2, 0.1, false);
    top_window(&mut idle).stations[0].busy = 0.5;
    check(&idle, None);
}

fn trial(capacity: Capacity, from: u32, to: u32, gain: f64) -> Trial {
    Trial { capacity, from, to, pairs: vec![(3_000.0, 3_000.0 * gain); 5] }
}

#[test]
fn a_trial_that_moves_nothing_takes_the_blame_away() {
    let mut facts = with_queue(50.0, 1, 0.1, false);
    let before = rank(&facts)[0].score;
    facts.trials = vec![trial(Capacity::Pool, 1, 2, 1.0)];
    let after = rank(&facts)[0].clone();
    assert!(after.score < before / 2.0 && !after.experiment.result.unwrap().confirmed, "{before}");
}
#[test]
fn a_trial_that_confirms_leaves_less_doubt() {
    let mut facts = with_queue(50.0, 1, 0.1, false);
    let before = rank(&facts)[0].confidence;
    facts.trials = vec![trial(Capacity::Pool, 1, 2, 2.0)];
    let after = rank(&facts)[0].clone();
    assert!(after.confidence > before, "{after:?}");
    let result = after.experiment.result.unwrap();
    assert!(result.confirmed && (result.elasticity.unwrap() - 1.0).abs() < 1e-9, "{result:?}");
}
#[test]
fn what_is_proven_to_move_the_throughput_is_a_defect() {
    let mut facts = with_queue(50.0, 2, 0.95, true);
    facts.trials = vec![trial(Capacity::Pool, 2, 4, 1.0), trial(Capacity::Cache, 0, 1, 1.8)];
    check(&facts, Some(Cause::PoolStarvation));
    let experiment = &rank(&facts)[0].experiment;
    assert!(experiment.result.as_ref().unwrap().measured.contains("cache on"), "{experiment:?}");
    assert!(!experiment.others[0].confirmed, "{experiment:?}");
}
