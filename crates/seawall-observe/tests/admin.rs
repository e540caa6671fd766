//! The admin listener over a real socket: what it shows, whom it answers, when it ends.

#![cfg(all(feature = "admin", feature = "pprof"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use seawall_core::metrics::Registry;
use seawall_http::{App, Context, Result, ServerConfig};
use seawall_observe::{Admin, AdminConfig, AdminError, PprofConfig};
use seawall_tasks::{Tasks, TasksConfig};

/// Far more than anything here takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);

fn local() -> AdminConfig {
    AdminConfig { addr: ([127, 0, 0, 1], 0).into(), ..AdminConfig::default() }
}

fn start(registry: &Registry) -> Admin {
    Admin::start(&local(), registry).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a limit for waiting; nothing is measured")]
fn now() -> Instant {
    Instant::now()
}

/// Waits until `condition` holds.
#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = now() + PATIENCE;
    while !condition() {
        assert!(now() < limit, "{what}: not within {PATIENCE:?}");
        thread::yield_now();
    }
}

fn send(addr: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    stream
}

/// Status and body of one request; the head's header lines are in between.
fn get(addr: SocketAddr, path: &str) -> (u16, String, String) {
    let mut answer = String::new();
    send(addr, path).read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn metrics_are_prometheus_text() {
    let registry = Registry::new();
    registry.counter("seawall_test_total", "Tests.", &[]).add(3);
    let admin = start(&registry);
    let (status, head, body) = get(admin.local_addr(), "/metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("\nseawall_test_total 3\n"), "{body}");
    assert!(body.contains("\nprocess_resident_memory_bytes "), "{body}");
}

#[test]
fn looking_does_not_change_what_is_seen() {
    let admin = start(&Registry::new());
    get(admin.local_addr(), "/");
    let (_, _, body) = get(admin.local_addr(), "/metrics");
    assert!(!body.contains("http_server"), "{body}");
}

#[test]
fn signals_are_one_json_document() {
    let registry = Registry::new();
    registry.gauge("seawall_queue_depth", "D.", &[("queue", "orders")]).set(5);
    let admin = start(&registry);
    let (status, _, body) = get(admin.local_addr(), "/debug/seawall/signals");
    let signals: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, signals["queues"]["orders"].as_i64()), (200, Some(5)));
    assert!(signals["process"]["rss_bytes"].as_u64() > Some(100_000), "{signals}");
    assert!(signals["uptime_s"].as_f64() > Some(0.0), "{signals}");
}

#[test]
fn tasks_are_shown_by_where_they_were_started() {
    let admin = start(&Registry::new());
    assert_eq!(get(admin.local_addr(), "/debug/seawall/tasks").0, 404);
    let tasks = Tasks::default();
    admin.show_tasks(&tasks);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let task = tasks.spawn("leak", std::future::pending::<()>()).unwrap();
    let (status, _, body) = get(admin.local_addr(), "/debug/seawall/tasks");
    let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, shown["live"].as_u64(), shown["sites"][0]["name"].as_str()),
        (200, Some(1), Some("leak"))
    );
    assert!(shown["sites"][0]["place"].as_str().unwrap().contains("tests/admin.rs"), "{shown}");
    drop(task);
}

#[test]
fn a_task_that_does_not_let_go_is_shown_as_stuck() {
    let admin = start(&Registry::new());
    let config = TasksConfig { stuck_after: Duration::from_nanos(1), ..TasksConfig::default() };
    let tasks = Tasks::new(&config).unwrap();
    admin.show_tasks(&tasks);
    let (told, running) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let busy = async move {
            told.send(()).unwrap();
            let _ = released.recv(); // a wait that is none to the runtime: the mistake that is to be found
        };
        runtime.block_on(async { tasks.spawn("busy", busy).unwrap().await.unwrap() });
    });
    running.recv().unwrap();
    let (status, _, body) = get(admin.local_addr(), "/debug/seawall/tasks");
    release.send(()).unwrap();
    worker.join().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, shown["stuck"][0]["name"].as_str()), (200, Some("busy")), "{shown}");
    let (_, _, body) = get(admin.local_addr(), "/debug/seawall/tasks");
    let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(shown["stuck"], serde_json::json!([]), "{shown}");
}

#[test]
fn the_index_page_names_every_route() {
    let config = AdminConfig { pprof: Some(PprofConfig::default()), ..local() };
    let admin = Admin::start(&config, &Registry::new()).unwrap();
    admin.show_tasks(&Tasks::default());
    let (_, head, body) = get(admin.local_addr(), "/");
    assert!(head.contains("content-type: text/html"), "{head}");
    for path in body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert_eq!(get(admin.local_addr(), path).0, 200, "{path}");
    }
    assert_eq!(body.matches("href").count(), 7);
}

#[test]
fn a_service_that_drains_is_alive_and_not_ready() {
    let admin = start(&Registry::new());
    assert_eq!(get(admin.local_addr(), "/health/ready").0, 200);
    admin.health().drain();
    let (status, _, body) = get(admin.local_addr(), "/health/ready");
    assert_eq!(status, 503);
    assert!(body.contains("shutting down"), "{body}");
    assert_eq!(get(admin.local_addr(), "/health/live").0, 200);
}

#[test]
fn a_failing_check_is_named() {
    let admin = start(&Registry::new());
    admin.health().add_check("database", || Err("no reader left".to_owned()));
    let (status, _, body) = get(admin.local_addr(), "/health/ready");
    assert_eq!(status, 503);
    assert!(body.contains("database") && body.contains("no reader left"), "{body}");
}

#[test]
fn stopping_frees_the_port() {
    let admin = start(&Registry::new());
    let addr = admin.local_addr();
    // An open connection must not keep it.
    let _open = TcpStream::connect(addr).unwrap();
    admin.stop();
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn another_address_than_loopback_must_be_allowed() {
    let config = AdminConfig { addr: ([0, 0, 0, 0], 0).into(), ..AdminConfig::default() };
    let error = Admin::start(&config, &Registry::new()).unwrap_err();
    let expected = "`admin.addr` is 0.0.0.0:0, but must be a loopback address such as 127.0.0.1:6060, unless \
                    `admin.allow_remote` is true";
    assert_eq!(error.to_string(), expected);
    Admin::start(&AdminConfig { allow_remote: true, ..config }, &Registry::new()).unwrap().stop();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let admin = start(&Registry::new());
    let config = AdminConfig { addr: admin.local_addr(), ..AdminConfig::default() };
    let error = Admin::start(&config, &Registry::new()).unwrap_err();
    assert!(matches!(&error, AdminError::Bind { addr, .. } if *addr == admin.local_addr()), "{error:?}");
    assert!(error.to_string().contains(&admin.local_addr().to_string()), "{error}");
}

/// How many workers are in a handler that never yields, and whether they may leave it.
#[derive(Debug, Clone, Default)]
struct Spin {
    inside: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
}

impl Spin {
    fn spin(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        while !self.done.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn it_answers_while_every_worker_is_busy() {
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let (registry, spin) = (Registry::new(), Spin::default());
    let handler = {
        let spin = spin.clone();
        move |c: Context| {
            let spin = spin.clone();
            async move {
                spin.spin();
                c.text(200, "done")
            }
        }
    };
    let config = ServerConfig { workers: Some(workers), ..ServerConfig::default() };
    let app = App::new().registry(&registry).config(config).get("/spin", handler);
    let server = app.bind("127.0.0.1:0").unwrap();
    let (addr, stop) = (server.local_addr(), server.handle());
    let serving: thread::JoinHandle<Result<()>> = thread::spawn(move || server.run());
    let admin = start(&registry);

    // Connections go to workers that are free, so enough of them make every worker busy.
    let mut waiting = Vec::new();
    while spin.inside.load(Ordering::SeqCst) < workers {
        waiting.push(send(addr, "/spin"));
        assert!(waiting.len() <= 64, "{workers} workers are not busy after {} requests", waiting.len());
        let before = spin.inside.load(Ordering::SeqCst);
        let limit = now() + Duration::from_millis(200);
        while spin.inside.load(Ordering::SeqCst) == before && now() < limit {
            thread::yield_now();
        }
    }

    let (status, _, body) = get(admin.local_addr(), "/metrics");
    assert_eq!(status, 200);
    assert!(body.contains("http_server_active_requests"), "{body}");
    let (_, _, body) = get(admin.local_addr(), "/debug/seawall/signals");
    let signals: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(signals["server"]["active_requests"].as_u64() >= Some(workers as u64), "{signals}");
    assert_eq!(spin.inside.load(Ordering::SeqCst), workers, "a worker was free after all");

    spin.done.store(true, Ordering::SeqCst);
    for mut stream in waiting {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    stop.shutdown();
    eventually("the server stops", || serving.is_finished());
    serving.join().unwrap().unwrap();
}
