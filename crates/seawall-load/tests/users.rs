//! Virtual users against a small server.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the message")]

mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall_load::users::{Event, Step, User, UsersConfig, run_users};
use seawall_load::{ErrorClass, Report, Request};
use support::{OK, Server, Then, assert_nothing_lost, work_for};

/// What a shopper wrote down: the event and when.
type Diary = Arc<Mutex<Vec<(String, Duration)>>>;

/// Sends `left` requests, 10 ms apart, and writes down what comes back.
struct Shopper {
    left: u32,
    timeout: Duration,
    diary: Diary,
}

impl User for Shopper {
    fn next(&mut self, event: Event<'_>, now: Duration) -> Step {
        let entry = match event {
            Event::Start => "start".to_owned(),
            Event::Answer(answer) => {
                assert!(answer.sent <= now);
                let length = answer.header("content-length").unwrap_or("none");
                format!("{} {} {}", answer.status, length, String::from_utf8_lossy(answer.body))
            }
            Event::Failed { class, sent } => {
                format!("{class} {}", if sent.is_some() { "sent" } else { "unsent" })
            }
        };
        self.diary.lock().unwrap().push((entry, now));
        if self.left == 0 {
            return Step::Done;
        }
        self.left -= 1;
        let request = Request { method: "GET", path: "/", headers: &[], body: b"" };
        Step::Send {
            label: "look",
            request: request.render("shop").unwrap(),
            after: Duration::from_millis(10),
            timeout: self.timeout,
        }
    }
}

/// Runs `count` shoppers with `left` requests each, who arrive 1 ms apart.
fn shop(count: u32, left: u32, timeout: Duration, config: &UsersConfig) -> (Report, Vec<(String, Duration)>) {
    let diary = Diary::default();
    let users = (0..count).map(|number| {
        let user = Shopper { left, timeout, diary: Arc::clone(&diary) };
        (Duration::from_millis(u64::from(number)), Box::new(user) as Box<dyn User>)
    });
    let report = run_users(config, users.collect(), &mut |_| {}).unwrap();
    assert_nothing_lost(&report);
    let entries = diary.lock().unwrap().clone();
    (report, entries)
}

fn config(url: String) -> UsersConfig {
    UsersConfig { url, connections: 8, time_limit: Duration::from_secs(20), ..UsersConfig::default() }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_user_gets_every_answer() {
    let server = Server::saying(OK);
    let (report, diary) = shop(300, 3, SECOND, &UsersConfig { threads: 2, ..config(server.url()) });
    assert_eq!((report.requests, server.requests(), report.unfinished_users), (900, 900, Some(0)));
    assert_eq!(diary.iter().filter(|(entry, _)| entry == "200 2 ok").count(), 900);
    assert_eq!((report.labels["look"].requests, report.labels["look"].failed), (900, 0));
    assert_eq!(report.labels["look"].latency.count(), 900);
}

#[test]
fn users_pause_before_they_send() {
    let server = Server::saying(OK);
    let (_, diary) = shop(1, 2, SECOND, &config(server.url()));
    let times: Vec<Duration> = diary.iter().map(|(_, now)| *now).collect();
    assert_eq!(times[0], Duration::ZERO);
    assert!(times[1] >= Duration::from_millis(10) && times[2] >= Duration::from_millis(20), "{times:?}");
}

#[test]
fn waiting_for_a_connection_counts_as_latency() {
    let server = Server::start(|stream, _| {
        work_for(Duration::from_millis(50));
        let _ = stream.write_all(OK.as_bytes());
        Then::Keep
    });
    // 8 users at once on one connection: the last waits for seven others.
    let (report, _) = shop(8, 1, 5 * SECOND, &UsersConfig { connections: 1, ..config(server.url()) });
    assert!(report.latency_us.max >= 380_000.0, "{:?}", report.latency_us);
    assert_eq!(report.requests, 8);
}

#[test]
fn a_timeout_is_told_to_the_user() {
    let server = Server::start(|_, _| {
        work_for(30 * SECOND);
        Then::Close
    });
    let (report, diary) = shop(4, 1, Duration::from_millis(100), &config(server.url()));
    assert_eq!(diary.iter().filter(|(entry, _)| entry == "timeout_first_byte sent").count(), 4);
    assert_eq!(report.errors.get(&ErrorClass::TimeoutFirstByte), Some(&4));
}

#[test]
fn a_request_that_finds_no_connection_in_time_is_shed_unsent() {
    let server = Server::start(|_, _| {
        work_for(30 * SECOND);
        Then::Close
    });
    let crowded = UsersConfig { connections: 1, ..config(server.url()) };
    let (report, diary) = shop(3, 1, Duration::from_millis(200), &crowded);
    assert!(diary.iter().any(|(entry, _)| entry == "deadline_shed unsent"), "{diary:?}");
    assert!(report.errors.contains_key(&ErrorClass::DeadlineShed));
}

#[test]
fn users_that_are_not_done_in_time_are_counted() {
    let server = Server::saying(OK);
    let short = UsersConfig { time_limit: Duration::from_millis(300), ..config(server.url()) };
    let (report, _) = shop(5, u32::MAX, SECOND, &short);
    assert_eq!(report.unfinished_users, Some(5));
    assert!(report.requests > 5);
}

#[test]
fn a_server_that_dies_is_heard_of_by_all_users() {
    // It answers once; then nobody listens any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        work_for(Duration::from_millis(20));
        let _ = stream.write_all(OK.as_bytes());
        drop((stream, listener));
    });
    let (report, diary) = shop(5, 2, SECOND, &UsersConfig { connections: 1, ..config(url) });
    assert_eq!(report.unfinished_users, Some(0), "{diary:?}");
    assert!(report.errors.contains_key(&ErrorClass::ConnectRefused), "{:?}", report.errors);
}
