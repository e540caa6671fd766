//! The door for tools: answers in full, and reasons in words.

use http::Method;

use super::super::*;

fn table(routes: &[&str]) -> RouteTable {
    let mut table = RouteTable::new();
    for route in routes {
        let (method, pattern) = route.split_once(' ').unwrap();
        let method = (method != "ANY").then(|| method.parse().unwrap());
        table.add(method, pattern).unwrap();
    }
    table
}

const USERS: &[&str] = &[
    "GET /users/new",
    "GET /users/:id<int>",
    "GET /users/:name",
    "POST /users/:name",
    "GET /users/*path",
    "ANY /any",
    "GET ~/v[0-9]+/(?<rest>.*)",
    "POST ~/v1/x",
];

fn resolve(request: &str) -> Resolution {
    let (method, path) = request.split_once(' ').unwrap();
    table(USERS).resolve(&method.parse().unwrap(), path)
}

#[track_caller]
fn explains(request: &str, expected: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    assert_eq!(table(USERS).explain(&method.parse().unwrap(), path), expected);
}

#[test]
fn a_route_has_its_pattern_and_decoded_values() {
    let found = resolve("GET /users/a%20b");
    assert_eq!((found.status, found.route.as_deref(), found.number), (200, Some("/users/:name"), Some(2)));
    assert_eq!(found.params, [("name".to_owned(), "a b".to_owned())]);
    assert!(found.allow.is_empty());
}
#[test]
fn a_named_rest_has_both_names() {
    let found = resolve("GET /users/a/b");
    assert_eq!(found.params, [("*", "a/b"), ("path", "a/b")].map(|(n, v)| (n.to_owned(), v.to_owned())));
}
#[test]
fn other_methods_are_allowed() {
    assert_eq!((resolve("DELETE /users/x").status, resolve("OPTIONS /users/x").status), (405, 204));
    assert_eq!(resolve("DELETE /users/x").allow, ["GET", "HEAD", "OPTIONS", "POST"]);
    assert_eq!(resolve("DELETE /users/x").route, None);
}
#[test]
fn nothing_is_nothing() {
    let found = resolve("GET /nowhere");
    assert_eq!((found.status, found.route, found.params.len(), found.allow.len()), (404, None, 0, 0));
}
#[test]
fn what_is_no_text_is_replaced() {
    assert_eq!(resolve("GET /users/%ff").params[0].1, "\u{fffd}");
}

#[test]
fn a_route_wins_by_its_first_better_segment() {
    explains(
        "GET /users/42",
        "`GET /users/:id<int>` matches; it wins over `GET /users/:name`: in segment 2, a parameter with a constraint \
         `:id<int>` comes before a parameter `:name`; behind them come `GET /users/*path`",
    );
    explains("GET /users/ann/x", "`GET /users/*path` matches; no other pattern matches the path");
}
#[test]
fn what_came_before_it_had_other_methods() {
    explains(
        "POST /users/new",
        "`POST /users/:name` matches; `GET /users/new` comes before it, but is not for POST; it wins over \
         `GET /users/*path`: in segment 2, a parameter `:name` comes before the rest `*path`",
    );
}
#[test]
fn head_and_any_are_explained() {
    explains(
        "HEAD /users/a/b",
        "`GET /users/*path` matches: HEAD is answered as GET where it has no route of its own; no other pattern matches \
         the path",
    );
    explains(
        "PURGE /any",
        "`ANY /any` matches: it takes every method that has no route of its own at its place; no other pattern matches \
         the path",
    );
}
#[test]
fn expressions_are_explained() {
    explains(
        "GET /v1/x",
        "`GET ~/v[0-9]+/(?<rest>.*)` matches; it wins over `POST ~/v1/x`: expressions are tried in the order of \
         registration",
    );
}
#[test]
fn refusals_name_what_matched() {
    explains(
        "PUT /users/new",
        "the path matches, but no route is for PUT: `GET /users/new`, `GET /users/:name`, \
        `POST /users/:name`, `GET /users/*path`",
    );
    assert!(
        table(USERS)
            .explain(&Method::OPTIONS, "/v1/x")
            .starts_with("no route names OPTIONS, so it is answered")
    );
}
#[test]
fn a_slash_too_many_is_found() {
    explains(
        "GET /any/",
        "no pattern matches the path; a slash at the end matters: `/any` would match `/any`",
    );
    explains(
        "GET /users",
        "no pattern matches the path; a slash at the end matters: `/users/` would match `/users/*path`",
    );
    explains("GET /nowhere", "no pattern matches the path");
    explains("GET *", "it is no path: a path begins with `/`");
}
#[test]
fn of_the_same_kind_the_finer_wins() {
    let why = |routes, path| table(routes).explain(&Method::GET, path);
    let ends = |text: String, end: &str| assert!(text.ends_with(end), "{text}");
    ends(
        why(&["GET /:a<int>", "GET /:b<int(1..9)>"], "/5"),
        "`:b<int(1..9)>` has a narrower range than `:a<int>`",
    );
    ends(why(&["GET /v:a", "GET /ve:b"], "/vex"), "`ve:b` has a longer text before its parameter than `v:a`");
    ends(
        why(&["GET /:a.gz", "GET /:b.tar.gz"], "/x.tar.gz"),
        "`:b.tar.gz` has a longer text behind its parameter than `:a.gz`",
    );
}

#[test]
fn a_refused_route_leaves_the_table_as_it_was() {
    let mut table = table(&["GET /u/:id"]);
    assert_eq!(table.add(Some(Method::GET), "/u/:uid"), Err(AddError::Taken(0)));
    assert!(matches!(table.add(None, "u"), Err(AddError::Malformed(_))));
    assert_eq!((table.len(), table.get(0)), (1, Some((Some(&Method::GET), "/u/:id"))));
    assert_eq!(table.add(None, ""), Ok(1));
    assert_eq!(table.resolve(&Method::GET, "/").route.as_deref(), Some("/"));
}
#[test]
fn long_lists_are_cut_short() {
    let patterns: Vec<_> = (1..=12).map(|most| format!("GET /:a<int(1..={most})>")).collect();
    let table = table(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
    let text = table.explain(&Method::PUT, "/1");
    assert!(text.ends_with("`GET /:a<int(1..=8)>`, 4 more"), "{text}");
}
