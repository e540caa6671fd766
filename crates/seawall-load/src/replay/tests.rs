//! Lines and files as real programs write them.

use proptest::prelude::*;

use super::*;

const COMBINED: &str = r#"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "http://r/" "Agent [x] 1.0"
10.0.0.2 - ann [10/Oct/2000:13:55:36 -0700] "GET /b HTTP/1.0" 404 12
10.0.0.2 - ann [10/Oct/2000:13:55:38 -0700] "POST /c HTTP/1.1" 201 12
10.0.0.3 - - [10/Oct/2000:13:55:37 -0700] "-" 400 0

"#;

fn check(recording: &Recording, expected: &[(u64, &str, &str)]) {
    let requests: Vec<(u64, &str, &str)> = recording
        .requests
        .iter()
        .map(|request| (request.at.as_millis() as u64, request.method.as_str(), request.path.as_str()))
        .collect();
    assert_eq!(requests, expected);
}

#[test]
fn combined_lines_are_spread_over_their_second() {
    let recording = Recording::parse(COMBINED.as_bytes(), false).unwrap();
    check(&recording, &[(0, "GET", "/a?b=c"), (500, "GET", "/b")]);
    assert_eq!((recording.without_body, recording.not_understood), (1, 1));
    let all = Recording::parse(COMBINED.as_bytes(), true).unwrap();
    check(&all, &[(0, "GET", "/a?b=c"), (500, "GET", "/b"), (2_000, "POST", "/c")]);
}

#[test]
fn our_own_lines_begin_when_the_request_did() {
    let lines = r#"{"timestamp":"2026-11-24T14:00:01.500Z","level":"INFO","fields":{"method":"GET","path":"/x","micros":500000},"target":"seawall::access"}
{"time":"2026-11-24T14:00:01.250Z","method":"HEAD","path":"/y"}"#;
    let recording = Recording::parse(lines.as_bytes(), false).unwrap();
    check(&recording, &[(0, "GET", "/x"), (250, "HEAD", "/y")]);
}

#[test]
fn a_har_file_has_fields_and_bodies() {
    let har = r#"{"log": {"entries": [
        {"startedDateTime": "2026-11-24T14:00:01.000+01:00", "request": {"method": "POST", "url": "https://shop.test/o?x=1",
         "headers": [{"name": ":authority", "value": "shop.test"}, {"name": "Host", "value": "shop.test"},
                     {"name": "Accept", "value": "a/b"}], "postData": {"mimeType": "text/plain", "text": "hi"}}},
        {"startedDateTime": "2026-11-24T14:00:00.000+01:00", "request": {"method": "GET", "url": "https://shop.test/"}},
        {"request": {}}
    ]}}"#;
    let recording = Recording::parse(har.as_bytes(), false).unwrap();
    check(&recording, &[(0, "GET", "/"), (1_000, "POST", "/o?x=1")]);
    assert_eq!(recording.not_understood, 1);
    let mut config = LoadConfig { url: "http://127.0.0.1:9/".to_owned(), ..LoadConfig::default() };
    config.headers = vec![("accept".to_owned(), "c/d".to_owned())];
    recording.put_into(&mut config, 2.0).unwrap();
    assert_eq!(config.times, [Duration::ZERO, Duration::from_millis(500)]);
    let expected = "POST /o?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9\r\naccept: c/d\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(String::from_utf8_lossy(&config.list[1]), expected);
}

#[test]
fn a_log_cannot_smuggle_a_second_request() {
    let line = "h - - [10/Oct/2000:13:55:36 -0700] \"GET /a\r\nX: y HTTP/1.1\" 200 1\n";
    assert!(Recording::parse(line.as_bytes(), false).is_err());
}

#[test]
fn nothing_to_send_is_said() {
    let error = Recording::parse(b"hello\nworld\n", false).unwrap_err().to_string();
    assert!(error.contains("2 lines not understood"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Recording::parse(&bytes, true);
    }

    #[test]
    fn any_line_of_the_right_shape_is_read_or_counted(
        time in ".{0,30}", request in "[ -~]{0,30}", lines in 1usize..5,
    ) {
        let line = format!("h - - [{time}] \"{request}\" 200 1\n").repeat(lines);
        let _ = Recording::parse(line.as_bytes(), true);
    }
}
