//! The gallery: servers with one planted bottleneck each, and healthy ones, are diagnosed as a user would do it. The
//! planted cause must come first in at least nine of ten, and a healthy server must be called healthy.
//!
//! Nothing about speed is asserted. Servers run one after the other, each in a process of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod exhibit;
mod quota;

use std::time::Duration;

use exhibit::Exhibit;
use seawall_lab::diagnose::{Cause, DiagnoseConfig, Diagnosis, Verdict, diagnose};
use seawall_load::LoadConfig;

/// So that other work on the machine disturbs less; servers and generator inherit it. Without the right to it, as before.
fn ask_for_priority() {
    let _ = rustix::process::nice(-10);
}

/// Diagnoses a server with a short run.
fn examine(exhibit: &Exhibit) -> Diagnosis {
    let config = DiagnoseConfig {
        load: LoadConfig { url: exhibit.url.clone(), ..LoadConfig::default() },
        cpu_stat: exhibit.cpu_stat.clone(),
        length: Duration::from_millis(1_500),
        ..DiagnoseConfig::default()
    };
    diagnose(&config, &mut |_| {}).unwrap_or_else(|error| panic!("{}: {error}", exhibit.name))
}

/// What was found, for the log of the test.
fn tell(exhibit: &Exhibit, diagnosis: &Diagnosis) -> String {
    let mut text = format!(
        "== {} ({:?}, {:?}): {}\n",
        exhibit.name, diagnosis.verdict, diagnosis.evidence, diagnosis.summary
    );
    for level in &diagnosis.levels {
        text += &format!(
            "   {:>15}: {:>8.0}/s  p50 {:>8.2?} ms  p99 {:>8.2?} ms  CPU {:.2?}\n",
            level.name, level.rps, level.p50_ms, level.p99_ms, level.cpu_cores
        );
    }
    for finding in &diagnosis.findings {
        text += &format!(
            "   {:.2} {:?} {:?}: {}\n",
            finding.score, finding.severity, finding.cause, finding.sentence
        );
    }
    diagnosis
        .missing
        .iter()
        .chain(&diagnosis.caveats)
        .fold(text, |text, caveat| text + "   (" + caveat + ")\n")
}

/// Examines a server with a planted cause; true if that cause comes first.
fn finds(exhibit: &Exhibit, planted: Cause) -> bool {
    let diagnosis = examine(exhibit);
    let first = diagnosis.findings.first().map(|finding| finding.cause);
    let found = first == Some(planted) && diagnosis.verdict == Verdict::Defect;
    eprintln!("{}{}", tell(exhibit, &diagnosis), if found { "" } else { "   ^^^ MISSED\n" });
    found
}

#[test]
fn the_planted_cause_comes_first_in_nine_of_ten() {
    ask_for_priority();
    let _group = quota::CleanUp;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("service.log");
    let gallery = |name: &str| Exhibit::gallery(name, &[]);
    let backend = gallery("backend");
    let address = backend.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let exhibits: [(Exhibit, Cause); 12] = [
        (gallery("mutex"), Cause::LockContention),
        (gallery("deadlock"), Cause::Deadlock),
        (gallery("sleep"), Cause::BlockingInAsync),
        (gallery("pool"), Cause::BlockingPool),
        (gallery("backlog"), Cause::AcceptOverflow),
        (quota::limited(gallery("healthy")), Cause::CpuThrottled),
        (quota::imitated(gallery("healthy")), Cause::CpuThrottled),
        (gallery("alloc"), Cause::Allocation),
        (Exhibit::gallery("log", &[log.to_str().unwrap()]), Cause::Logging),
        (gallery("nagle"), Cause::NagleDelayedAck),
        (Exhibit::gallery("downstream", &[&address]), Cause::Downstream),
        (gallery("hot"), Cause::HotThread),
    ];
    let missed: Vec<String> = exhibits
        .iter()
        .filter(|(exhibit, planted)| !finds(exhibit, *planted))
        .map(|(exhibit, planted)| format!("{} ({planted:?})", exhibit.name))
        .collect();
    let found = exhibits.len() - missed.len();
    assert!(found * 10 >= exhibits.len() * 9, "{found} of {} were found, not: {missed:?}", exhibits.len());
}

#[test]
fn a_healthy_server_is_called_healthy() {
    ask_for_priority();
    let healthy = [Exhibit::gallery("healthy", &[]), Exhibit::asyncio(), Exhibit::nginx()];
    for exhibit in &healthy {
        let diagnosis = examine(exhibit);
        eprintln!("{}", tell(exhibit, &diagnosis));
        assert_eq!(diagnosis.verdict, Verdict::Healthy, "{}", tell(exhibit, &diagnosis));
    }
}
