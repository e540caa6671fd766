//! One router on one set of routes and requests: how long building it and looking routes up takes, as one JSON line.
//!
//! `router PEER ROUTES REQUESTS`. Routes are lines of `METHOD PATTERN` in Echo's syntax; requests are lines of
//! `METHOD PATH NUMBER`, the number being that of the route to be found, in the order in which they are to be asked.
//! Every answer is checked once before time is taken. Parameters are extracted: all names and values are looked at.

mod clock;
mod peers;

use std::collections::HashMap;
use std::time::Duration;

use peers::Peer;
use seawall::Method;

/// Time is taken until it is this long, and for this many passes at least.
const LEAST: Duration = Duration::from_millis(200);
const PASSES: usize = 5;

/// Requests as a server has them: each text once, in an order that repeats.
pub struct Requests {
    method: Vec<Method>,
    path: Vec<String>,
    route: Vec<usize>,
    order: Vec<u32>,
}

impl Requests {
    fn read(text: &str) -> Self {
        let mut requests = Self { method: vec![], path: vec![], route: vec![], order: vec![] };
        let mut known = HashMap::new();
        for line in text.lines() {
            let number = *known.entry(line).or_insert_with(|| {
                let mut parts = line.split(' ');
                let mut part = || parts.next().expect("METHOD PATH NUMBER");
                requests.method.push(part().parse().expect("a method"));
                requests.path.push(part().to_owned());
                requests.route.push(part().parse().expect("a number"));
                requests.path.len() as u32 - 1
            });
            requests.order.push(number);
        }
        requests
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, routes, requests] = &arguments[..] else { panic!("usage: router PEER ROUTES REQUESTS") };
    let read = |path: &str| std::fs::read_to_string(path).expect("a file of the bench");
    let (routes, requests) = (read(routes), Requests::read(&read(requests)));
    let lines = routes.lines().filter(|line| !line.starts_with('#'));
    let routes: Vec<(&str, &str)> = lines.map(|line| line.split_once(' ').expect("METHOD PATTERN")).collect();
    match peer.as_str() {
        "seawall" => measure::<peers::Seawall>(&routes, &requests),
        "matchit" => measure::<peers::Matchit>(&routes, &requests),
        "wayfind" => measure::<peers::Wayfind>(&routes, &requests),
        "path-tree" => measure::<peers::PathTree>(&routes, &requests),
        other => panic!("no router is called {other}"),
    }
}

fn measure<P: Peer>(routes: &[(&str, &str)], requests: &Requests) {
    let before = resident();
    let start = clock::now();
    let peer = P::build(routes);
    let build = start.elapsed();
    let memory = resident().saturating_sub(before);
    check(&peer, requests);
    let mut passes = Vec::new();
    let start = clock::now();
    while passes.len() < PASSES || start.elapsed() < LEAST {
        let start = clock::now();
        let sum = pass(&peer, requests);
        passes.push(start.elapsed().as_nanos() as f64 / requests.order.len() as f64);
        std::hint::black_box(sum);
    }
    passes.sort_by(f64::total_cmp);
    let (median, best) = (passes[passes.len() / 2], passes[0]);
    let build = build.as_secs_f64() * 1e3;
    println!(
        "{{\"ns\":{median:.1},\"best_ns\":{best:.1},\"build_ms\":{build:.3},\"memory_bytes\":{memory}}}"
    );
}

fn check<P: Peer>(peer: &P, requests: &Requests) {
    for at in 0..requests.path.len() {
        let (found, _) = peer.find(&requests.method[at], &requests.path[at]);
        assert_eq!(found, requests.route[at], "{}", requests.path[at]);
    }
}

#[inline(never)]
fn pass<P: Peer>(peer: &P, requests: &Requests) -> usize {
    requests.order.iter().fold(0, |sum, at| {
        let at = *at as usize;
        let (route, lengths) = peer.find(&requests.method[at], &requests.path[at]);
        sum ^ route ^ lengths
    })
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
