//! The profiler as a function of a request: what it answers, and what `go tool pprof` makes of that.

#![cfg(feature = "pprof")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use seawall_observe::{CpuMethod, Pprof, PprofConfig, Section, Token};
use support::*;

// === profiles over a time ===

/// Takes a CPU profile of busy threads, in this way, and lets Go's tool print it.
#[track_caller]
fn cpu(method: &str) -> (String, String) {
    let _alone = alone();
    let _work = [Work::start("cruncher", busy_outside), Work::start("reader", busy_in_the_kernel)];
    let answer = get(&pprof(), &format!("/debug/pprof/profile?seconds=2&method={method}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    (go_reads(&answer.body, &["-top"]), go_reads(&answer.body, &["-raw"]))
}

#[test]
fn a_cpu_profile_by_timers_names_busy_functions_and_their_threads() {
    let (top, raw) = cpu("timers");
    assert!(top.contains("Type: cpu"), "{top}");
    assert!(top.contains("busy_inside"), "{top}");
    assert!(raw.contains("thread:[cruncher]"), "{raw}");
    assert!(raw.contains("PeriodType: cpu nanoseconds"), "{raw}");
    assert!(raw.contains("time in the kernel counts for the function that called it"), "{raw}");
    // The time in the kernel is there, under whoever called.
    assert!(raw.contains("busy_in_the_kernel"), "{raw}");
    assert!(is_called_by(&raw, "busy_inside", "busy_outside"), "{raw}");
}

#[test]
fn a_cpu_profile_by_events_has_the_kernels_functions_too() {
    let alone = alone();
    let probe = get(&pprof(), "/debug/pprof/profile?seconds=0.01&method=perf");
    drop(alone);
    if probe.status == 501 {
        // An unprivileged machine: the reason has to say what would help.
        assert!(probe.text().contains("kernel.perf_event_paranoid"), "{}", probe.text());
        return;
    }
    let (top, raw) = cpu("perf");
    assert!(top.contains("busy_inside"), "{top}");
    assert!(raw.contains("[kernel]"), "{raw}");
    assert!(raw.contains("its own functions included"), "{raw}");
    assert!(is_called_by(&raw, "busy_inside", "busy_outside"), "{raw}");
}

fn is_called_by(raw: &str, inner: &str, outer: &str) -> bool {
    let stack = stack_of(raw, inner);
    stack.split_once(inner).is_some_and(|(_, callers)| callers.contains(outer))
}

/// The names of the first stack of a `-raw` print that has a function of this name, innermost first.
fn stack_of(raw: &str, name: &str) -> String {
    let (samples, locations) = raw.split_once("\nLocations\n").unwrap();
    let samples = samples.split_once("\nSamples:\n").unwrap().1;
    let lines: Vec<&str> = locations.lines().collect();
    let names = |id: &str| {
        let begin = lines.iter().position(|line| line.trim_start().starts_with(&format!("{id}: "))).unwrap();
        let more = lines[begin + 1..].iter().take_while(|line| line.starts_with("             "));
        std::iter::once(lines[begin]).chain(more.copied()).collect::<Vec<_>>().join(" ")
    };
    let stacks = samples
        .lines()
        .filter_map(|line| Some(line.split_once(": ")?.1.split_whitespace().collect::<Vec<_>>()));
    let stacks = stacks.filter(|ids| ids.iter().all(|id| id.parse::<u32>().is_ok()) && !ids.is_empty());
    let mut named = stacks.filter(|ids| ids.iter().any(|id| names(id).contains(name)));
    named.next().map(|ids| ids.iter().map(|id| names(id)).collect::<Vec<_>>().join(" < ")).unwrap_or_default()
}

/// Most of a server's time is in `send` and `recv`.
#[track_caller]
fn check_the_way_out_of_glibc(method: &str) {
    let _alone = alone();
    let _work = Work::start("talker", talks_to_itself);
    let answer = get(&pprof(), &format!("/debug/pprof/profile?seconds=2&method={method}&format=folded"));
    let text = answer.text();
    let sums = text.lines().filter(|line| line.contains("send") || line.contains("recv")).map(|line| {
        let (stack, nanos) = line.rsplit_once(' ').unwrap();
        (stack.contains("talks_to_itself"), nanos.parse::<u64>().unwrap())
    });
    let (mut with, mut all) = (0, 0);
    sums.for_each(|(has_caller, nanos)| {
        with += if has_caller { nanos } else { 0 };
        all += nanos;
    });
    assert!(all > 0 && with * 10 >= all * 8, "{with} of {all} ns have their caller:\n{text}");
}

#[test]
fn time_in_glibc_has_its_caller_by_timers() {
    check_the_way_out_of_glibc("timers");
}
#[test]
fn time_in_glibc_has_its_caller_by_events() {
    check_the_way_out_of_glibc("auto");
}

#[test]
fn profiles_have_the_build_id_and_the_program_first() {
    let (_, raw) = cpu("auto");
    let first = raw.split("\nMappings\n").nth(1).unwrap().lines().next().unwrap();
    assert!(first.contains("pprof-"), "{first}");
    assert!(first.contains("[FN][FL][LN][IN]"), "{first}");
}

#[test]
fn a_wall_profile_has_sleepers_and_workers() {
    let _alone = alone();
    let _work = [Work::start("cruncher", busy_outside), Work::start("sleeper", asleep)];
    let answer = get(&pprof(), "/debug/pprof/wall?seconds=1");
    let raw = go_reads(&answer.body, &["-raw"]);
    assert!(raw.contains("wall/nanoseconds"), "{raw}");
    for name in ["asleep", "busy_outside", "thread:[sleeper]"] {
        assert!(raw.contains(name), "{name}: {raw}");
    }
}

#[track_caller]
fn check_off_cpu(query: &str) {
    let _alone = alone();
    let _work = [Work::start("cruncher", busy_outside), Work::start("sleeper", asleep)];
    let (tell, told) = mpsc::sync_channel::<()>(0);
    let blocked =
        thread::Builder::new().name("blocked".to_owned()).spawn(move || told.recv().is_ok()).unwrap();
    let answer = get(&pprof(), &format!("/debug/pprof/offcpu?seconds=1{query}"));
    let raw = go_reads(&answer.body, &["-raw"]);
    assert!(raw.contains("offcpu/nanoseconds"), "{raw}");
    // One that sleeps now and then, and one that never woke up.
    assert!(raw.contains("asleep") && raw.contains("thread:[sleeper]"), "{raw}");
    assert!(raw.contains("thread:[blocked]"), "{raw}");
    drop(tell);
    assert!(!blocked.join().unwrap());
}

#[test]
fn an_off_cpu_profile_has_those_who_wait() {
    check_off_cpu("");
}
#[test]
fn an_off_cpu_profile_without_events_too() {
    check_off_cpu("&method=timers");
}

#[test]
fn a_second_profile_at_the_same_time_is_refused_as_in_go() {
    let _alone = alone();
    let pprof = pprof();
    let first = pprof.clone();
    let first = thread::spawn(move || patiently(&first, "/debug/pprof/profile?seconds=300").status);
    eventually("the second is refused", || {
        let answer = get(&pprof, "/debug/pprof/wall?seconds=0.001");
        answer.status == 500 && answer.text().starts_with("Could not enable CPU profiling: ")
    });
    pprof.stop();
    assert_eq!(first.join().unwrap(), 200, "stopped early, with what it has");
}

/// The one that asks whether it is refused may have been the first.
fn patiently(pprof: &Pprof, target: &str) -> Answer {
    let limit = now() + PATIENCE;
    loop {
        let answer = get(pprof, target);
        if answer.status != 500 || now() > limit {
            return answer;
        }
    }
}

// === profiles that are counted ===

#[test]
fn threads_are_counted_by_name() {
    let _work = Work::start("cruncher", asleep);
    let raw = go_reads(&get(&pprof(), "/debug/pprof/threadcreate").body, &["-raw"]);
    assert!(raw.contains("threadcreate/count") && raw.contains("cruncher"), "{raw}");
}

#[cfg(feature = "tasks")]
#[test]
fn tasks_are_goroutines_by_where_they_were_spawned() {
    let pprof = pprof();
    let answer = get(&pprof, "/debug/pprof/goroutine");
    assert_eq!((answer.status, answer.text().contains("show_tasks")), (501, true));
    let tasks = seawall_tasks::Tasks::default();
    pprof.show_tasks(&tasks);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let _tasks: Vec<_> =
        (0..3).map(|_| tasks.spawn("checkout", std::future::pending::<()>()).unwrap()).collect();
    let raw = go_reads(&get(&pprof, "/debug/pprof/goroutine").body, &["-raw"]);
    assert!(
        raw.contains("goroutine/count") && raw.contains("checkout") && raw.contains("tests/pprof.rs"),
        "{raw}"
    );
    assert!(raw.contains("spawn sites, not stacks"), "{raw}");
    let text = get(&pprof, "/debug/pprof/goroutine?debug=1").text();
    assert!(text.contains("goroutine (count): 3 in all"), "{text}");
}

#[test]
fn without_jemalloc_in_use_the_heap_says_so() {
    for name in ["heap", "allocs"] {
        let answer = get(&pprof(), &format!("/debug/pprof/{name}"));
        assert_eq!(answer.status, 501, "{name}");
        assert!(answer.head.contains("x-go-pprof: 1"), "{}", answer.head);
    }
}

#[test]
fn a_delta_has_only_what_changed_meanwhile() {
    let _alone = alone();
    let pprof = pprof();
    seawall_observe::sync::waited(Duration::from_secs(5));
    let answer = get(&pprof, "/debug/pprof/block?seconds=0.1");
    assert!(answer.head.contains("filename=\"block-delta\""), "{}", answer.head);
    assert!(!go_reads(&answer.body, &["-raw"]).contains("a_delta_has_only"));
    let other = pprof.clone();
    let delta = thread::spawn(move || patiently(&other, "/debug/pprof/block?seconds=300"));
    eventually("another delta is refused", || get(&pprof, "/debug/pprof/block?seconds=0.001").status == 500);
    a_wait_with_a_name();
    pprof.stop();
    let raw = go_reads(&delta.join().unwrap().body, &["-raw"]);
    assert!(raw.contains("contentions/count") && raw.contains("delay/nanoseconds"), "{raw}");
    assert!(raw.contains("a_wait_with_a_name"), "{raw}");
}

#[inline(never)]
fn a_wait_with_a_name() {
    seawall_observe::sync::waited(std::hint::black_box(Duration::from_secs(7)));
    std::hint::black_box(());
}

// === other forms ===

#[test]
fn a_flame_graph_is_a_picture_with_names() {
    let _alone = alone();
    let _work = Work::start("cruncher", busy_outside);
    let answer = get(&pprof(), "/debug/pprof/profile?seconds=1&format=svg");
    assert!(answer.head.contains("content-type: image/svg+xml"), "{}", answer.head);
    let picture = answer.text();
    assert!(picture.contains("busy_inside") && picture.trim_end().ends_with("</svg>"), "{picture}");
}

#[test]
fn folded_stacks_are_outermost_first() {
    let _alone = alone();
    let _work = Work::start("cruncher", busy_outside);
    let text = get(&pprof(), "/debug/pprof/profile?seconds=1&format=folded").text();
    let line = text.lines().find(|line| line.contains("busy_inside")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.find("busy_outside").unwrap() < line.find("busy_inside").unwrap(), "{line}");
    assert!(line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap() > 0, "{line}");
}

#[test]
fn debug_shows_text() {
    let _alone = alone();
    let _work = Work::start("cruncher", busy_outside);
    let answer = get(&pprof(), "/debug/pprof/profile?seconds=1&debug=1");
    assert!(answer.head.contains("content-type: text/plain"), "{}", answer.head);
    assert!(
        answer.text().contains("busy_inside") && answer.text().contains("thread=cruncher"),
        "{}",
        answer.text()
    );
}

// === the rest of Go's surface ===

#[test]
fn the_command_line_is_joined_by_zero_bytes() {
    let answer = get(&pprof(), "/debug/pprof/cmdline");
    let arguments: Vec<String> = std::env::args().collect();
    assert_eq!(answer.text().split('\0').collect::<Vec<_>>(), arguments);
    let quiet = Pprof::new(&PprofConfig { show_arguments: false, ..PprofConfig::default() }).unwrap();
    assert_eq!(get(&quiet, "/debug/pprof/cmdline").text(), arguments[0]);
}

#[test]
fn symbols_are_looked_up_by_get_and_by_post() {
    let address = format!("{:#x}", a_wait_with_a_name as *const () as usize);
    let expected = format!("num_symbols: 1\n{address} ");
    let got = get(&pprof(), &format!("/debug/pprof/symbol?{address}")).text();
    assert!(got.starts_with(&expected) && got.contains("a_wait_with_a_name"), "{got}");
    let request =
        http::Request::post("/debug/pprof/symbol").body(format!("{address}+0x10").into_bytes()).unwrap();
    assert_eq!(send(&pprof(), request).text(), got);
}

#[test]
fn what_cannot_be_honest_says_why() {
    let answer = get(&pprof(), "/debug/pprof/trace?seconds=1");
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("no counterpart"), "{}", answer.text());
}

#[test]
fn the_index_links_to_every_profile() {
    let answer = get(&pprof(), "/debug/pprof/");
    assert!(answer.head.contains("content-type: text/html"), "{}", answer.head);
    for name in
        ["allocs", "block", "cmdline", "goroutine", "heap", "mutex", "profile", "threadcreate", "trace"]
    {
        assert!(answer.text().contains(&format!("href=\"/debug/pprof/{name}\"")), "{name}");
    }
}

#[test]
fn errors_are_text_that_gos_client_shows() {
    for (target, status, text) in [
        ("/debug/pprof/nothing", 404, "Unknown profile\n"),
        (
            "/debug/pprof/profile?seconds=301",
            400,
            "profile duration exceeds the limit of 300 s (PprofConfig::max_seconds)\n",
        ),
        ("/debug/pprof/heap?seconds=1&debug=1", 400, "seconds and debug params are incompatible\n"),
    ] {
        let answer = get(&pprof(), target);
        assert_eq!((answer.status, answer.text().as_str()), (status, text));
        for header in ["x-go-pprof: 1", "x-content-type-options: nosniff", "content-type: text/plain"] {
            assert!(answer.head.contains(header), "{target}: {}", answer.head);
        }
        assert!(!answer.head.contains("content-disposition"), "{}", answer.head);
    }
}

#[test]
fn a_profile_is_a_file_to_keep() {
    let answer = get(&pprof(), "/debug/pprof/threadcreate");
    for header in [
        "content-type: application/octet-stream",
        "content-disposition: attachment; filename=\"threadcreate\"",
        "x-content-type-options: nosniff",
    ] {
        assert!(answer.head.contains(header), "{}", answer.head);
    }
    assert_eq!(answer.body[..2], [0x1f, 0x8b], "gzip");
}

// === guards ===

#[test]
fn a_token_opens_everything_and_nothing_opens_without() {
    let config = PprofConfig { token: Some(Token::new("open")), ..PprofConfig::default() };
    let pprof = Pprof::new(&config).unwrap();
    for target in ["/debug/pprof/", "/debug/pprof/profile", "/debug/seawall/threads", "/debug/pprof/nothing"]
    {
        assert_eq!(get(&pprof, target).status, 401, "{target}");
    }
    let request = http::Request::get("/debug/pprof/").header("authorization", "Bearer open");
    assert_eq!(send(&pprof, request.body(Vec::new()).unwrap()).status, 200);
}

#[test]
fn only_get_and_post_are_methods() {
    let request = http::Request::put("/debug/pprof/").body(Vec::new()).unwrap();
    let answer = send(&pprof(), request);
    assert_eq!((answer.status, answer.head.contains("allow: GET, POST")), (405, true));
}

#[test]
fn a_configuration_out_of_range_is_refused() {
    let check = |config: PprofConfig| Pprof::new(&config).unwrap_err().to_string();
    let usual = PprofConfig::default;
    assert!(check(PprofConfig { hz: 1_000, ..usual() }).contains("pprof.hz"));
    assert!(
        check(PprofConfig { max_seconds: 0, cpu: CpuMethod::Perf, ..usual() }).contains("pprof.max_seconds")
    );
}

// === threads and sections ===

#[test]
fn every_thread_is_shown_with_its_wait_and_its_stack() {
    let _work = [Work::start("sleeper", asleep), Work::start("cruncher", busy_outside)];
    eventually("the sleeper is seen asleep", || {
        let text = get(&pprof(), "/debug/seawall/threads").text();
        let of = |name: &str| {
            text.split("\n\n").find(|part| part.starts_with(name)).unwrap_or_default().to_owned()
        };
        let (sleeper, cruncher) = (of("\"sleeper\""), of("\"cruncher\""));
        sleeper.contains("sleeping")
            && sleeper.contains("waits in ")
            && sleeper.contains("asleep")
            && cruncher.contains("running or ready")
            && cruncher.contains("busy_outside")
    });
    let json: serde_json::Value =
        serde_json::from_slice(&get(&pprof(), "/debug/seawall/threads?format=json").body).unwrap();
    assert!(json["threads"].as_array().unwrap().iter().any(|thread| thread["name"] == "sleeper"), "{json}");
    assert_eq!(json["deadlocks"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_section_that_nobody_fills_says_so() {
    let pprof = pprof();
    for name in ["pools", "limits", "runtime"] {
        let answer = get(&pprof, &format!("/debug/seawall/{name}"));
        assert_eq!((answer.status, answer.text().contains(name)), (501, true));
    }
    pprof.show(Section::Pools, "database", || serde_json::json!({"in_use": 3}));
    let json: serde_json::Value = serde_json::from_slice(&get(&pprof, "/debug/seawall/pools").body).unwrap();
    assert_eq!(json["database"]["in_use"], 3);
    assert_eq!(get(&pprof, "/debug/seawall/limits").status, 501);
}
