//! Random streams of requests, good ones, odd ones and mutated ones: ours and hyper see the same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::differential::Pair;
use crate::wire::latin1;

/// How many streams a run compares.
const CASES: u32 = 2_000;

fn methods() -> impl Strategy<Value = &'static str> {
    select(vec!["GET", "GET", "POST", "POST", "PUT", "HEAD", "OPTIONS", "get", "X-Y", "DELETE"])
}

fn targets() -> impl Strategy<Value = &'static str> {
    select(vec![
        "/",
        "/",
        "/a?b=c",
        "/%41",
        "//",
        "http://b/c",
        "http://b",
        "*",
        "/#x",
        "/\u{e9}",
        "a:80",
        "/a b",
        "?",
        "/|",
    ])
}

fn versions() -> impl Strategy<Value = &'static str> {
    prop_oneof![20 => Just("HTTP/1.1"), 3 => Just("HTTP/1.0"), 1 => select(vec!["HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/11"])]
}

fn hosts() -> impl Strategy<Value = &'static str> {
    prop_oneof![20 => Just("host: a"), 1 => select(vec!["", "Host: a:80", "host: a b", "host:", "host: a\r\nhost: a", "host : a", "host: [::1]"])]
}

/// Fields that change nothing, those that should, and those that only look so.
fn fields() -> impl Strategy<Value = Vec<&'static str>> {
    let field = select(vec![
        "x: y",
        "x:",
        "x: \u{e9}",
        "connection: close",
        "connection: keep-alive",
        "connection: x, Close",
        "expect: 100-continue",
        "expect: x",
        "upgrade: h2c\r\nconnection: upgrade",
        "te: trailers",
        "x: y\r\n z",
        "x : y",
        ": y",
        "x",
        "x: a\u{1}b",
        "x\u{e9}: y",
        "content-length: 0",
        "transfer-encoding: chunked",
        "transfer-encoding: identity",
        "content-length: 2",
        "trailer: x",
        "x: a\u{b}",
    ]);
    vec(field, 0..3)
}

/// A body as its head announces it, or nearly so: field lines and bytes.
fn bodies() -> impl Strategy<Value = (String, String)> {
    let data = select(vec!["", "a", "abc", "GET / HTTP/1.1\r\nhost: s\r\n\r\n", "0\r\n\r\n", "\r\n"]);
    let length = (data.clone(), select(vec!["", "", "", "", "+", "0", " ", "-", "0x", "1"]))
        .prop_map(|(data, prefix)| (format!("content-length: {prefix}{}\r\n", data.len()), data.to_owned()));
    let off_by = (data.clone(), 0_usize..4)
        .prop_map(|(data, length)| (format!("content-length: {length}\r\n"), data.to_owned()));
    let coding = select(vec![
        "chunked",
        "chunked",
        "chunked",
        "Chunked",
        "chunked, chunked",
        "gzip, chunked",
        "xchunked",
        ",chunked",
    ]);
    let chunked =
        (coding, vec((data, chunk_heads(), line_ends()), 0..4), ends()).prop_map(|(coding, chunks, end)| {
            let chunks = chunks.iter().filter(|(data, ..)| !data.is_empty());
            let chunks: String = chunks
                .map(|(data, head, end)| {
                    head.replace("N", &format!("{:x}", data.len())) + "\r\n" + data + end
                })
                .collect();
            (format!("transfer-encoding: {coding}\r\n"), chunks + end)
        });
    prop_oneof![4 => Just((String::new(), String::new())), 3 => length, 1 => off_by, 4 => chunked]
}

fn chunk_heads() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just("N"), 1 => select(vec!["0N", "N;x=y", "N;x=\"y\"", "N ", "+N", "0xN", "N;\n", "N\r", "", "N;x\u{1}", "NN", "-N", "N_"])]
}

fn line_ends() -> impl Strategy<Value = &'static str> {
    prop_oneof![16 => Just("\r\n"), 1 => select(vec!["\n", "\r", "", "\r\n\r\n", "x\r\n"])]
}

fn ends() -> impl Strategy<Value = &'static str> {
    prop_oneof![10 => Just("0\r\n\r\n"), 1 => select(vec!["0\r\nx: y\r\n\r\n", "000\r\n\r\n", "0;x\r\n\r\n", "0\r\n", "0\r\n\n", "0\n\r\n", "0\r\nx\r\n\r\n", "", "0\r\nx: y\n\r\n"])]
}

prop_compose! {
    fn request()(
        before in prop_oneof![10 => Just(""), 1 => select(vec!["\r\n", "\n", " ", "\r\n\r\n\r\n"])],
        (method, target, version) in (methods(), targets(), versions()),
        (host, fields, (framing, body)) in (hosts(), fields(), bodies()),
        (first, second, last) in (line_ends(), line_ends(), line_ends()),
    ) -> Vec<u8> {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        latin1(&format!("{before}{method} {target} {version}{first}{host}{second}{fields}{framing}{last}{body}"))
    }
}

/// One change to the bytes: a byte for another, one more, one less, a piece twice.
type Mutation = (prop::sample::Index, u8, u8);

fn mutated(mut bytes: Vec<u8>, mutations: Vec<Mutation>) -> Vec<u8> {
    for (at, kind, byte) in mutations {
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {
                let piece: Vec<u8> = bytes[at..].iter().copied().take(usize::from(byte % 40)).collect();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn streams() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let byte = prop_oneof![select(b"\r\n\t :;,0123456789abcdefx\x00\x7f\xff/#*%+-".to_vec()), any::<u8>()];
    let mutation = (any::<prop::sample::Index>(), 0_u8..4, byte);
    let mutations = prop_oneof![2 => Just(Vec::new()), 1 => vec(mutation, 1..4)];
    (vec(request(), 1..5), mutations, vec(0_usize..400, 0..3)).prop_map(|(requests, mutations, mut cuts)| {
        cuts.sort_unstable();
        (mutated(requests.concat(), mutations), cuts)
    })
}

/// A run that fails can be repeated: `SEAWALL_SEED` takes the number that it printed.
fn seed() -> u64 {
    let given = std::env::var("SEAWALL_SEED").ok();
    given.map_or_else(rand_seed, |text| text.parse().expect("SEAWALL_SEED is a number"))
}

/// Another one for each process: std's hash keys are random.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

#[test]
fn ours_and_hyper_see_the_same_requests() {
    let seed = seed();
    println!("SEAWALL_SEED={seed}");
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let pair = Pair::start();
    let outcome = TestRunner::new(config)
        .run(&streams(), |(bytes, cuts)| pair.compare(&bytes, &cuts).map_err(TestCaseError::fail));
    if let Err(problem) = outcome {
        panic!("SEAWALL_SEED={seed}: {problem}");
    }
}

/// The comparison would be worth nothing if it could not fail, or if hardly anything were seen.
#[test]
fn most_streams_are_seen_at_all() {
    let pair = Pair::start();
    for bytes in
        ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"]
    {
        let stream = bytes.repeat(3).into_bytes();
        assert_eq!(pair.compare(&stream, &[5, 9]), Ok(()));
        assert_eq!(pair.seen_by_hyper(&stream), 3);
    }
}
