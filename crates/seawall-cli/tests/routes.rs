//! `seawall routes` as a user runs it: the built program on files, its text, its JSON, its refusals.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

use serde_json::{Value, json};

const TABLE: &str = "\
# comments and blank lines are skipped

GET  /users/new
GET  /users/:id<int>   # so are comments behind a pattern
GET\t/users/:name
POST /users/:name
ANY  /files/*path
GET  /all/*
REPORT /v:ver<int(1..=3)>/:name.json
GET  ~/x#[0-9]+/(?<rest>.*)
";

fn routes(table: &str, requests: &str, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let [table_file, requests_file] = ["table.txt", "requests.txt"].map(|name| dir.path().join(name));
    std::fs::write(&table_file, table).unwrap();
    std::fs::write(&requests_file, requests).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.arg("routes").arg("--table").arg(table_file).arg("--requests").arg(requests_file);
    command.args(arguments).output().unwrap()
}

/// The answer to one request, as JSON.
#[track_caller]
fn check(request: &str, expected: &Value) {
    let output = routes(TABLE, request, &["--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), expected, "{text}");
}

/// The program fails and says all of `parts`.
#[track_caller]
fn refused(table: &str, requests: &str, parts: &[&str]) {
    let output = routes(table, requests, &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_route_is_found_with_its_parameters() {
    check(
        "GET /users/42",
        &json!({"method": "GET", "path": "/users/42", "status": 200, "route": "/users/:id<int>",
            "params": {"id": "42"}, "allow": []}),
    );
}
#[test]
fn values_are_decoded_once() {
    check(
        "GET /users/a%2Fb%2520",
        &json!({"method": "GET", "path": "/users/a%2Fb%2520", "status": 200, "route": "/users/:name",
            "params": {"name": "a/b%20"}, "allow": []}),
    );
}
#[test]
fn a_rest_is_named_star_and_by_its_name() {
    check(
        "PURGE /files/a/b",
        &json!({"method": "PURGE", "path": "/files/a/b", "status": 200, "route": "/files/*path",
            "params": {"*": "a/b", "path": "a/b"}, "allow": []}),
    );
    check(
        "HEAD /all/",
        &json!({"method": "HEAD", "path": "/all/", "status": 200, "route": "/all/*", "params": {"*": ""}, "allow": []}),
    );
}
#[test]
fn expressions_and_ranges_work_here_too() {
    check(
        "REPORT /v2/a.json",
        &json!({"method": "REPORT", "path": "/v2/a.json", "status": 200, "route": "/v:ver<int(1..=3)>/:name.json",
            "params": {"ver": "2", "name": "a"}, "allow": []}),
    );
    check(
        "GET /x%237/r",
        &json!({"method": "GET", "path": "/x%237/r", "status": 200, "route": "~/x#[0-9]+/(?<rest>.*)",
            "params": {"rest": "r"}, "allow": []}),
    );
}
#[test]
fn nothing_is_404_and_another_method_405() {
    check(
        "GET /files",
        &json!({"method": "GET", "path": "/files", "status": 404, "route": null, "params": {}, "allow": []}),
    );
    check(
        "DELETE /users/new",
        &json!({"method": "DELETE", "path": "/users/new", "status": 405, "route": null, "params": {},
            "allow": ["GET", "HEAD", "OPTIONS", "POST"]}),
    );
    check(
        "OPTIONS /users/new",
        &json!({"method": "OPTIONS", "path": "/users/new", "status": 204, "route": null, "params": {},
            "allow": ["GET", "HEAD", "OPTIONS", "POST"]}),
    );
    check(
        "OPTIONS *",
        &json!({"method": "OPTIONS", "path": "*", "status": 404, "route": null, "params": {}, "allow": []}),
    );
}
#[test]
fn a_query_is_not_looked_at() {
    check(
        "GET /users/new?x=/1",
        &json!({"method": "GET", "path": "/users/new?x=/1", "status": 200, "route": "/users/new", "params": {},
            "allow": []}),
    );
}

#[test]
fn every_request_has_its_line_in_the_order_of_the_file() {
    let requests = "# first\nGET /users/1\n\n  POST /users/new  # a comment\nGET /nowhere\n";
    let output = routes(TABLE, requests, &["--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = found.iter().map(|answer| (&answer["path"], &answer["status"])).collect();
    let expected = [json!("/users/1"), json!("/users/new"), json!("/nowhere")];
    assert_eq!(
        found,
        [(&expected[0], &json!(200)), (&expected[1], &json!(200)), (&expected[2], &json!(404))]
    );
}

#[test]
fn the_text_says_why() {
    let output = routes(TABLE, "GET /users/42\nPUT /users/x\nGET /users/new/\n", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = "\
GET /users/42
  200 /users/:id<int>  id=\"42\"
  `GET /users/:id<int>` matches; it wins over `GET /users/:name`: in segment 2, a parameter with a constraint \
`:id<int>` comes before a parameter `:name`

PUT /users/x
  405 Allow: GET, HEAD, OPTIONS, POST
  the path matches, but no route is for PUT: `GET /users/:name`, `POST /users/:name`

GET /users/new/
  404
  no pattern matches the path; a slash at the end matters: `/users/new` would match `/users/new`

";
    assert_eq!(text, expected);
}

#[test]
fn a_duplicate_names_both_lines() {
    refused(
        "GET /a\n# x\nGET /u/:id\nGET /u/:uid\n",
        "",
        &["table.txt, line 4, `GET /u/:uid`: it matches the same requests as line 3, `GET /u/:id`"],
    );
}
#[test]
fn all_malformed_lines_are_named() {
    refused(
        "GET users\nGET\nG@T /x\nGET /:a:b\nGET /ok\nGET /:id<int(9..1)>\nGET ~/(\n",
        "GET /ok\n",
        &[
            "the table is not accepted",
            "line 1, `GET users`: a pattern starts with `/`",
            "line 2, `GET`: a line of the table is `METHOD PATTERN`",
            "line 3, `G@T /x`: `G@T` is no method",
            "line 4, `GET /:a:b`: `:a:b` has two parameters",
            "line 6, `GET /:id<int(9..1)>`: in `<int(9..1)>`, the range `9..1` holds nothing",
            "line 7, `GET ~/(`: its regular expression is not accepted",
        ],
    );
}
#[test]
fn many_mistakes_are_cut_short() {
    let table = "x\n".repeat(30);
    refused(&table, "", &["line 20, `x`", "and 10 more"]);
}
#[test]
fn malformed_requests_are_named_and_nothing_is_answered() {
    refused(
        "GET /a\n",
        "GET /a\nGET\nGET /a b\nG@T /a\n",
        &["requests.txt, line 2, `GET`", "line 3, `GET /a b`", "write `%20`", "line 4", "`G@T` is no method"],
    );
}
#[test]
fn a_missing_file_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["routes", "--table", "/no/such/table", "--requests", "/no/such/requests"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read /no/such/table"));
}
#[test]
fn help_teaches_by_an_example() {
    let output = Command::new(env!("CARGO_BIN_EXE_seawall")).args(["routes", "--help"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in
        ["seawall routes --table table.txt --requests requests.txt", "GET  /users/:id<int>", "Precedence"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
