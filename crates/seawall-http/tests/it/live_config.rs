//! Configuration that changes while the server runs: from text, from a file that is followed, over real sockets.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall_core::ConfigError;
use seawall_core::metrics::Registry;
use seawall_http::{
    AdmissionConfig, Algorithm, AnyLiveConfig, App, LimitConfig, LiveConfig, LiveConfigError, OverloadConfig,
    ServerConfig,
};

use crate::admission::refused;
use crate::live::{Live, read_until, wait_until};
use crate::sample;
use crate::tracing::Lines;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Discount {
    percent: u32,
    name: String,
}

/// A discount of at most 50, and what is in force.
fn discount() -> (LiveConfig<Discount>, Arc<Mutex<Vec<u32>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&taken);
    let apply = move |config: &Discount| {
        if config.percent > 50 {
            return Err(ConfigError::new("discount.percent", config.percent, "0 to 50"));
        }
        theirs.lock().unwrap().push(config.percent);
        Ok(())
    };
    let initial = Discount { percent: 5, name: "spring".to_owned() };
    (LiveConfig::new("discount", initial, apply).unwrap(), taken)
}

fn reloads(registry: &Registry, outcome: &str) -> i64 {
    sample(registry, "seawall_config_reloads_total", &format!("config=discount,outcome={outcome}"))
}

#[test]
fn a_change_is_taken_over_as_a_whole_or_not_at_all() {
    let (live, taken) = discount();
    let registry = Registry::new();
    live.count_in(&registry);
    live.set_json(r#"{"percent": 10, "name": "summer"}"#, "a test").unwrap();
    live.set_toml("percent = 20", "a test").unwrap();
    let expected = Discount { percent: 20, name: "spring".to_owned() };
    assert_eq!(*live.get(), expected, "what is not said is as it began");
    let range = live.set_json(r#"{"percent": 51, "name": "autumn"}"#, "a test").unwrap_err();
    assert_eq!(range.to_string(), "`discount.percent` is 51, but must be 0 to 50");
    assert_eq!(range.field(), Some("discount.percent"));
    let unknown = live.set_toml("percnt = 3", "a test").unwrap_err();
    assert_eq!(unknown.field(), Some("discount.percnt"));
    assert!(matches!(live.set_json("{", "a test"), Err(LiveConfigError::Syntax { line: 1, .. })));
    assert!(live.set(Discount { percent: 99, name: String::new() }).is_err());
    assert_eq!(*live.get(), expected);
    live.set(Discount { percent: 7, name: String::new() }).unwrap();
    assert_eq!(*taken.lock().unwrap(), [5, 10, 20, 7]);
    assert_eq!((reloads(&registry, "applied"), reloads(&registry, "refused")), (3, 4));
}

#[test]
fn the_log_says_who_changed_what() {
    let log = Lines::collect(|| {
        let (live, _) = discount();
        live.set_json(r#"{"percent": 10}"#, "192.0.2.1:5").unwrap();
        live.set_json(r#"{"percent": 10}"#, "192.0.2.1:6").unwrap();
        live.set_json(r#"{"percent": 60}"#, "192.0.2.1:7").unwrap_err();
    });
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    for word in ["INFO", "config=\"discount\"", "by=\"192.0.2.1:5\"", "percent: 5 -> 10"] {
        assert!(lines[0].contains(word), "{word} in {log}");
    }
    for word in ["WARN", "by=\"192.0.2.1:7\"", "`discount.percent` is 60, but must be 0 to 50"] {
        assert!(lines[1].contains(word), "{word} in {log}");
    }
}

#[test]
fn one_that_is_wrong_at_the_start_is_an_error() {
    let new = |name: &str| LiveConfig::new(name, 1_u8, |_: &u8| Err(ConfigError::new("a", 1, "2")));
    assert_eq!(new("x").unwrap_err().to_string(), "`a` is 1, but must be 2");
    let allowed = "1 to 64 letters, digits, `-`, `_` and `.`";
    assert_eq!(
        new("a/b").unwrap_err().to_string(),
        format!("`live_config.name` is \"a/b\", but must be {allowed}")
    );
    let folder = tempfile::tempdir().unwrap();
    let follow = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        discount().0.follow_file(&path).unwrap_err().to_string()
    };
    assert_eq!(follow("a.toml", "percent = 60"), "`discount.percent` is 60, but must be 0 to 50");
    assert!(follow("b.json", "percent = 6").contains("no JSON"));
    assert!(follow("c.yaml", "percent: 6").ends_with("its name must end with .json or .toml"));
    assert!(discount().0.follow_file("/no/such.toml").unwrap_err().to_string().contains("No such file"));
}

/// As Kubernetes replaces a config map: what is seen is a link into a folder that is a link itself.
fn publish(folder: &Path, version: &str, text: &str) {
    fs::create_dir(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("discount.toml"), text).unwrap();
    symlink(version, folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
}

#[test]
fn a_file_is_followed_and_bad_content_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), "..1", "percent = 11\n");
    let file = folder.path().join("discount.toml");
    symlink("..data/discount.toml", &file).unwrap();
    let (live, taken) = discount();
    let registry = Registry::new();
    live.count_in(&registry);
    live.follow_file(&file).unwrap();
    assert_eq!(live.get().percent, 11, "it is read right away");
    let twice = live.follow_file(&file).unwrap_err().to_string();
    assert!(twice.ends_with("a file is followed already, and there can be one"), "{twice}");
    publish(folder.path(), "..2", "percent = 12\n");
    wait_until(|| live.get().percent == 12);
    publish(folder.path(), "..3", "percent = 80\n");
    wait_until(|| reloads(&registry, "refused") == 1);
    fs::remove_file(folder.path().join("..data")).unwrap();
    wait_until(|| reloads(&registry, "refused") == 2);
    assert_eq!(live.get().percent, 12);
    publish(folder.path(), "..4", "name = \"winter\"\n");
    wait_until(|| live.get().name == "winter");
    assert_eq!(*taken.lock().unwrap(), [5, 11, 12, 5], "each content once, and the bad one never");
}

#[test]
fn to_follow_a_file_keeps_nothing_alive() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("discount.json");
    fs::write(&file, "{}").unwrap();
    let (live, taken) = discount();
    live.follow_file(&file).unwrap();
    drop(live);
    // The thread has a share of it only while it looks.
    wait_until(|| Arc::strong_count(&taken) == 1);
}

#[test]
fn any_is_shown_and_set_as_json() {
    let (live, _) = discount();
    let any = AnyLiveConfig::from(&live);
    assert_eq!(any.name(), "discount");
    any.set_json(r#"{"percent": 3}"#, "a test").unwrap();
    let shown: Discount = serde_json::from_str(&any.to_json()).unwrap();
    assert_eq!((shown.percent, live.get().percent), (3, 3));
}

/// One at a time, while so many wait for as long as they like.
fn one_slot() -> ServerConfig {
    let limit = LimitConfig { algorithm: Algorithm::Fixed, initial: 1, ..LimitConfig::default() };
    let long = Duration::from_secs(10);
    let admission = AdmissionConfig {
        limit,
        min_wait: long,
        grace: long,
        deadline: 6 * long,
        ..AdmissionConfig::default()
    };
    ServerConfig { admission: Some(admission), workers: Some(1), ..ServerConfig::default() }
}

/// A server whose requests to `/hold` last until they are let go, and what changes it.
struct Held {
    server: Live,
    overload: LiveConfig<OverloadConfig>,
    registry: Registry,
    begun: Arc<AtomicU32>,
    go: Arc<AtomicBool>,
}

impl Held {
    fn start(prepare: impl FnOnce(&LiveConfig<OverloadConfig>)) -> Self {
        let (begun, go) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (begins, may_go) = (Arc::clone(&begun), Arc::clone(&go));
        let hold = move || {
            let (begins, may_go) = (Arc::clone(&begins), Arc::clone(&may_go));
            async move {
                begins.fetch_add(1, Ordering::SeqCst);
                while !may_go.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                "held"
            }
        };
        let app = App::new().get("/hold", hold).get("/", async || "hello").config(one_slot());
        let registry = app.metrics();
        let (app, overload) = app.overload_control().unwrap();
        prepare(&overload);
        Self { server: Live::with(app, one_slot()), overload, registry, begun, go }
    }

    fn get(&self, target: &str) -> TcpStream {
        let mut stream = self.server.connect();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        stream
    }

    fn has_begun(&self, count: u32) {
        wait_until(|| self.begun.load(Ordering::SeqCst) == count);
    }

    fn set(&self, json: &str) {
        self.overload.set_json(json, "a test").unwrap();
    }
}

#[test]
fn a_higher_limit_lets_those_in_who_wait() {
    let held = Held::start(|_| ());
    let mut first = held.get("/hold");
    held.has_begun(1);
    let mut second = held.get("/hold");
    wait_until(|| sample(&held.registry, "seawall_admission_queued", "worker=0") == 1);
    held.set(r#"{"limit": {"initial": 2}}"#);
    // Nobody else comes: the change alone lets it in.
    held.has_begun(2);
    held.go.store(true, Ordering::SeqCst);
    read_until(&mut first, "held");
    read_until(&mut second, "held");
    assert_eq!(sample(&held.registry, "seawall_config_reloads_total", "config=overload,outcome=applied"), 1);
}

#[test]
fn the_hard_cap_changes_for_all_workers() {
    let held = Held::start(|_| ());
    let mut first = held.get("/hold");
    held.has_begun(1);
    held.set(r#"{"max_in_flight": 1}"#);
    let answer = read_until(&mut held.get("/"), "\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let counted = || refused(&held.registry, "saturated");
    assert_eq!(counted(), 1);
    held.set("{}");
    held.go.store(true, Ordering::SeqCst);
    read_until(&mut first, "held");
    read_until(&mut held.get("/"), "hello");
    assert_eq!(counted(), 1);
}

#[test]
fn pressure_and_deadline_change_too() {
    let held = Held::start(|_| ());
    held.set(r#"{"pressure": {"memory_percent": 1}}"#);
    wait_until(|| read_until(&mut held.get("/"), "\r\n\r\n").starts_with("HTTP/1.1 503 "));
    held.set(r#"{"deadline_ms": 50}"#);
    wait_until(|| read_until(&mut held.get("/"), "\r\n\r\n").starts_with("HTTP/1.1 200 "));
    let late = read_until(&mut held.get("/hold"), "\r\n\r\n");
    assert!(late.starts_with("HTTP/1.1 504 "), "{late}");
}

#[test]
fn what_is_set_before_the_start_counts_from_the_start_on() {
    let held = Held::start(|overload| {
        overload.set_json(r#"{"limit": {"initial": 2}}"#, "a test").unwrap();
    });
    let _both = [held.get("/hold"), held.get("/hold")];
    held.has_begun(2);
    held.go.store(true, Ordering::SeqCst);
}

#[test]
fn what_cannot_be_controlled_is_said_at_the_build() {
    let app = || App::new().get("/", async || "hello");
    let (with_control, _) = app().overload_control().unwrap();
    let other = ServerConfig { max_in_flight: 9, ..ServerConfig::default() };
    let problem = format!("{:?}", with_control.config(other).build().unwrap_err());
    assert!(problem.contains("`App::config` has to come before `App::overload_control`"), "{problem}");
    let off = ServerConfig { admission: None, ..ServerConfig::default() };
    let (off, _) = app().config(off).overload_control().unwrap();
    let problem = format!("{:?}", off.build().unwrap_err());
    assert!(problem.contains("`server.admission` is None"), "{problem}");
}
