//! `seawall lab compare`, `cycle`, `history`, `report` with real servers: this test's own program, started again as one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

const ROLE: &str = "SEAWALL_LAB_TEST_SERVER";

/// Not a test of its own: serves when it is started as a server, with a pause per answer and broken answers if so asked.
/// `ADDRESS PAUSE_MICROS STATUS`; with `burn` as the status the pause is spent on a CPU.
#[test]
fn serves_when_asked_to() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut words = role.split(' ');
    let listener = TcpListener::bind(words.next().unwrap()).unwrap();
    let pause = Duration::from_micros(words.next().unwrap().parse().unwrap());
    let kind = words.next();
    let status: &'static str = if kind == Some("503") { "503 No" } else { "200 OK" };
    let wait: fn(Duration) = if kind == Some("burn") { burn } else { std::thread::park_timeout }; // nobody unparks it
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream, (pause, wait), status));
    }
}

/// Uses a CPU, about a nanosecond per step.
#[inline(never)]
fn burn(time: Duration) {
    (0..time.as_nanos() as u64).for_each(|step| _ = std::hint::black_box(step));
}

fn answer(mut stream: TcpStream, (pause, wait): (Duration, fn(Duration)), status: &str) {
    let mut buffer = [0; 4096];
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
    while let Ok(1..) = stream.read(&mut buffer) {
        wait(pause);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A free address, and the command of a server there.
struct Site {
    address: String,
}

impl Site {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { address: listener.local_addr().unwrap().to_string() }
    }
    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
    fn command(&self, pause_us: u32, status: impl std::fmt::Display) -> String {
        let own = std::env::current_exe().unwrap();
        format!(
            "{ROLE}='{} {pause_us} {status}' {} --exact serves_when_asked_to",
            self.address,
            own.display()
        )
    }
}

fn seawall(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall")).arg("lab").args(arguments).current_dir(dir).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const SHORT: [&str; 13] = [
    "--pairs",
    "8",
    "--noise-pairs",
    "6",
    "--block",
    "300ms",
    "--warmup",
    "0s",
    "-c",
    "4",
    "-R",
    "200",
    "--no-profile",
];

#[test]
fn a_build_that_takes_much_longer_is_a_proven_regression_with_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let (a, b, url) = (site.command(100, 200), site.command(20_000, 200), site.url());
    let mut arguments = vec!["compare", "--a", &a, "--b", &b, "--a-name", "quick", "--b-name", "slow", &url];
    arguments.extend(SHORT);
    arguments.extend(["--gate", "p50", "-o", "json=out.json", "-o", "html=out.html", "--store", "runs"]);
    let output = seawall(dir.path(), &arguments);
    let said = text(&output);
    let found = json(&dir.path().join("out.json"));
    let comparison = &found["found"]["data"]["comparisons"]["data"][0];
    // A busy machine may make an open loop invalid; then nothing is claimed, and that is said.
    match output.status.code() {
        Some(5) => {
            assert!(said.contains("REGRESSION: slow is worse than quick: latency p50 +"), "{said}");
            assert_eq!(comparison["outcome"], "regression");
            let p50 =
                comparison["effects"].as_array().unwrap().iter().find(|e| e["metric"] == "p50").unwrap();
            assert!(p50["effect"]["low"].as_f64().unwrap() > 3.0, "{p50}");
        }
        Some(4) => assert!(said.contains("INVALID"), "{said}"),
        code => panic!("{code:?}: {said}"),
    }
    assert_eq!(found["found"]["kind"], "comparison");
    let page = std::fs::read_to_string(dir.path().join("out.html")).unwrap();
    for part in ["slow <span", "chart-heat", "chart-spectrum", "forest-0", "Not collected"] {
        assert!(page.contains(part), "no {part} in the page");
    }
    assert_eq!(std::fs::read_dir(dir.path().join("runs")).unwrap().count(), 2);

    let output = seawall(dir.path(), &["history", "--store", "runs", "--metric", "p50"]);
    assert!(output.status.success() && text(&output).contains("slow ("), "{}", text(&output));
    let output = seawall(dir.path(), &["report", "out.json", "--html", "again.html"]);
    assert!(output.status.success(), "{}", text(&output));
    let again = std::fs::read_to_string(dir.path().join("again.html")).unwrap();
    // JSON may round the last digits of a number, and with them a label; so headings and pictures are compared.
    let seen = |page: &str| {
        let headings: Vec<_> =
            page.split("<h2").skip(1).filter_map(|behind| behind.split("</h2>").next()).collect();
        (headings.join("\n"), page.matches("<svg").count())
    };
    assert!(seen(&page).1 > 0);
    assert_eq!(seen(&again), seen(&page), "the page out of the JSON is another one");
    assert!(TcpStream::connect(&site.address).is_err(), "the servers are gone");
}

/// Nothing about speed is asserted: what was seen inside both builds is there, in document, page and stored runs.
#[test]
fn a_comparison_looks_inside_both_builds_and_shows_where_the_cpu_went() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let (a, b, url) = (site.command(50, "burn"), site.command(1_000, "burn"), site.url());
    let mut arguments = vec!["compare", "--a", &a, "--b", &b, "--a-name", "old", "--b-name", "new", &url];
    arguments.extend(["--pairs", "8", "--noise-pairs", "6", "--block", "250ms", "--warmup", "0s", "-c", "2"]);
    arguments.extend([
        "--profile-for",
        "1s",
        "-o",
        "json=out.json",
        "-o",
        "html=out.html",
        "--store",
        "runs",
    ]);
    let output = seawall(dir.path(), &arguments);
    let said = text(&output);
    let found = json(&dir.path().join("out.json"));
    let report = &found["found"]["data"];
    let side = &report["sides"][0];
    for letter in ["a", "b"] {
        let resources = side[letter]["resources"].as_array().unwrap_or_else(|| panic!("{said}"));
        assert!(resources.iter().any(|row| row["resource"] == "cpu"), "{resources:?}");
        assert!(!side[letter]["threads"].as_array().unwrap().is_empty());
    }
    let signals = side["differences"].as_array().unwrap();
    assert!(signals.iter().any(|one| one["signal"] == "cpu: share used"), "{signals:?}");
    assert_eq!(report["evidence"], "L2", "{said}");
    let pair = &report["differences"]["data"][0];
    assert_eq!((pair["before_name"].as_str(), pair["after_name"].as_str()), (Some("old"), Some("new")));
    assert!(pair["after"]["stacks"].to_string().contains("burn"), "the function that burns is named");
    assert!(said.contains("Functions whose own CPU changed most"), "{said}");
    let page = std::fs::read_to_string(dir.path().join("out.html")).unwrap();
    for part in
        ["flame-diff0", "strip-use-a0", "strip-use-b0", "strip-threads-a0", "Where old and new differ"]
    {
        assert!(page.contains(part), "no {part} in the page");
    }
    let mut runs: Vec<_> =
        std::fs::read_dir(dir.path().join("runs")).unwrap().map(|run| run.unwrap().path()).collect();
    runs.sort();
    assert!(runs.iter().all(|run| !json(run)["signals"]["resources"].as_array().unwrap().is_empty()));
    let (old, new) = (runs[1].to_str().unwrap(), runs[0].to_str().unwrap());
    seawall(dir.path(), &["compare", old, new, "-o", "html=stored.html"]);
    let page = std::fs::read_to_string(dir.path().join("stored.html")).unwrap();
    assert!(page.contains("strip-use-b0"), "stored runs show their signals, too");
}

#[test]
fn what_is_switched_off_is_not_looked_at_and_the_page_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let (a, url) = (site.command(100, 200), site.url());
    let mut arguments = vec!["compare", "--a", &a, "--b", &a, &url, "--no-signals", "-o", "html=out.html"];
    arguments.extend(SHORT);
    seawall(dir.path(), &arguments);
    let page = std::fs::read_to_string(dir.path().join("out.html")).unwrap();
    for part in ["it was switched off (--no-signals)", "it was switched off (--no-profile)"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("strip-use"));
}

#[test]
fn a_build_that_does_not_start_is_an_error_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let url = Site::new().url();
    let mut arguments = vec!["compare", "--a", "echo no such flag; exit 2", "--b", "true", &url];
    arguments.extend(SHORT);
    let output = seawall(dir.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("no such flag"), "{}", text(&output));
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], part: &str| {
        let output = seawall(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output).contains(part), "{arguments:?}: {}", text(&output));
    };
    check(&["compare", "http://127.0.0.1:1/"], "give --a, --b and one URL");
    check(
        &["compare", "--a", "x", "--b", "y", "--pairs", "2", "http://127.0.0.1:1/"],
        "`compare.pairs` is 2",
    );
    check(
        &["compare", "--a", "x", "--b", "y", "--gate", "latency", "http://127.0.0.1:1/"],
        "there are throughput",
    );
    check(&["compare", "--a", "x", "--b", "y", "--slo", "p99", "http://127.0.0.1:1/"], "`load.slo` is `p99`");
    check(&["history", "--metric", "speed"], "`speed` is no metric");
    std::fs::write(dir.path().join("lab.toml"), "url = 'http://127.0.0.1:1/'\n[baseline]\nname = 'a'\n")
        .unwrap();
    check(&["cycle"], "missing field `command`");
}

/// A result of `seawall load --json`, `factor` slower than another.
fn stored(dir: &Path, name: &str, factor: f64) {
    let rows: Vec<Value> = (0..24)
        .map(|i| {
            let noise = 1.0 + 0.01 * f64::from(i * 7 % 5);
            serde_json::json!({"t": i, "seconds": 1.0, "warmup": false, "rps": 1000.0, "offered_rps": 1000.0,
                "sent_rps": 1000.0, "p50": 1000.0 * noise * factor, "p99": 4000.0 * noise * factor, "errors": 0})
        })
        .collect();
    let result = serde_json::json!({"validity": {"verdict": "valid", "reasons": []}, "series": rows});
    std::fs::write(dir.join(name), result.to_string()).unwrap();
}

#[test]
fn two_results_of_load_are_compared_and_the_exit_code_says_how() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path(), "a.json", 1.0);
    stored(dir.path(), "same.json", 1.0);
    stored(dir.path(), "slow.json", 1.4);
    let output = seawall(dir.path(), &["compare", "a.json", "same.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("no difference between a.json and same.json is proven"));
    let output = seawall(dir.path(), &["compare", "a.json", "slow.json", "-o", "html=x.html"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("made at different times"));
    assert!(std::fs::read_to_string(dir.path().join("x.html")).unwrap().contains("regression"));
    let output = seawall(dir.path(), &["compare", "slow.json", "a.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_history_shows_where_it_got_worse_and_gates_on_it() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..16 {
        let name = format!("r{i}.json");
        stored(
            dir.path(),
            &name,
            if i < 8 { 1.0 + 0.002 * f64::from(i) } else { 1.3 + 0.002 * f64::from(i) },
        );
        let label = format!("commit {i:02}");
        let output =
            seawall(dir.path(), &["history", "--add", &name, "--series", "GET /", "--label", &label]);
        assert!(output.status.success(), "{}", text(&output));
    }
    let output = seawall(dir.path(), &["history", "--gate"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    let change = said.find("WORSE from here").unwrap_or_else(|| panic!("{said}"));
    assert!(said.find("commit 07").unwrap() < change && change < said.find("commit 08").unwrap(), "{said}");
}

#[test]
fn a_cycle_proves_the_gain_and_says_so_in_exit_code_and_report() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new();
    let file = format!(
        "title = 'the cycle'\nurl = '{}'\n[baseline]\nname = 'slow'\ncommand = '''{}'''\n\
         [[change]]\nname = 'quick'\ncommand = '''{}'''\n\
         [load]\nrate = 200\nconnections = 4\nblock = '300ms'\nwarmup = '0s'\n\
         [compare]\npairs = 8\ngate = ['p50']\n[gate]\nslo = 'err<1%'\nrequire = 'improvement'\n[diagnose]\nenabled = false\n",
        site.url(),
        site.command(20_000, 200),
        site.command(100, 200)
    );
    std::fs::write(dir.path().join("lab.toml"), file).unwrap();
    let output = seawall(dir.path(), &["cycle", "-o", "html=cycle.html", "-o", "json=cycle.json"]);
    let said = text(&output);
    match output.status.code() {
        Some(0) => assert!(said.contains("PASSED: quick is better than slow: latency p50 −"), "{said}"),
        Some(4) => assert!(said.contains("INVALID"), "{said}"), // a busy machine
        code => panic!("{code:?}: {said}"),
    }
    let page = std::fs::read_to_string(dir.path().join("cycle.html")).unwrap();
    assert!(page.contains("the cycle") && page.contains("forest-0"));
    assert_eq!(json(&dir.path().join("cycle.json"))["found"]["kind"], "cycle");
}
