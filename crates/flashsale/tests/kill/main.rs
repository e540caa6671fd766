//! `kill -9` at any moment: the real server is killed again and again while clients order over TCP, and started again
//! on the same directory. Clients find out what they do not know by asking again under the same key. In the end the
//! checker compares all they were told with the database: no acknowledged order is lost, none is deducted twice.
//!
//! The moments come from a seed; set `FLASHSALE_KILL_SEED` to repeat a run. What the system makes of them differs from
//! run to run, as it should.

#[cfg(test)]
mod buyers;
#[cfg(test)]
mod http;
#[cfg(test)]
mod server;

use std::time::Duration;

use buyers::{Buyers, Luck};
use flashsale::checker::{Answer, Database, History, Kind, Rules, check};
use server::Server;
use tempfile::TempDir;

/// Kills while serving, and kills during the start that follows.
const ROUNDS: u32 = 26;
const CLIENTS: u64 = 8;
const UNITS: u32 = 400;

#[test]
fn killed_at_any_moment_it_loses_no_order_and_sells_none_twice() {
    let seed = std::env::var("FLASHSALE_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(0x5ea_0a11);
    let mut luck = Luck::new(seed);
    let directory = TempDir::new().unwrap();
    let start = || Server::start(directory.path(), UNITS);
    let mut server = start();
    let buyers = Buyers::start(server.addr(), CLIENTS, seed);
    let mut kills = 0;
    for round in 0..ROUNDS {
        pause(Duration::from_micros(luck.below(350_000)));
        buyers.lost_the_server();
        server.kill();
        kills += 1;
        if round % 4 == 3 {
            // Again, in the middle of the recovery.
            Server::start_and_kill(directory.path(), UNITS, Duration::from_micros(luck.below(40_000)));
            kills += 1;
        }
        server = start();
        buyers.found(server.addr());
    }
    let history = buyers.finish();
    server.kill();
    let database = Database::read(directory.path()).unwrap();
    let report = check(&history, &database, &Rules { per_user_limit: 1 });
    assert!(report.pass(), "seed {seed}: {report:#?}");
    enough_happened(&history, kills);
}

#[test]
fn told_to_stop_under_load_it_ends_cleanly_and_goes_on_where_it_was() {
    let seed = 0x57_09;
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(directory.path(), UNITS);
    let buyers = Buyers::start(server.addr(), CLIENTS, seed);
    for _ in 0..3 {
        pause(Duration::from_millis(300));
        buyers.lost_the_server();
        assert_eq!(server.terminate().code(), Some(0));
        // Closed in order: the write-ahead log is merged into the file and gone.
        let logs = std::fs::read_dir(directory.path()).unwrap().flatten();
        let logs: Vec<_> =
            logs.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-wal")).collect();
        assert_eq!(logs, Vec::<std::path::PathBuf>::new());
        server = Server::start(directory.path(), UNITS);
        buyers.found(server.addr());
    }
    let history = buyers.finish();
    assert_eq!(server.terminate().code(), Some(0));
    let database = Database::read(directory.path()).unwrap();
    let report = check(&history, &database, &Rules { per_user_limit: 1 });
    assert!(report.pass(), "{report:#?}");
    assert!(history.operations.len() > 100, "{} operations", history.operations.len());
}

/// A test that did nothing would pass as well.
fn enough_happened(history: &History, kills: u32) {
    let count = |wanted: &dyn Fn(&Answer) -> bool| {
        history.operations.iter().filter(|operation| wanted(&operation.answer)).count()
    };
    let unknown = count(&|answer| *answer == Answer::Unknown);
    let sold_out = count(&|answer| matches!(answer, Answer::Refused { status: 409, .. }));
    let creates = history.operations.iter().filter(|operation| operation.kind == Kind::Create);
    let acknowledged = creates.filter(|create| matches!(create.answer, Answer::Ok { .. })).count();
    println!("{kills} kills, {acknowledged} acknowledged, {unknown} unknown, {sold_out} refused");
    assert!(kills >= 20 && acknowledged >= 500 && unknown >= 20, "{kills} {acknowledged} {unknown}");
}

/// Lets time pass; what is waited for is nothing but the moment of the next kill.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}
