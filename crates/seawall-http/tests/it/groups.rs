//! What belongs to a group alone: its fallback and its way to answer errors.

use http::{HeaderValue, Method, header};
use seawall_http::{App, Context, Error, Group, Response, around};

use crate::{check, send};

async fn hello() -> &'static str {
    "hello"
}

async fn fails() -> Result<&'static str, Error> {
    Err(Error::conflict("sold out"))
}

/// Answers errors with the name of who did.
fn by(name: &'static str) -> impl Fn(&Context, Error) -> Response + Send + Sync {
    move |_, error| Response::new(error.status(), name)
}

#[test]
fn a_groups_fallback_is_for_its_prefix() {
    let app = || {
        App::new().fallback(async || "app").group("/api", |api| api.get("/x", hello).fallback(async || "api"))
    };
    check(app(), "GET /api/nothing", 200, "api");
    check(app(), "GET /api", 200, "api");
    check(app(), "GET /nothing", 200, "app");
    assert_eq!(send(app(), "POST /api/x").status(), 405);
}

#[test]
fn a_group_without_a_fallback_has_the_outer_one() {
    let app =
        App::new().group("/api", |api| api.fallback(async || "api").group("/v1", |v1| v1.get("/x", hello)));
    check(app, "GET /api/v1/nothing", 200, "api");
}

#[test]
fn a_groups_middleware_is_around_its_fallback() {
    let shout = around(|c, next| async move {
        let mut answer = next.run(c).await?;
        answer.set_body("wrapped");
        Ok(answer)
    });
    check(App::new().group("/api", |api| api.with(shout).fallback(hello)), "GET /api/x", 200, "wrapped");
}

#[test]
fn a_groups_on_error_answers_for_all_below_it() {
    let app = || {
        App::new().on_error(by("app")).get("/x", fails).group("/api", |api| {
            api.on_error(by("api")).get("/x", fails).group("/v1", |v1| v1.get("/x", fails))
        })
    };
    check(app(), "GET /api/x", 409, "api");
    check(app(), "GET /api/v1/x", 409, "api");
    check(app(), "GET /api/nothing", 404, "api");
    check(app(), "POST /api/x", 405, "api");
    check(app(), "GET /x", 409, "app");
    check(app(), "GET /nothing", 404, "app");
}

#[test]
fn the_innermost_on_error_counts() {
    let inner = Group::new().on_error(by("inner")).get("/x", fails);
    check(App::new().group("/a", |a| a.on_error(by("outer")).mount("/b", inner)), "GET /a/b/x", 409, "inner");
}

#[test]
fn a_groups_on_error_sees_its_panics() {
    let panics = async || -> &'static str { panic!("on purpose") };
    check(App::new().group("/a", |a| a.on_error(by("a")).get("/x", panics)), "GET /a/x", 500, "a");
}

fn sign_in() -> impl seawall_http::Middleware {
    around(|c: Context, next| async move {
        if c.header(header::AUTHORIZATION).is_none() && c.route().is_some() {
            return Err(Error::unauthorized("sign in first"));
        }
        next.run(c).await
    })
}

#[test]
fn a_status_is_masked_by_no_middleware_that_passes_it_on() {
    let app = || App::new().group("/g", |g| g.with(sign_in()).get("/x", hello));
    assert_eq!(send(app(), "GET /g/x").status(), 401);
    assert_eq!(send(app(), "POST /g/x").status(), 405);
    assert_eq!(send(app(), "GET /g/y").status(), 404);
    assert_eq!(send(app(), "OPTIONS /g/x").status(), 204);
}

#[test]
fn query_is_a_method_with_a_body() {
    let search = async |body: String| format!("found {body}");
    check(App::new().query("/search", search), "QUERY /search boots", 200, "found boots");
    let answer = send(App::new().query("/search", search), "GET /search");
    assert_eq!((answer.status().as_u16(), answer.header("allow")), (405, "OPTIONS, QUERY"));
}

#[test]
fn one_handler_may_have_several_methods() {
    let app =
        || App::new().methods([Method::GET, Method::POST], "/x", async |method: Method| method.to_string());
    check(app(), "GET /x", 200, "GET");
    check(app(), "POST /x", 200, "POST");
    assert_eq!(send(app(), "PUT /x").header("allow"), "GET, HEAD, OPTIONS, POST");
}

#[test]
fn a_method_of_ones_own_is_as_good_as_any() {
    let app = App::new().route(Method::from_bytes(b"M-SEARCH").unwrap(), "/x", hello);
    let answer = send(app, "DELETE /x");
    assert_eq!(answer.headers()[header::ALLOW], HeaderValue::from_static("M-SEARCH, OPTIONS"));
}
