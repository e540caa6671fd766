//! Forged requests are refused, honest ones are not.

use seawall_http::middleware::{Csrf, CsrfConfig, CsrfToken};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context};

use crate::block_on;

const TOKEN: &str = "0123456789012345678901234567890123456789abc";

fn config() -> CsrfConfig {
    CsrfConfig { trusted_origins: vec!["https://app.example".into()], ..CsrfConfig::default() }
}

fn app(config: &CsrfConfig) -> App {
    let form = async |token: CsrfToken| token.to_string();
    let post = async |c: Context| c.text(200, c.body().await?);
    App::new()
        .get("/form", form)
        .get("/plain", async || "plain")
        .post("/buy", post)
        .with(Csrf::new(config).unwrap())
}

fn ask(config: &CsrfConfig, request: &str, headers: &[(&str, &str)], body: &'static str) -> TestResponse {
    let (method, path) = request.split_once(' ').unwrap();
    let client = TestClient::new(app(config)).unwrap();
    let request = client.request(method.parse().unwrap(), path).header("host", "shop.example").body(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    block_on(async { request.await })
}

#[track_caller]
fn check(headers: &[(&str, &str)], status: u16) {
    assert_eq!(ask(&config(), "POST /buy", headers, "").status(), status, "{headers:?}");
}

#[test]
fn the_browsers_word_counts_first() {
    check(&[("sec-fetch-site", "same-origin")], 200);
    check(&[("sec-fetch-site", "none")], 200);
    check(&[("sec-fetch-site", "same-site")], 403);
    check(&[("sec-fetch-site", "cross-site")], 403);
    check(&[("sec-fetch-site", "what")], 403);
    // A token does not outweigh it.
    let cookie = format!("__Host-csrf={TOKEN}");
    check(&[("sec-fetch-site", "cross-site"), ("x-csrf-token", TOKEN), ("cookie", &cookie)], 403);
}

#[test]
fn trusted_origins_may_come_from_elsewhere() {
    check(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")], 200);
    check(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 403);
    check(&[("origin", "https://app.example")], 200);
}

#[test]
fn the_same_site_may_be_trusted() {
    let config = CsrfConfig { allow_same_site: true, ..config() };
    assert_eq!(ask(&config, "POST /buy", &[("sec-fetch-site", "same-site")], "").status(), 200);
    assert_eq!(ask(&config, "POST /buy", &[("sec-fetch-site", "cross-site")], "").status(), 403);
}

#[test]
fn an_older_browsers_origin_must_be_this_host() {
    check(&[("origin", "https://shop.example")], 200);
    check(&[("origin", "http://SHOP.example")], 200);
    check(&[("origin", "https://shop.example:8443")], 403);
    check(&[("origin", "https://shop.example.evil")], 403);
    check(&[("origin", "null")], 403);
    check(&[("origin", "\u{e9}")], 403);
}

#[test]
fn without_either_a_token_must_come_twice() {
    let cookie = format!("__Host-csrf={TOKEN}");
    check(&[("cookie", &cookie), ("x-csrf-token", TOKEN)], 200);
    check(&[("cookie", &cookie), ("x-csrf-token", &TOKEN.replace('a', "b"))], 403);
    check(&[("cookie", &cookie)], 403);
    check(&[("x-csrf-token", TOKEN)], 403);
    check(&[], 403);
    // Neither empty nor short texts are tokens, however equal they are.
    check(&[("cookie", "__Host-csrf="), ("x-csrf-token", "")], 403);
    check(&[("cookie", "__Host-csrf=a"), ("x-csrf-token", "a")], 403);
}

#[test]
fn a_refusal_says_why() {
    let answer = ask(&config(), "POST /buy", &[("sec-fetch-site", "cross-site")], "");
    assert_eq!(answer.text(), r#"{"message":"a page of another site sent this request","code":"csrf"}"#);
}

#[test]
fn what_changes_nothing_passes() {
    for request in ["GET /plain", "HEAD /plain"] {
        assert_eq!(
            ask(&config(), request, &[("sec-fetch-site", "cross-site")], "").status(),
            200,
            "{request}"
        );
    }
    assert_eq!(ask(&config(), "OPTIONS /plain", &[("sec-fetch-site", "cross-site")], "").status(), 204);
}

#[test]
fn a_websocket_from_elsewhere_is_no_safe_get() {
    let upgrade = ("upgrade", "websocket");
    assert_eq!(
        ask(&config(), "GET /plain", &[upgrade, ("origin", "https://evil.example")], "").status(),
        403
    );
    assert_eq!(
        ask(&config(), "GET /plain", &[upgrade, ("origin", "https://shop.example")], "").status(),
        200
    );
    assert_eq!(ask(&config(), "GET /plain", &[upgrade], "").status(), 200);
}

#[test]
fn what_the_path_does_not_know_keeps_its_status() {
    assert_eq!(ask(&config(), "POST /plain", &[("sec-fetch-site", "cross-site")], "").status(), 405);
    assert_eq!(ask(&config(), "GET /nowhere", &[], "").status(), 404);
}

#[test]
fn a_handler_that_asks_gets_a_token_and_the_client_its_cookie() {
    let answer = ask(&config(), "GET /form", &[], "");
    let token = answer.text();
    assert_eq!(token.len(), 43);
    let cookie = format!("__Host-csrf={token}; Path=/; SameSite=Lax; Secure; HttpOnly");
    assert_eq!(answer.header("set-cookie"), cookie);
    assert_eq!(answer.header("vary"), "Cookie");
    let cookie = format!("__Host-csrf={token}");
    check(&[("cookie", &cookie), ("x-csrf-token", token)], 200);
}

#[test]
fn a_known_client_keeps_its_token() {
    let cookie = format!("__Host-csrf={TOKEN}");
    let answer = ask(&config(), "GET /form", &[("cookie", &cookie)], "");
    assert_eq!((answer.text(), answer.header("set-cookie")), (TOKEN, ""));
}

#[test]
fn an_answer_without_a_form_sets_no_cookie_unless_told_to() {
    assert_eq!(ask(&config(), "GET /plain", &[], "").header("set-cookie"), "");
    let config = CsrfConfig { always_send_cookie: true, cookie_http_only: false, ..config() };
    let cookie = ask(&config, "GET /plain", &[], "").header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-csrf=") && cookie.ends_with("; Secure"), "{cookie}");
}

#[test]
fn the_token_may_stand_in_a_form() {
    let config = CsrfConfig { token_field: "csrf".into(), ..config() };
    let cookie = format!("__Host-csrf={TOKEN}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = "item=7&csrf=0123456789012345678901234567890123456789abc";
    let answer = ask(&config, "POST /buy", &[form, ("cookie", &cookie)], body);
    assert_eq!((answer.status().as_u16(), answer.text()), (200, body));
    assert_eq!(ask(&config, "POST /buy", &[form, ("cookie", &cookie)], "item=7&csrf=x").status(), 403);
    assert_eq!(ask(&config, "POST /buy", &[("cookie", &cookie)], body).status(), 403);
    assert_eq!(ask(&config, "POST /plain", &[form, ("cookie", &cookie)], body).status(), 405);
    assert_eq!(ask(&config, "POST /buy", &[("cookie", &cookie), ("x-csrf-token", TOKEN)], "").status(), 200);
    assert_eq!(ask(&config, "POST /buy", &[("sec-fetch-site", "same-origin")], "").status(), 200);
}

#[test]
fn a_token_without_the_middleware_is_a_mistake_of_the_app() {
    let form = async |token: CsrfToken| token.to_string();
    assert_eq!(crate::send(App::new().get("/", form), "GET /").status(), 500);
}

#[track_caller]
fn refused(config: CsrfConfig, message: &str) {
    assert_eq!(Csrf::new(&config).unwrap_err().to_string(), message);
}

#[test]
fn what_would_not_protect_is_refused() {
    refused(
        CsrfConfig { trusted_origins: vec!["*".into()], ..config() },
        "`csrf.trusted_origins` is [\"*\"], but must be origins by name: `*` and `null` are everybody",
    );
    refused(
        CsrfConfig { cookie_secure: false, ..config() },
        "`csrf.cookie_name` is \"__Host-csrf\", but must be a token; with the prefix `__Host-` or `__Secure-` only if \
         cookie_secure is true",
    );
    refused(
        CsrfConfig { token_header: "X Token".into(), ..config() },
        "`csrf.token_header` is \"X Token\", but must be a header name",
    );
}
