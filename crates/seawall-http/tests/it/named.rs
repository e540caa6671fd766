//! Names of routes, the URLs that they give, and the list of all routes.

use std::fmt::Display;

use seawall_http::{App, Context, Group, RouteOptions as _};

use crate::{check, send};

async fn hello() -> &'static str {
    "hello"
}

/// An app whose route `/url` answers with the URL of the route `file`.
fn app(params: &'static [(&'static str, &'static (dyn Display + Sync))]) -> App {
    let url = move |c: Context| async move {
        let params: Vec<_> = params.iter().map(|&(name, value)| (name, value as &dyn Display)).collect();
        c.url("file", &params)
    };
    App::new().get("/url", url).group("/users/:id<int>", |user| user.get("/files/*", hello.name("file")))
}

#[track_caller]
fn url(params: &'static [(&'static str, &'static (dyn Display + Sync))], expected: &str) {
    check(app(params), "GET /url", 200, expected);
}

#[track_caller]
fn refused(params: &'static [(&'static str, &'static (dyn Display + Sync))]) {
    assert_eq!(send(app(params), "GET /url").status(), 500);
}

#[test]
fn a_name_gives_its_path_prefixes_included() {
    url(&[("id", &7), ("*", &"a/b.txt")], "/users/7/files/a/b.txt");
}
#[test]
fn values_are_encoded() {
    url(&[("id", &7), ("*", &"caf\u{e9} #1?")], "/users/7/files/caf%C3%A9%20%231%3F");
}
#[test]
fn the_rest_may_be_empty() {
    url(&[("id", &7), ("*", &"")], "/users/7/files/");
}
#[test]
fn what_would_not_match_is_refused() {
    refused(&[("id", &"ann"), ("*", &"x")]);
    refused(&[("id", &7)]);
    refused(&[("id", &7), ("*", &"x"), ("page", &1)]);
}

#[test]
fn a_url_leads_back_to_its_route() {
    let show = async |c: Context| c.param::<String>("name");
    let there = async |c: Context| c.url("show", &[("name", &"a/b c%2Fd")]);
    let app = || App::new().get("/show/:name", show.name("show")).get("/there", there);
    let path = send(app(), "GET /there").text().to_owned();
    check(app(), &format!("GET {path}"), 200, "a/b c%2Fd");
}

#[test]
fn one_name_may_have_several_methods_of_one_path() {
    let app = App::new().get("/x", hello.name("x")).post("/x", hello.name("x"));
    assert!(app.build().is_ok());
}

#[test]
fn a_name_with_two_paths_is_refused() {
    let app = App::new().get("/x", hello.name("x")).get("/y", hello.name("x"));
    let report = format!("{:?}", app.build().unwrap_err());
    assert!(report.contains("the name `x` is given to `GET /x` and to `GET /y`"), "{report}");
}

fn listed() -> App {
    let pass = |c: Context, next: seawall_http::Next| next.run(c);
    App::new()
        .with(pass)
        .post("/users", hello)
        .group("/users", |users| users.with(pass).get("/:id", hello.with(pass).name("user")))
        .host("api.example.com", Group::new().any("/", hello))
}

#[test]
fn routes_are_listed_with_all_that_is_known_of_them() {
    let routes = listed().routes();
    let [users, user, api] = &routes[..] else { panic!("three routes: {routes:?}") };
    assert_eq!((&*users.method, &*users.pattern, users.middleware), ("POST", "/users", 1));
    assert_eq!((&*user.pattern, user.name.as_deref(), user.middleware), ("/users/:id", Some("user"), 3));
    assert_eq!((&*api.method, api.host.as_deref()), ("ANY", Some("api.example.com")));
    assert!(user.handler.ends_with("::hello"), "{}", user.handler);
}

#[test]
fn the_list_is_a_table() {
    let table = listed().routes().to_string();
    let lines: Vec<_> = table.lines().map(|line| line.split("  ").collect::<Vec<_>>()).collect();
    assert_eq!(lines.len(), 3);
    assert!(table.lines().next().unwrap().starts_with("POST  /users "), "{table}");
    assert!(table.contains("(user)") && table.contains("ANY   api.example.com/ "), "{table}");
}
