//! Middleware that changes where a request goes: rewrite, trailing slash, canonical address, method override; and
//! Recover, which belongs to no place.

use seawall_core::ConfigError;
use seawall_http::middleware::{
    CanonicalRedirect, CanonicalRedirectConfig, CanonicalUrl, MethodOverride, MethodOverrideConfig,
    MethodSource, Recover, Rewrite, RewriteConfig, RewriteRule, Slash, TrailingSlash, TrailingSlashConfig,
};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, ProxyConfig, Result, TrustedProxies, after};

use crate::{block_on, check, send};

fn rewrite(from: &str, to: &str) -> Rewrite {
    let rules = vec![RewriteRule::new(from, to)];
    Rewrite::new(&RewriteConfig { rules, ..RewriteConfig::default() }).unwrap()
}

#[test]
fn a_rewritten_path_finds_another_route() {
    let show =
        async |c: Context| c.text(200, format!("{} {:?}", c.param::<String>("name")?, c.uri().query()));
    let app = App::new().get("/new/:name", show).pre(rewrite("/old/*", "/new/$1"));
    check(app, "GET /old/a%20b?c=d", 200, "a b Some(\"c=d\")");
}

#[test]
fn a_rule_that_does_not_fit_changes_nothing() {
    check(App::new().get("/", async || "here").pre(rewrite("/old/*", "/new/$1")), "GET /", 200, "here");
}

#[test]
fn a_method_that_the_new_path_does_not_have_is_a_405() {
    let app = App::new().get("/new", async || "new").pre(rewrite("/old", "/new"));
    let answer = send(app, "DELETE /old");
    assert_eq!((answer.status().as_u16(), answer.header("allow")), (405, "GET, HEAD, OPTIONS"));
}

fn slashes(end_with: Slash, code: Option<u16>) -> App {
    let app = App::new().get("/a", async || "without").get("/b/", async || "with").get("/", async || "root");
    app.pre(TrailingSlash::new(&TrailingSlashConfig { end_with, code }).unwrap())
}

#[test]
fn a_slash_is_removed_without_a_word() {
    check(slashes(Slash::Without, None), "GET /a/", 200, "without");
    check(slashes(Slash::Without, None), "GET /", 200, "root");
}

#[test]
fn a_slash_is_added_without_a_word() {
    check(slashes(Slash::With, None), "GET /b", 200, "with");
}

#[track_caller]
fn check_redirect(answer: &TestResponse, status: u16, location: &str) {
    assert_eq!((answer.status().as_u16(), answer.header("location")), (status, location));
}

#[test]
fn a_redirect_to_the_right_form_keeps_the_query() {
    check_redirect(&send(slashes(Slash::Without, Some(308)), "GET /a/?b=c/"), 308, "/a?b=c/");
    check_redirect(&send(slashes(Slash::With, Some(301)), "GET /b?c"), 301, "/b/?c");
}

#[test]
fn a_redirect_to_the_right_form_never_leaves_the_host() {
    check_redirect(
        &send(slashes(Slash::Without, Some(301)), "GET //elsewhere.example/"),
        301,
        "/elsewhere.example",
    );
    check_redirect(
        &send(slashes(Slash::With, Some(301)), "GET //elsewhere.example"),
        301,
        "/elsewhere.example/",
    );
}

fn canonical(to: CanonicalUrl, code: u16) -> App {
    let config = CanonicalRedirectConfig { to, code, ..Default::default() };
    App::new().get("/", async || "home").with(CanonicalRedirect::new(&config).unwrap())
}

fn ask(app: App, host: &str, target: &str) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    block_on(async { client.get(target).header("host", host).await })
}

#[test]
fn http_is_redirected_with_path_and_query() {
    let answer = ask(canonical(CanonicalUrl::Https, 301), "a.example", "/x?y=z");
    check_redirect(&answer, 301, "https://a.example/x?y=z");
    check_redirect(
        &ask(canonical(CanonicalUrl::HttpsWww, 308), "a.example", "/"),
        308,
        "https://www.a.example/",
    );
    check_redirect(
        &ask(canonical(CanonicalUrl::NonWww, 301), "www.a.example", "/"),
        301,
        "http://a.example/",
    );
}

#[test]
fn a_proxy_that_is_trusted_may_have_ended_tls() {
    let proxies =
        ProxyConfig { trusted: vec!["loopback".to_owned()], forwarded_proto: true, ..ProxyConfig::default() };
    let app = canonical(CanonicalUrl::Https, 301).trust_proxies(&TrustedProxies::new(&proxies).unwrap());
    let client = TestClient::new(app).unwrap().with_peer("127.0.0.1:9");
    let ask = |proto: &'static str| {
        block_on(async {
            client.get("/").header("host", "a.example").header("x-forwarded-proto", proto).await
        })
    };
    assert_eq!(ask("https").text(), "home");
    check_redirect(&ask("http"), 301, "https://a.example/");
}

#[test]
fn a_host_that_is_none_is_refused() {
    assert_eq!(ask(canonical(CanonicalUrl::Https, 301), "a.example/evil", "/").status(), 400);
}

#[test]
fn a_right_address_stays() {
    assert_eq!(ask(canonical(CanonicalUrl::Www, 301), "www.a.example", "/").text(), "home");
}

fn overriding(from: MethodSource) -> Result<App, ConfigError> {
    let config = MethodOverrideConfig { from, ..Default::default() };
    let show = async |c: Context| c.text(200, c.method().to_string());
    Ok(App::new().post("/", show).delete("/", show).pre(MethodOverride::new(&config)?))
}

#[track_caller]
fn check_header(method: &str, wanted: &str, status: u16, body: &str) {
    let config = MethodOverrideConfig::default();
    let app = overriding(config.from).unwrap().get("/", async || "GET");
    let client = TestClient::new(app).unwrap();
    let request = client.request(method.parse().unwrap(), "/").header("x-http-method-override", wanted);
    let answer = block_on(async { request.await });
    assert_eq!((answer.status().as_u16(), answer.text()), (status, body));
}

#[test]
fn a_post_is_what_its_header_says() {
    check_header("POST", "delete", 200, "DELETE");
    check_header("POST", "", 200, "POST");
}
#[test]
fn only_a_post_may_say_so() {
    check_header("GET", "DELETE", 200, "GET");
}
#[test]
fn a_method_that_is_not_allowed_is_refused() {
    check_header(
        "POST",
        "GET",
        400,
        r#"{"message":"a POST may stand for PUT, PATCH, DELETE and for nothing else"}"#,
    );
}
#[test]
fn a_method_without_a_route_is_a_405() {
    check_header("POST", "PUT", 405, r#"{"message":"Method Not Allowed"}"#);
}
#[test]
fn the_query_may_name_the_method() {
    check(overriding(MethodSource::Query("_method".into())).unwrap(), "POST /?_method=DELETE", 200, "DELETE");
}
#[test]
fn a_form_may_name_the_method_and_stays_readable() {
    let config = MethodOverrideConfig { from: MethodSource::Form("_method".into()), ..Default::default() };
    let app = App::new()
        .delete("/", async |body: String| body)
        .post("/", async |body: String| body.len().to_string());
    let client = TestClient::new(app.pre(MethodOverride::new(&config).unwrap())).unwrap();
    let ask = |kind: &'static str| {
        block_on(async { client.post("/").header("content-type", kind).body("_method=DELETE&a=b").await })
    };
    assert_eq!(ask("application/x-www-form-urlencoded; charset=utf-8").text(), "_method=DELETE&a=b");
    assert_eq!(ask("text/plain").text(), "18");
}

#[test]
fn recover_shows_a_panic_to_those_further_out() {
    let seen = after(|_, answer| {
        if let Err(error) = answer {
            error.headers_mut().insert("x-seen", "yes".parse().unwrap());
        }
    });
    let app = App::new().get("/", async || -> &'static str { panic!("at the disco") });
    let answer = send(app.with(seen).with(Recover), "GET /");
    assert_eq!((answer.status().as_u16(), answer.header("x-seen")), (500, "yes"));
    assert_eq!(answer.text(), r#"{"message":"Internal Server Error"}"#);
}
