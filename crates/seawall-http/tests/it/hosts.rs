//! Routes that are bound to a host.

use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Group, after};

async fn api() -> &'static str {
    "api"
}

fn shop() -> App {
    let tenant = async |c: Context| c.subdomain().unwrap_or_default().into_owned();
    App::new()
        .get("/", async || "any")
        .get("/only-any", async || "any")
        .host("api.example.com", Group::new().get("/", api).group("/v1", |v1| v1.get("/users", api)))
        .host("*.example.com", Group::new().get("/", tenant))
        .fallback(async || "fallback")
}

#[track_caller]
fn ask(app: App, host: &str, request: &str) -> TestResponse {
    let (method, target) = request.split_once(' ').unwrap();
    let client = TestClient::new(app).unwrap();
    crate::block_on(async { client.request(method.parse().unwrap(), target).header("host", host).await })
}

#[track_caller]
fn check(host: &str, request: &str, body: &str) {
    assert_eq!(ask(shop(), host, request).text(), body, "{host} {request}");
}

#[test]
fn the_exact_host_comes_first() {
    check("api.example.com", "GET /", "api");
}
#[test]
fn then_the_star_which_knows_what_it_stands_for() {
    check("Ann.example.com:8080", "GET /", "ann");
}
#[test]
fn then_the_routes_of_no_host() {
    check("example.com", "GET /", "any");
    check("elsewhere.org", "GET /", "any");
}
#[test]
fn the_target_names_the_host_where_it_can() {
    check("elsewhere.org", "GET http://api.example.com/", "api");
}
#[test]
fn a_host_with_routes_sees_no_others() {
    check("api.example.com", "GET /only-any", "fallback");
}
#[test]
fn its_groups_are_below_it() {
    check("api.example.com", "GET /v1/users", "api");
    assert_eq!(ask(shop(), "api.example.com", "POST /v1/users").status(), 405);
}
#[test]
fn a_request_without_a_host_goes_to_the_routes_of_none() {
    crate::check(shop(), "GET /", 200, "any");
}
#[test]
fn the_apps_middleware_is_around_it() {
    let mark = after(|_, answer| {
        if let Ok(answer) = answer {
            answer.headers_mut().insert("via", http::HeaderValue::from_static("app"));
        }
    });
    assert_eq!(ask(shop().with(mark), "api.example.com", "GET /").header("via"), "app");
}
#[test]
fn its_own_fallback_and_errors_are_its_own() {
    let group = || {
        Group::new()
            .fallback(async || Err::<&str, _>(Error::not_found("no such API")))
            .on_error(|_, error| error.response().header(http::header::VIA, "api".parse().unwrap()))
    };
    let answer = ask(App::new().host("api.example.com", group()), "api.example.com", "GET /x");
    assert_eq!((answer.status().as_u16(), answer.header("via")), (404, "api"));
    assert_eq!(ask(App::new().host("api.example.com", group()), "x.org", "GET /x").header("via"), "");
}
#[test]
fn bad_hosts_and_duplicates_are_named_at_start() {
    let app = App::new()
        .host("http://x", Group::new())
        .host("a.com", Group::new().get("/x/:id", api))
        .host("A.com", Group::new().get("/x/:uid", api));
    let report = format!("{:?}", app.build().unwrap_err());
    assert!(report.contains("- the host `http://x` is refused: a host is"), "{report}");
    assert!(report.contains("`GET a.com/x/:uid` matches the same requests as `GET a.com/x/:id`"), "{report}");
}
