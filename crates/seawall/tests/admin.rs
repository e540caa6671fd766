//! A whole service with its admin listener: that the debug pages are filled by what it is made of, and by nobody else.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use seawall::client::{Address, Client, ClientConfig, HostConfig, PoolConfig};
use seawall::data::sql::{Sqlite, SqliteConfig};
use seawall::middleware::{RateLimiter, RateLimiterConfig};
use seawall::observe::{Admin, AdminConfig, PprofConfig};
use seawall::prelude::*;
use seawall::{Group, ShutdownHandle};
use serde_json::Value;

/// Far more than anything here takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(60);
const WORKERS: usize = 2;

/// The service, its admin listener, and who lets the service that it calls answer.
struct Running {
    addr: SocketAddr,
    admin: Admin,
    let_answer: Sender<()>,
    handle: ShutdownHandle,
    thread: JoinHandle<Result<()>>,
    _files: tempfile::TempDir,
}

/// Another service: one connection, and an answer for each leave that it is given.
fn upstream(leave: Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while read_head(&mut stream) && leave.recv().is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42").unwrap();
        }
    });
    addr
}

fn read_head(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).is_ok_and(|read| read == 1) {
            head.push(byte[0]);
        } else {
            return false;
        }
    }
    true
}

async fn price(client: State<Client>) -> Result<String> {
    client.get("http://prices/7").text().await.map_err(|error| Error::bad_gateway(error.to_string()))
}

async fn order(sql: State<Sqlite>) -> Result<&'static str> {
    let written = sql.write(|tx| tx.execute_all("CREATE TABLE IF NOT EXISTS orders (id INTEGER)"));
    written.await.map_err(|error: seawall::data::sql::SqlError| Error::internal(error.to_string()))?;
    Ok("ordered")
}

async fn reindex(c: Context) -> Result<&'static str> {
    c.spawn_detached("reindex", std::future::pending::<()>())?;
    Ok("begun")
}

impl Running {
    fn start() -> Self {
        let (let_answer, leave) = channel();
        let files = tempfile::tempdir().unwrap();
        let config = ServerConfig {
            workers: Some(WORKERS),
            shutdown_timeout: Duration::from_millis(100),
            ..ServerConfig::default()
        };
        let app = App::new().config(config);
        let metrics = app.metrics();
        let prices = HostConfig { addresses: vec![Address::Tcp(upstream(leave))] };
        let client = ClientConfig {
            hosts: [("prices".to_owned(), prices)].into(),
            pool: PoolConfig { max_connections: 1, max_wait: PATIENCE, ..PoolConfig::default() },
            timeout: PATIENCE,
            attempt_timeout: PATIENCE,
            ..ClientConfig::default()
        };
        let sql = SqliteConfig { path: files.path().join("orders.db"), ..SqliteConfig::default() };
        let tight =
            RateLimiterConfig { requests: 1, name: "tight".to_owned(), ..RateLimiterConfig::default() };
        let limited = Group::new().with(RateLimiter::new(&tight).unwrap()).get("/", async || "let in");
        let app = app
            .state(Client::with_metrics(client, &metrics).unwrap())
            .state(Sqlite::open(&sql, &metrics).unwrap())
            .get("/price", price)
            .post("/orders", order)
            .post("/reindex", reindex)
            .mount("/limited", limited);
        let config = AdminConfig {
            addr: ([127, 0, 0, 1], 0).into(),
            pprof: Some(PprofConfig::default()),
            ..AdminConfig::default()
        };
        let admin = Admin::start(&config, &metrics).unwrap();
        admin.show_tasks(&app.tasks());
        let server = app.bind("127.0.0.1:0").unwrap();
        let (addr, handle) = (server.local_addr(), server.handle());
        Self { addr, admin, let_answer, handle, thread: thread::spawn(|| server.run()), _files: files }
    }

    /// A page of the admin listener, once `is` likes it.
    #[track_caller]
    fn page(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let limit = now() + PATIENCE;
        loop {
            let (status, body) =
                fetch(self.admin.local_addr(), &format!("GET /debug/seawall/{name}")).unwrap();
            let page = serde_json::from_str(&body).unwrap_or(Value::Null);
            if status == 200 && is(&page) {
                return page;
            }
            assert!(now() < limit, "{name} is {status} {body}");
            thread::yield_now();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a limit for waiting; nothing is measured")]
fn now() -> Instant {
    Instant::now()
}

/// Status and body of the answer.
fn fetch(addr: SocketAddr, request: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Ok((head[9..12].parse().unwrap(), body.to_owned()))
}

#[test]
fn a_service_fills_the_debug_pages_by_itself() {
    let service = Running::start();
    let addr = service.addr;
    let calls: Vec<_> = (0..3).map(|_| thread::spawn(move || fetch(addr, "GET /price").unwrap())).collect();
    let statuses = ["POST /orders", "POST /reindex", "GET /limited/", "GET /limited/"]
        .map(|request| fetch(addr, request).unwrap().0);
    assert_eq!(statuses, [200, 200, 200, 429]);

    let pools = service.page("pools", |page| page["metrics"]["client"]["waiters"]["host=prices"] == 2);
    assert_eq!(pools["metrics"]["client"]["connections"]["host=prices"], 1, "{pools}");
    assert_eq!(pools["metrics"]["sql"]["writes_total"], 1, "{pools}");

    let workers = |page: &Value, name: &str| {
        let of = |worker| page["metrics"][name][format!("worker={worker}")].as_u64();
        (0..WORKERS).map(of).sum::<Option<u64>>()
    };
    let limits = service.page("limits", |page| workers(page, "seawall_admission_in_flight") == Some(3));
    assert!(workers(&limits, "seawall_admission_limit").is_some_and(|limit| limit >= 2), "{limits}");
    assert_eq!(limits["metrics"]["seawall_client_active_requests"]["host=prices"], 3, "{limits}");
    assert_eq!(limits["metrics"]["seawall_rate_limit_denied_total"]["limit=tight"], 1, "{limits}");
    assert_eq!(limits["metrics"]["seawall_client_breakers_open"]["host=prices"], 0, "{limits}");

    let tasks = service.page("tasks", |page| page["live"] == 1);
    assert_eq!((&tasks["sites"][0]["name"], &tasks["sites"][0]["live"]), (&"reindex".into(), &1.into()));

    // Both have served, so both have slept between two requests, and have been busy.
    let facts =
        ["seawall_worker_parks_total", "seawall_worker_busy_microseconds_total", "seawall_worker_tasks"];
    let runtime = service.page("runtime", |page| {
        let count = |worker: usize, fact| page["workers"][worker.to_string()][fact].as_u64();
        (0..WORKERS).all(|worker| facts.iter().all(|fact| count(worker, fact).is_some_and(|count| count > 0)))
    });
    assert_eq!(runtime["admin"]["workers"].as_array().map(Vec::len), Some(1), "{runtime}");
    service.page("signals", |page| {
        page["pools"]["client.prices"] == 2 && page["server"]["active_requests"] == 3
    });

    (0..3).for_each(|_| service.let_answer.send(()).unwrap());
    for call in calls {
        assert_eq!(call.join().unwrap(), (200, "42".to_owned()));
    }
    service.page("pools", |page| page["metrics"]["client"]["waiters"]["host=prices"] == 0);
    service.handle.shutdown();
    service.thread.join().unwrap().unwrap();
}
