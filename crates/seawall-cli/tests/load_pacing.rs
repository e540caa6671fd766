//! `seawall load` with every pace of the command line, against a real server.

mod load_support;

use load_support::{OK, check_refused, report_of, serve};

#[test]
fn stages_are_sent_and_shown() {
    let (_, out, json) =
        report_of(&[&serve(OK), "-c", "4", "--stages", "300ms:100, 200ms:100..400", "--warmup", "100ms"]);
    let sent = json["sent_total"].as_u64().unwrap() + json["backlog_at_end"].as_u64().unwrap();
    assert_eq!((sent, json["duration_s"].as_f64(), json["warmup_s"].as_f64()), (90, Some(0.5), Some(0.1)));
    assert!(out.contains("open loop, 160 req/s due"), "{out}");
}

#[test]
fn a_ramp_goes_over_the_duration() {
    let (_, _, json) = report_of(&[&serve(OK), "--ramp", "0..400", "-d", "500ms"]);
    assert_eq!(json["sent_total"].as_u64().unwrap() + json["backlog_at_end"].as_u64().unwrap(), 100);
}

#[test]
fn poisson_arrivals_follow_their_seed() {
    let due = |seed| {
        let url = serve(OK);
        let arguments = [&url, "-R", "300", "--poisson", "--seed", seed, "-d", "500ms", "--warmup", "0s"];
        let (_, _, json) = report_of(&arguments);
        json["sent_total"].as_u64().unwrap() + json["backlog_at_end"].as_u64().unwrap()
    };
    assert_eq!(due("5"), due("5"));
    assert!((90..210).contains(&due("6")));
}

#[test]
fn a_number_of_requests_ends_the_run() {
    let (code, _, json) = report_of(&[&serve(OK), "-n", "37", "-d", "1h", "-c", "3"]);
    // A busy machine may make it generator_bound, which is still 0.
    assert_eq!((code, json["requests"].as_u64(), json["sent_total"].as_u64()), (0, Some(37), Some(37)));
}

#[test]
fn a_deadline_sheds_and_says_so() {
    // It answers the first request of each connection only.
    let url = serve("");
    let arguments = ["-c", "1", "-R", "100", "--deadline", "100ms", "--timeout", "300ms", "-d", "500ms"];
    let (code, out, json) = report_of(&[&[url.as_str(), "--warmup", "0s"], &arguments[..]].concat());
    assert_eq!(code, 1, "nothing was answered: {out}");
    assert!(json["errors"]["deadline_shed"].as_u64().unwrap() > 10, "{json}");
    assert!(json["errors"]["timeout_first_byte"].as_u64().unwrap() >= 1, "{json}");
    assert!(out.contains("given up at their deadline") && out.contains("lower bounds"), "{out}");
}

#[test]
fn a_time_to_connect_is_kept() {
    // Nobody accepts, and the kernel's queue is full after a few: the others are not connected in time.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(1).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap().as_socket().unwrap());
    let (_, _, json) = report_of(&[
        &url,
        "-c",
        "20",
        "-d",
        "10ms",
        "--connect-timeout",
        "100ms",
        "--timeout",
        "50ms",
        "--warmup",
        "0s",
    ]);
    assert!(json["errors"]["connect_timeout"].as_u64().unwrap() >= 10, "{json}");
}

#[test]
fn wrong_paces_are_refused_with_what_is_allowed() {
    let url = "http://h/";
    check_refused(&[url, "--stages", "10s"], "such as 10s:100 or 30s:100..1k");
    check_refused(&[url, "--stages", "10s:0"], "`load.stages` is 0 throughout");
    check_refused(&[url, "--ramp", "5"], "two rates");
    check_refused(&[url, "-R", "5", "--stages", "1s:1"], "cannot be used with");
    check_refused(&[url, "--poisson"], "--rate");
    check_refused(&[url, "--deadline", "1s"], "--rate");
    check_refused(&[url, "-R", "5", "--deadline", "0s"], "`load.deadline` is 0ns, but must be 1ms to 24 h");
    check_refused(&[url, "-n", "0"], "`load.requests` is 0, but must be at least 1");
    check_refused(&[url, "--connect-timeout", "0s"], "`load.connect_timeout` is 0ns");
}
