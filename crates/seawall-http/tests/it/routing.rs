//! Groups, methods and paths without a route, from outside; the tree itself has its own tests.

use http::Method;
use seawall_http::{App, Context, Error, Group, Next, Response, Result, RouteOptions as _, around, before};

use crate::{check, send};

async fn hello() -> &'static str {
    "hello"
}

async fn route(c: Context) -> String {
    c.route().unwrap_or("none").to_owned()
}

/// Wraps the answer's body, so that a test sees who ran.
fn name(name: &'static str) -> impl seawall_http::Middleware {
    around(move |c, next| async move {
        let mut answer = next.run(c).await?;
        let body = format!("{name}({})", std::str::from_utf8(answer.bytes().unwrap())?);
        answer.set_body(body);
        Ok(answer)
    })
}

#[test]
fn every_verb_has_its_method() {
    let app = || {
        App::new()
            .get("/", async || "get")
            .post("/", async || "post")
            .put("/", async || "put")
            .patch("/", async || "patch")
            .delete("/", async || "delete")
            .options("/", async || "options")
            .route(Method::from_bytes(b"REPORT").unwrap(), "/", async || "report")
    };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"] {
        check(app(), &format!("{method} /"), 200, &method.to_lowercase());
    }
}

#[test]
fn any_leaves_the_named_methods_alone() {
    let app = || App::new().any("/", async || "any").get("/", async || "get");
    check(app(), "GET /", 200, "get");
    check(app(), "PURGE /", 200, "any");
}

#[test]
fn head_is_get_without_its_body() {
    let answer = send(App::new().get("/", hello), "HEAD /");
    assert_eq!((answer.status().as_u16(), answer.text(), answer.header("content-length")), (200, "", "5"));
}

#[test]
fn a_head_route_of_its_own_comes_first() {
    let app = App::new().get("/", hello).head("/", async |c: Context| c.no_content());
    assert_eq!(send(app, "HEAD /").status(), 204);
}

#[test]
fn a_failing_head_has_no_body_either() {
    let answer = send(App::new().get("/", async || Err::<&str, _>(Error::conflict("no"))), "HEAD /");
    assert_eq!((answer.status().as_u16(), answer.text()), (409, ""));
}

#[test]
fn another_method_is_405_with_allow() {
    let answer = send(App::new().get("/x", hello).post("/:y", hello), "DELETE /x");
    assert_eq!((answer.status().as_u16(), answer.header("allow")), (405, "GET, HEAD, OPTIONS, POST"));
    assert_eq!(answer.text(), r#"{"message":"Method Not Allowed"}"#);
}

#[test]
fn options_answers_by_itself() {
    let answer = send(App::new().get("/x", hello), "OPTIONS /x");
    assert_eq!((answer.status().as_u16(), answer.header("allow")), (204, "GET, HEAD, OPTIONS"));
    assert_eq!(send(App::new().get("/x", hello), "OPTIONS /y").status(), 404);
}

#[test]
fn a_context_knows_its_route() {
    check(
        App::new().group("/api", |g| g.get("/users/:id", route)),
        "GET /api/users/7",
        200,
        "/api/users/:id",
    );
    check(App::new().fallback(route), "GET /nowhere", 200, "none");
}

#[test]
fn groups_nest_and_their_prefix_is_a_route_too() {
    let app =
        || App::new().group("/a", |a| a.get("", hello).group("/b", |b| b.get("/", hello).get("/c", hello)));
    check(app(), "GET /a", 200, "hello");
    check(app(), "GET /a/b/", 200, "hello");
    check(app(), "GET /a/b/c", 200, "hello");
    assert_eq!(send(app(), "GET /a/b").status(), 404);
}

#[test]
fn a_prefix_may_have_parameters() {
    let show =
        async |c: Context| Ok::<_, Error>(format!("{} {}", c.param::<u8>("shop")?, c.param::<u8>("id")?));
    check(
        App::new().group("/shops/:shop", |g| g.get("/items/:id", show)),
        "GET /shops/3/items/4",
        200,
        "3 4",
    );
}

#[test]
fn middleware_runs_in_the_order_of_registration() {
    let app = App::new().get("/", hello.with(name("c")).with(name("d"))).with(name("a")).with(name("b"));
    check(app, "GET /", 200, "a(b(c(d(hello))))");
}

#[test]
fn a_group_wraps_what_it_has_no_route_for() {
    let app = || App::new().with(name("a")).mount("/g", Group::new().with(name("b"))).fallback(hello);
    check(app(), "GET /g/x", 200, "a(b(hello))");
    check(app(), "GET /gx", 200, "a(hello)");
}

#[test]
fn a_group_at_the_root_wraps_its_routes_alone() {
    let app = || App::new().mount("/", Group::new().with(name("g")).get("/x", hello)).fallback(hello);
    check(app(), "GET /x", 200, "g(hello)");
    check(app(), "GET /y", 200, "hello");
}

#[test]
fn a_groups_middleware_sees_405_and_options_without_masking_them() {
    let mark = async |c: Context, next: Next| -> Result<Response> {
        next.run(c).await.map(|answer| answer.header(http::header::VIA, http::HeaderValue::from_static("g")))
    };
    let app = || App::new().group("/g", |g| g.get("/x", hello).with(mark));
    let options = send(app(), "OPTIONS /g/x");
    assert_eq!((options.status().as_u16(), options.header("via")), (204, "g"));
    assert_eq!(send(app(), "POST /g/x").status(), 405);
}

#[test]
fn a_fallback_gets_404s_but_no_405s() {
    let app = || App::new().get("/x", hello).fallback(async || "fallback");
    check(app(), "GET /y", 200, "fallback");
    assert_eq!(send(app(), "POST /x").status(), 405);
}

#[test]
fn a_fallback_has_middleware_of_its_own() {
    check(App::new().fallback(hello.with(name("f"))), "GET /", 200, "f(hello)");
}

#[test]
fn pre_may_choose_another_route() {
    let rename = before(|c| {
        c.rewrite("/new/7?x=1".parse()?);
        Ok(None)
    });
    let show = async |c: Context| Ok::<_, Error>(format!("{} {}", c.param::<u8>("id")?, c.uri()));
    check(App::new().get("/new/:id", show).pre(rename), "GET /old", 200, "7 /new/7?x=1");
}

#[test]
fn a_rewrite_after_routing_changes_nothing() {
    let late = before(|c| {
        c.rewrite("/".parse()?);
        Ok(None)
    });
    let show = async |c: Context| Ok::<_, Error>(c.param::<String>("id")?);
    check(App::new().get("/users/:id", show).with(late), "GET /users/ann", 200, "ann");
}

#[test]
fn mistakes_are_reported_together() {
    let app = App::new()
        .get("/users/:id", hello)
        .get("/users/:uid", hello)
        .get("users", hello)
        .group("/g/", |g| g.get("/x", hello))
        .group("/*/h", |g| g.get("/x", hello));
    let report = format!("{:?}", app.build().unwrap_err());
    for part in [
        "the app cannot start",
        "- `GET /users/:uid` matches the same requests as `GET /users/:id`, which was registered before it",
        "- `GET users` is refused: a pattern starts with `/`",
        "- the prefix `/g/` ends with `/`, but its routes begin with one",
        "- the prefix `/*/h` is refused: `*` stands for the whole rest of a path, so it comes last",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}

async fn params(c: Context) -> Result<String> {
    let all = c.params_as::<std::collections::BTreeMap<String, String>>()?;
    Ok(format!("{} {all:?}", c.route().unwrap_or("none")))
}

#[test]
fn text_may_stand_around_a_parameter() {
    let app = || App::new().get("/v:ver<int>/doc", params).get("/:name.json", params);
    check(app(), "GET /v2/doc", 200, r#"/v:ver<int>/doc {"ver": "2"}"#);
    check(app(), "GET /a%20b.json", 200, r#"/:name.json {"name": "a b"}"#);
    assert_eq!(send(app(), "GET /vx/doc").status(), 404);
    assert_eq!(send(app(), "GET /.json").status(), 404);
}

#[test]
fn a_range_bounds_what_a_parameter_takes() {
    let app = || App::new().get("/:page<int(1..=100)>", params).get("/:other", params);
    check(app(), "GET /100", 200, r#"/:page<int(1..=100)> {"page": "100"}"#);
    check(app(), "GET /101", 200, r#"/:other {"other": "101"}"#);
}

#[test]
fn a_named_rest_is_found_under_both_names() {
    let both = async |c: Context| -> Result<String> {
        Ok(format!("{} {}", c.param::<String>("*")?, c.param::<String>("path")?))
    };
    check(App::new().get("/files/*path", both), "GET /files/a/b%20c", 200, "a/b c a/b c");
    let app = || App::new().get("/:user/*path", params);
    check(app(), "GET /ann/x/y", 200, r#"/:user/*path {"*": "x/y", "path": "x/y", "user": "ann"}"#);
    let tuple =
        async |seawall_http::Path((user, path)): seawall_http::Path<(String, String)>| user + " " + &path;
    check(App::new().get("/:user/*path", tuple), "GET /ann/x/y", 200, "ann x/y");
}

#[test]
fn a_bad_value_of_a_named_rest_is_called_by_its_name() {
    let number = async |seawall_http::Path(rest): seawall_http::Path<u8>| rest.to_string();
    let answer = send(App::new().get("/n/*number", number), "GET /n/x");
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains(r#""number""#) && !answer.text().contains("*number"), "{}", answer.text());
    assert_eq!(send(App::new().get("/n/*number", params), "GET /n/%ff").status(), 400);
}

#[test]
fn expressions_answer_what_no_path_does() {
    let app = || {
        App::new()
            .get("/v1/fixed", params)
            .post("/v1/other", params)
            .group("/api.x", |api| api.get(r"~/v[0-9]+/(?<name>\w+)", params))
            .get(r"~/v[0-9]+/(?<name>\w+)", params)
    };
    check(app(), "GET /v1/fixed", 200, "/v1/fixed {}");
    check(
        app(),
        "GET /v1/caf%C3%A9",
        200,
        r#"~/v[0-9]+/(?<name>\w+) {"name": "caf\u{e9}"}"#.replace(r"\u{e9}", "\u{e9}").as_str(),
    );
    check(app(), "GET /api.x/v2/a", 200, r#"~/api\.x/v[0-9]+/(?<name>\w+) {"name": "a"}"#);
    assert_eq!(send(app(), "GET /apiyx/v2/a").status(), 404);
    let other = send(app(), "DELETE /v1/other");
    assert_eq!((other.status().as_u16(), other.header("allow")), (405, "GET, HEAD, OPTIONS, POST"));
}

#[test]
fn mistakes_of_patterns_are_reported_together_too() {
    let mut app = App::new()
        .get("/:a:b", hello)
        .get("/:id<int(9..1)>", hello)
        .get("~/(", hello)
        .get("~/x", hello)
        .get("~/x", hello)
        .group("/:shop", |shop| shop.get("~/x", hello));
    for number in 0..257 {
        app = app.get(&format!("~/x{number}"), hello);
    }
    let report = format!("{:?}", app.build().unwrap_err());
    for part in [
        "`GET /:a:b` is refused: `:a:b` has two parameters, but a segment has one at most",
        "`GET /:id<int(9..1)>` is refused: in `<int(9..1)>`, the range `9..1` holds nothing",
        "`GET ~/(` is refused: its regular expression is not accepted",
        "`GET ~/x` matches the same requests as `GET ~/x`, which was registered before it",
        "is refused: a regular expression needs a prefix without parameters, and `/:shop` has some",
        "`GET ~/x255` is refused: a table has at most 256 regular expressions",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
}
