//! `seawall lab` on a service that it looks into or starts: the reference shop with its admin listener, as real processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

const OWN: &str = env!("CARGO_BIN_EXE_seawall");
/// One connection to a database that is two milliseconds away, and no cache: five hundred pages a second, on any machine.
const SLOW: &str = "--database-away-us 2000 --cache off";

/// The command of a shop, which ends with the process `parent`.
fn shop(dir: &Path, parent: &str, ports: [u16; 2], options: &str) -> String {
    format!(
        "exec '{OWN}' serve-flashsale --units 10 --pay-timeout-ms 1000 --cpus 0 --parent {parent} --data-dir '{}' \
         --listen 127.0.0.1:{} --admin-listen 127.0.0.1:{} {options}",
        dir.join("data").display(),
        ports[0],
        ports[1]
    )
}

/// A shop that is ended when dropped.
struct Running {
    child: Child,
    url: String,
    admin: String,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let command = shop(dir, &std::process::id().to_string(), [0, 0], &format!("--readers 1 {SLOW}"));
        let mut child = Command::new("sh").args(["-c", &command]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (url, admin) =
            line.trim().strip_prefix("listening on ").unwrap().split_once(" admin http://").unwrap();
        Self { child, url: format!("{url}/api/v1/products/1"), admin: admin.to_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn lab(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(OWN).arg("lab").args(arguments).current_dir(dir).env("TMPDIR", dir).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn data(file: &Path) -> Value {
    let artifact: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    artifact["found"]["data"].clone()
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
fn what_the_service_says_of_itself_names_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Running::start(dir.path());
    let out = dir.path().join("why.json");
    let arguments = ["--levels", "1,4,16", "-d", "1s", "--no-churn", "--admin", &shop.admin];
    let output = lab(
        dir.path(),
        &[&["diagnose", &shop.url, "-o", &format!("json={}", out.display())], &arguments[..]].concat(),
    );
    let (text, found) = (said(&output), data(&out));
    assert!(text.contains("evidence L2") && text.contains("numbers of /debug/seawall/signals"), "{text}");
    assert!(text.contains("a CPU profile by /debug/pprof/profile"), "{text}");
    assert_eq!(found["findings"][0]["cause"], "pool_starvation", "{text}");
    assert!(found["findings"][0]["sentence"].as_str().unwrap().contains("`sql.read`"), "{text}");
    assert_eq!(found["evidence"], "L2");
}

#[test]
fn an_admin_listener_that_is_not_there_is_said_and_the_rest_is_seen_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Running::start(dir.path());
    let arguments =
        ["diagnose", &shop.url, "--levels", "1,2", "-d", "500ms", "--no-churn", "--admin", "127.0.0.1:1"];
    let text = said(&lab(dir.path(), &arguments));
    assert!(text.contains("no signals of the service's own: cannot reach 127.0.0.1:1"), "{text}");
    assert!(text.contains("evidence L1") || text.contains("evidence L2"), "{text}");
    assert!(!text.contains("numbers of /debug/seawall/signals"), "{text}");
}

#[test]
fn profiles_of_the_service_come_from_its_admin_listener() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Running::start(dir.path());
    let out = dir.path().join("profiles.json");
    let arguments = ["-d", "2s", "-c", "4", "--kinds", "cpu,off-cpu", "--admin", &shop.admin];
    let output = lab(
        dir.path(),
        &[&["profile", &shop.url, "-o", &format!("json={}", out.display())], &arguments[..]].concat(),
    );
    let (text, found) = (said(&output), data(&out));
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(found[0]["source"], "/debug/pprof/profile", "{text}");
    assert!(found[0]["total"].as_f64().unwrap() > 0.0, "{text}");
}

#[test]
fn a_service_that_the_lab_starts_proves_what_it_is_blamed_for() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let command = shop(dir.path(), "$PPID", ports, &format!("--readers {{pool}} {SLOW}"));
    let (url, admin) =
        (format!("http://127.0.0.1:{}/api/v1/products/1", ports[0]), format!("127.0.0.1:{}", ports[1]));
    let out = dir.path().join("why.json");
    let arguments = ["--levels", "1,4,16", "-d", "800ms", "--no-churn", "--no-profile", "--pool", "1:3"];
    let file = format!("json={}", out.display());
    let target = ["diagnose", &url, "--admin", &admin, "--start", &command, "-o", &file];
    let output = lab(dir.path(), &[&target[..], &arguments[..]].concat());
    let (text, found) = (said(&output), data(&out));
    let first = &found["findings"][0];
    assert_eq!(first["cause"], "pool_starvation", "{text}");
    let result = &first["experiment"]["result"];
    if result.is_null() {
        // On a machine so busy that no block of the generator counts, nothing is claimed, and that is said.
        assert!(text.contains("the pool was not tried"), "{text}");
    } else {
        assert_eq!(result["confirmed"], true, "a sleep of 2 ms three times at once: {text}");
        assert!(text.contains("throughput with pool 3 in place of 1"), "{text}");
    }
    assert!(ends(&dir.path().join("data").display().to_string()), "a service is left");
}

/// Processes whose command line speaks of `word`, this test's own left out.
fn processes_with(word: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(word)).count()
}

/// Waits until `done`, at most 30 seconds; false if it never was.
fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    (0..600).any(|_| {
        std::thread::park_timeout(Duration::from_millis(50));
        done()
    })
}

fn ends(word: &str) -> bool {
    wait_until(|| processes_with(word) == 0)
}

/// A lab under way whose service has started a process of its own, which would live for ten minutes.
fn lab_with_a_family(dir: &Path) -> (Child, String) {
    let ports = free_ports();
    let word = format!("seawall-family-{}", ports[0]);
    // The grandchild is told by its name; the service must not exec, so that it is a child of a shell.
    let service = shop(dir, "$$", ports, "--readers 1").replacen("exec ", "", 1);
    let command = format!("sh -c 'sleep 600; : {word}' & {service}; : {word}");
    let url = format!("http://127.0.0.1:{}/api/v1/products/1", ports[0]);
    let lab = Command::new(OWN)
        .args(["lab", "diagnose", &url, "-d", "60s", "--start", &command])
        .env("TMPDIR", dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let data = dir.join("data").display().to_string();
    // The lab's own line, two shells', the grandchild's and the service's.
    assert!(
        wait_until(|| dir.join("data/flashsale.db").exists() && processes_with(&data) >= 3),
        "it is started"
    );
    (lab, word)
}

#[test]
fn a_lab_that_is_killed_takes_what_it_started_along() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lab, word) = lab_with_a_family(dir.path());
    lab.kill().unwrap(); // SIGKILL: no handler of ours can run
    lab.wait().unwrap();
    assert!(ends(&word), "what the service started is left behind");
    assert!(ends(&dir.path().join("data").display().to_string()), "the service is left behind");
}

#[test]
fn a_lab_that_is_interrupted_takes_what_it_started_along() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lab, word) = lab_with_a_family(dir.path());
    assert!(Command::new("kill").args(["-INT", &lab.id().to_string()]).status().unwrap().success());
    assert_eq!(lab.wait().unwrap().code(), Some(130));
    assert!(ends(&word), "what the service started is left behind");
    assert!(ends(&dir.path().join("data").display().to_string()), "the service is left behind");
}
