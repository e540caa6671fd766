//! `seawall load` with everything that shapes a request and its connection, seen from a real server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::collections::BTreeSet;

use load_support::{Log, Seen, answer_all, check_refused, recorder, report_of};

/// A run of 12 requests on 2 connections against a server that notes them.
fn seen(path: &str, arguments: &[&str]) -> Vec<Seen> {
    let (url, log) = recorder();
    let url = url.trim_end_matches('/').to_owned() + path;
    let (code, out, json) = report_of(&[&[url.as_str(), "-n", "12", "-c", "2"], arguments].concat());
    // A busy machine may make an open loop invalid.
    assert!((code == 0 || code == 4) && json["requests"] == 12, "{code} {out}");
    let seen = log.lock().unwrap().clone();
    assert_eq!(seen.len(), 12);
    seen
}

fn first_lines(seen: &[Seen]) -> BTreeSet<&str> {
    seen.iter().map(|seen| seen.head.lines().next().unwrap()).collect()
}

fn bodies(seen: &[Seen]) -> BTreeSet<String> {
    seen.iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect()
}

fn connections(seen: &[Seen]) -> usize {
    seen.iter().map(|seen| seen.connection).collect::<BTreeSet<_>>().len()
}

#[test]
fn templates_fill_path_fields_and_body() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users.csv");
    std::fs::write(&users, "id,name\n7,Ann Lee\n8,\"B, C\"\n").unwrap();
    let seen = seen(
        "/u/{{csv.name}}?n={{seq}}&r={{rand 1 3}}",
        &[
            "-t",
            "2",
            "-H",
            "X-User: {{csv.id}}",
            "-b",
            "{{csv.name}} {{uuid}}",
            "--data",
            users.to_str().unwrap(),
        ],
    );
    let lines = first_lines(&seen);
    assert_eq!(lines.len(), 12, "each number once over both threads: {lines:?}");
    for number in 0..12 {
        let name = if number % 2 == 0 { "Ann%20Lee" } else { "B%2C%20C" };
        let wanted = format!("POST /u/{name}?n={number}&r=");
        assert!(lines.iter().any(|line| line.starts_with(&wanted)), "{wanted}: {lines:?}");
    }
    assert_eq!(bodies(&seen).len(), 12, "no UUID twice");
    for Seen { head, body, .. } in &seen {
        let user = if head.contains("X-User: 7\r\n") { "Ann Lee " } else { "B, C " };
        assert!(body.starts_with(user.as_bytes()) && body.len() == user.len() + 36, "{head} {body:?}");
    }
}

#[test]
fn braces_may_be_sent_as_they_are() {
    let seen = seen("/", &["--no-templates", "-b", "{{anything}}"]);
    assert_eq!(bodies(&seen), BTreeSet::from(["{{anything}}".to_owned()]));
}

#[test]
fn a_form_has_texts_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.txt");
    std::fs::write(&file, "{{seq}} stays in a file").unwrap();
    let part = format!("f=@{};type=text/plain", file.display());
    let seen = seen("/upload", &["-F", "n={{seq}}", "-F", &part]);
    assert_eq!(bodies(&seen).len(), 12);
    let Seen { head, body, .. } = &seen[0];
    let body = String::from_utf8_lossy(body);
    assert!(
        head.starts_with("POST /upload ") && head.contains("Content-Type: multipart/form-data; boundary=")
    );
    assert!(
        body.contains("name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n{{seq}} stays"),
        "{body}"
    );
}

#[test]
fn connections_are_kept_unless_told_otherwise() {
    assert_eq!(connections(&seen("/", &[])), 2);
    let few = seen("/", &["--reqs-per-conn", "3"]);
    let on = |number| few.iter().filter(|seen| seen.connection == number).count();
    assert!(connections(&few) >= 4 && (0..12).all(|number| on(number) <= 3), "{few:?}");
    let closed = seen("/", &["--no-keepalive"]);
    assert_eq!(connections(&closed), 12);
    assert!(closed.iter().all(|seen| seen.head.contains("\r\nConnection: close\r\n")));
}

#[test]
fn connecting_is_measured_apart() {
    let (url, _) = recorder();
    let (_, _, json) = report_of(&[&url, "-n", "40", "-c", "1", "--no-keepalive"]);
    assert!(json["connect_us"]["p50"].as_f64().unwrap() > 0.0, "{json}");
}

#[test]
fn a_pipeline_does_not_wait_for_answers() {
    // This server reads 4 requests before it answers any: without a pipeline it would wait for ever.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let (mut buffer, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            while buffer.windows(4).filter(|four| four == b"\r\n\r\n").count() < 4 {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => buffer.extend_from_slice(&piece[..count]),
                }
            }
            buffer.clear();
            let _ = stream.write_all(load_support::OK.repeat(4).as_bytes());
        }
    });
    let (code, out, json) = report_of(&[&url, "-n", "40", "-c", "1", "-p", "4"]);
    assert_eq!((code, json["requests"].as_u64()), (0, Some(40)), "{out}");
    assert!(json["errors"].as_object().unwrap().is_empty(), "{json}");
}

#[test]
fn a_pipeline_may_be_paced_and_filled() {
    let seen = seen("/{{seq}}", &["-p", "8", "-R", "200", "--max-conns", "2"]);
    assert_eq!(first_lines(&seen).len(), 12);
}

#[test]
fn another_host_may_answer() {
    let (url, log) = recorder();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let port = address.rsplit(':').next().unwrap();
    let (code, out, _) = report_of(&["http://shop.test/", "-n", "4", "-c", "1", "--connect-to", address]);
    assert_eq!(code, 0, "{out}");
    let named = format!("http://shop.test:{port}/");
    let (code, out, _) = report_of(&[&named, "-n", "4", "-c", "2", "--resolve", "127.0.0.1,127.0.0.1"]);
    assert_eq!(code, 0, "{out}");
    let hosts = log.lock().unwrap().iter().map(|seen| seen.head.lines().nth(1).unwrap().to_owned()).collect();
    let expected = BTreeSet::from(["Host: shop.test".to_owned(), format!("Host: shop.test:{port}")]);
    assert_eq!(BTreeSet::<String>::from_iter::<Vec<_>>(hosts), expected);
}

#[test]
fn a_unix_socket_is_a_target() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let log = Log::default();
    let written = log.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let log = written.clone();
            std::thread::spawn(move || answer_all(&mut stream, 0, &log));
        }
    });
    let arguments = ["http://localhost/x", "-n", "9", "-c", "3", "--unix", path.to_str().unwrap()];
    let (code, out, json) = report_of(&arguments);
    assert_eq!((code, json["requests"].as_u64()), (0, Some(9)), "{out}");
    assert!(log.lock().unwrap().iter().all(|seen| seen.head.starts_with("GET /x ")));
}

#[test]
fn a_socket_that_is_not_there_is_counted() {
    let (code, _, json) = report_of(&["http://h/", "--unix", "/nowhere/at/all", "-c", "2"]);
    assert_eq!((code, json["errors"]["connect_unreachable"].as_u64()), (1, Some(2)), "{json}");
}

#[test]
fn connections_come_from_the_given_addresses() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let peers: &'static std::sync::Mutex<BTreeSet<String>> = Box::leak(Box::default());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            peers.lock().unwrap().insert(stream.peer_addr().unwrap().ip().to_string());
            std::thread::spawn(move || answer_all(&mut stream, 0, &Log::default()));
        }
    });
    let (code, out, _) = report_of(&[&url, "-n", "8", "-c", "4", "--source", "127.0.0.2,127.0.0.3"]);
    assert_eq!(code, 0, "{out}");
    let expected = ["127.0.0.2", "127.0.0.3"].map(str::to_owned);
    assert_eq!(*peers.lock().unwrap(), BTreeSet::from(expected));
}

#[test]
fn wrong_requests_are_refused_with_what_is_allowed() {
    let url = "http://h/";
    check_refused(&[url, "-b", "{{nonsense}}"], "`load.body` is `{{nonsense}}`, but must be csv.COLUMN, seq");
    check_refused(&["http://h/{{csv.id}}"], "--data FILE.csv");
    check_refused(&[url, "--data", "/nowhere.csv"], "`load.data` is /nowhere.csv");
    check_refused(&[url, "-F", "a"], "NAME=TEXT or NAME=@FILE");
    check_refused(&[url, "-F", "a=@/nowhere"], "`load.form` is /nowhere");
    check_refused(&[url, "-F", "a=b", "-b", "c"], "`load.form` is given with a body");
    check_refused(&[url, "-p", "0"], "`load.pipeline` is 0, but must be 1 to 1000");
    check_refused(
        &[url, "--reqs-per-conn", "0"],
        "`load.requests_per_connection` is 0, but must be at least 1",
    );
    check_refused(&[url, "--reqs-per-conn", "5", "--no-keepalive"], "without keep-alive");
    check_refused(&[url, "--resolve", "localhost"], "is no address");
    check_refused(&[url, "--connect-to", "h"], "`load.connect.to` is `h`, but must be a host and a port");
    check_refused(&[url, "--unix", "/x", "--source", "127.0.0.1"], "left out with a unix socket");
    check_refused(&["unix:///x"], "--unix");
}
