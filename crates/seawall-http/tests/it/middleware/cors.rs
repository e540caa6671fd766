//! Cross-origin resource sharing: preflights and marked answers, on groups, 404 and 405 as well.

use std::time::Duration;

use seawall_http::middleware::{Cors, CorsConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Middleware as _, Response, around, before};

use crate::block_on;

const PAGE: &str = "https://app.example";

async fn hello() -> &'static str {
    "hello"
}

fn config() -> CorsConfig {
    CorsConfig { allow_origins: vec![PAGE.into(), "https://*.example.com".into()], ..CorsConfig::default() }
}

fn app(config: &CorsConfig) -> App {
    App::new().get("/x", hello).post("/x", hello).with(Cors::new(config).unwrap())
}

/// `METHOD /path` with these headers.
fn ask(app: App, request: &str, headers: &[(&str, &str)]) -> TestResponse {
    let (method, path) = request.split_once(' ').unwrap();
    let client = TestClient::new(app).unwrap();
    let request = client.request(method.parse().unwrap(), path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    block_on(async { request.await })
}

fn preflight(app: App, path: &str, origin: &str, method: &str) -> TestResponse {
    let headers = [("origin", origin), ("access-control-request-method", method)];
    ask(app, &format!("OPTIONS {path}"), &headers)
}

fn allowed(answer: &TestResponse) -> &str {
    answer.header("access-control-allow-origin")
}

fn vary(answer: &TestResponse) -> String {
    answer
        .headers()
        .get_all("vary")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect::<Vec<_>>()
        .join(", ")
}

#[track_caller]
fn refused(config: CorsConfig, message: &str) {
    assert_eq!(Cors::new(&config).unwrap_err().to_string(), message);
}

#[test]
fn an_origin_on_the_list_may_read_the_answer() {
    let answer = ask(app(&config()), "GET /x", &[("origin", PAGE)]);
    assert_eq!((answer.text(), allowed(&answer), &*vary(&answer)), ("hello", PAGE, "Origin"));
    let answer = ask(app(&config()), "GET /x", &[("origin", "https://a.b.example.com")]);
    assert_eq!(allowed(&answer), "https://a.b.example.com");
}

#[test]
fn another_origin_gets_the_answer_unmarked() {
    for origin in ["https://evil.example", "http://app.example", "null"] {
        let answer = ask(app(&config()), "GET /x", &[("origin", origin)]);
        assert_eq!((answer.text(), allowed(&answer), &*vary(&answer)), ("hello", "", "Origin"), "{origin}");
    }
}

#[test]
fn an_answer_without_an_origin_still_varies() {
    let answer = ask(app(&config()), "GET /x", &[]);
    assert_eq!((allowed(&answer), &*vary(&answer)), ("", "Origin"));
}

#[test]
fn a_star_is_for_everybody_and_does_not_vary() {
    let config = CorsConfig { allow_origins: vec!["*".into()], ..CorsConfig::default() };
    let answer = ask(app(&config), "GET /x", &[("origin", PAGE)]);
    assert_eq!((allowed(&answer), &*vary(&answer)), ("*", ""));
}

#[test]
fn a_preflight_names_the_methods_of_the_path() {
    let answer = preflight(app(&config()), "/x", PAGE, "POST");
    assert_eq!((answer.status().as_u16(), answer.text(), allowed(&answer)), (204, "", PAGE));
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, OPTIONS, POST");
    assert_eq!(vary(&answer), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
}

#[test]
fn a_preflight_of_another_origin_is_granted_nothing() {
    let answer = preflight(app(&config()), "/x", "https://evil.example", "POST");
    assert_eq!((answer.status().as_u16(), allowed(&answer)), (204, ""));
    assert_eq!(answer.header("access-control-allow-methods"), "");
}

#[test]
fn headers_are_granted_as_asked_or_as_listed() {
    let asked = [
        ("origin", PAGE),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-a, x-b"),
    ];
    let answer = ask(app(&config()), "OPTIONS /x", &asked);
    assert_eq!(answer.header("access-control-allow-headers"), "x-a, x-b");
    let listed =
        CorsConfig { allow_headers: vec!["X-A".into()], allow_methods: vec!["GET".into()], ..config() };
    let answer = ask(app(&listed), "OPTIONS /x", &asked);
    assert_eq!(answer.header("access-control-allow-headers"), "X-A");
    assert_eq!(answer.header("access-control-allow-methods"), "GET");
}

#[test]
fn the_rest_is_said_where_it_belongs() {
    let config = CorsConfig {
        expose_headers: vec!["X-Total".into(), "X-Page".into()],
        allow_credentials: true,
        max_age: Duration::from_secs(600),
        allow_private_network: true,
        ..config()
    };
    let answer = ask(app(&config), "GET /x", &[("origin", PAGE)]);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-expose-headers"), "X-Total, X-Page");
    assert_eq!(answer.header("access-control-max-age"), "");
    let asked = [
        ("origin", PAGE),
        ("access-control-request-method", "GET"),
        ("access-control-request-private-network", "true"),
    ];
    let answer = ask(app(&config), "OPTIONS /x", &asked);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert_eq!(answer.header("access-control-allow-private-network"), "true");
    assert_eq!(answer.header("access-control-expose-headers"), "");
    let answer = ask(app(&self::config()), "OPTIONS /x", &asked);
    assert_eq!(answer.header("access-control-allow-private-network"), "");
}

#[test]
fn failures_can_be_read_as_well() {
    let fails = async || Err::<&str, _>(Error::conflict("sold out"));
    let app = || app(&config()).get("/sold", fails);
    for (request, status) in [("GET /sold", 409), ("GET /nowhere", 404), ("DELETE /x", 405)] {
        let answer = ask(app(), request, &[("origin", PAGE)]);
        assert_eq!((answer.status().as_u16(), allowed(&answer)), (status, PAGE), "{request}");
    }
}

#[test]
fn failures_can_be_read_under_an_on_error_of_ones_own() {
    let app = app(&config()).on_error(|_, error| Response::new(error.status(), "own"));
    let answer = ask(app, "GET /nowhere", &[("origin", PAGE)]);
    assert_eq!((answer.text(), allowed(&answer)), ("own", PAGE));
}

#[test]
fn a_preflight_is_answered_where_the_request_will_fail() {
    let answer = preflight(app(&config()), "/nowhere", PAGE, "GET");
    assert_eq!((answer.status().as_u16(), allowed(&answer)), (204, PAGE));
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, PUT, PATCH, POST, DELETE");
    let answer = preflight(app(&config()), "/x", PAGE, "DELETE");
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, OPTIONS, POST");
}

#[test]
fn a_group_answers_for_its_prefix_alone() {
    let cors = || Cors::new(&config()).unwrap();
    let app = || App::new().get("/y", hello).group("/api", |api| api.with(cors()).get("/x", hello));
    assert_eq!(allowed(&preflight(app(), "/api/x", PAGE, "GET")), PAGE);
    assert_eq!(allowed(&preflight(app(), "/api/nowhere", PAGE, "GET")), PAGE);
    assert_eq!(allowed(&preflight(app(), "/y", PAGE, "GET")), "");
    assert_eq!(allowed(&ask(app(), "DELETE /api/x", &[("origin", PAGE)])), PAGE);
    assert_eq!(allowed(&ask(app(), "GET /y", &[("origin", PAGE)])), "");
}

#[test]
fn a_preflight_comes_before_whatever_refuses() {
    let sign_in = || around(|_, _| async { Err(Error::unauthorized("sign in first")) });
    let app = || App::new().with(Cors::new(&config()).unwrap()).with(sign_in()).get("/x", hello);
    assert_eq!(preflight(app(), "/x", PAGE, "GET").status(), 204);
    let answer = ask(app(), "GET /x", &[("origin", PAGE)]);
    assert_eq!((answer.status().as_u16(), allowed(&answer)), (401, PAGE));
}

#[test]
fn an_options_handler_of_ones_own_is_kept() {
    let own = async |c: Context| c.text(200, "own");
    let app = || app(&config()).options("/x", own).any("/any", hello);
    let answer = preflight(app(), "/x", PAGE, "GET");
    assert_eq!((answer.status().as_u16(), answer.text(), allowed(&answer)), (200, "own", PAGE));
    // A handler for any method does not expect preflights.
    let answer = preflight(app(), "/any", PAGE, "GET");
    assert_eq!((answer.status().as_u16(), answer.text(), allowed(&answer)), (204, "", PAGE));
}

#[test]
fn an_options_that_is_no_preflight_is_left_alone() {
    let answer = ask(app(&config()), "OPTIONS /x", &[("origin", PAGE)]);
    assert_eq!((answer.status().as_u16(), answer.header("allow")), (204, "GET, HEAD, OPTIONS, POST"));
    assert_eq!((allowed(&answer), answer.header("access-control-allow-methods")), (PAGE, ""));
}

#[test]
fn a_header_that_the_handler_set_stays() {
    let own = async |c: Context| {
        let answer = c.text(200, "own")?;
        Ok::<_, Error>(
            answer.header(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, "https://other.example".parse()?),
        )
    };
    let answer = ask(app(&config()).get("/own", own), "GET /own", &[("origin", PAGE)]);
    assert_eq!(allowed(&answer), "https://other.example");
}

#[test]
fn a_function_may_decide() {
    let by_path = |c: &Context, origin: &str| c.path() == "/x" && origin.starts_with("https://tenant-");
    let cors = Cors::allow_origin_if(&CorsConfig::default(), by_path).unwrap();
    let app = || App::new().get("/x", hello).get("/y", hello).with(cors.clone());
    let origin = [("origin", "https://tenant-7.example")];
    assert_eq!(allowed(&ask(app(), "GET /x", &origin)), "https://tenant-7.example");
    assert_eq!(allowed(&ask(app(), "GET /y", &origin)), "");
    assert_eq!(allowed(&ask(app(), "GET /x", &[("origin", PAGE)])), "");
}

#[test]
fn exceptions_are_left_alone() {
    let cors = Cors::new(&config()).unwrap().unless(|c| c.path() == "/x");
    let answer = ask(App::new().get("/x", hello).with(cors), "GET /x", &[("origin", PAGE)]);
    assert_eq!((answer.text(), allowed(&answer), &*vary(&answer)), ("hello", "", ""));
}

#[test]
fn it_may_stand_before_routing() {
    let early = before(|_| Ok(None));
    let app = || App::new().get("/x", hello).pre(early.clone()).pre(Cors::new(&config()).unwrap());
    assert_eq!(allowed(&preflight(app(), "/x", PAGE, "GET")), PAGE);
    assert_eq!(allowed(&ask(app(), "GET /x", &[("origin", PAGE)])), PAGE);
}

#[test]
fn everybody_with_credentials_is_refused() {
    for origin in ["*", "null"] {
        let allow_origins = vec![PAGE.into(), origin.into()];
        refused(
            CorsConfig { allow_origins, allow_credentials: true, ..CorsConfig::default() },
            "`cors.allow_credentials` is true, but must be false where allow_origins has `*` or `null`: name the origins",
        );
    }
}

#[test]
fn what_could_allow_nobody_is_refused() {
    refused(
        CorsConfig::default(),
        "`cors.allow_origins` is empty, but must be at least one origin; with a function, use Cors::allow_origin_if",
    );
}

#[test]
fn names_and_ages_are_checked() {
    refused(
        CorsConfig { allow_methods: vec!["GE T".into()], ..config() },
        "`cors.allow_methods` is \"GE T\", but must be method names",
    );
    refused(
        CorsConfig { expose_headers: vec!["X:".into()], ..config() },
        "`cors.expose_headers` is \"X:\", but must be header names",
    );
    refused(
        CorsConfig { max_age: Duration::from_secs(86_401), ..config() },
        "`cors.max_age` is 86401s, but must be 0 to 86400 seconds",
    );
}
