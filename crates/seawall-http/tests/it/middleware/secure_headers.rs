//! Headers that make browsers careful.

use std::time::Duration;

use seawall_http::middleware::{SecureHeaders, SecureHeadersConfig};
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Context, Error, Response};

use crate::{block_on, send};

async fn hello() -> &'static str {
    "hello"
}

fn app(config: &SecureHeadersConfig) -> App {
    App::new().get("/", hello).with(SecureHeaders::new(config).unwrap())
}

fn year() -> SecureHeadersConfig {
    SecureHeadersConfig { hsts_max_age: Duration::from_secs(31_536_000), ..SecureHeadersConfig::default() }
}

#[track_caller]
fn refused(config: SecureHeadersConfig, message: &str) {
    assert_eq!(SecureHeaders::new(&config).unwrap_err().to_string(), message);
}

#[test]
fn the_defaults_are_sent_and_no_more() {
    let answer = send(app(&SecureHeadersConfig::default()), "GET /");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
    assert_eq!(answer.header("x-xss-protection"), "0");
    let names =
        ["referrer-policy", "content-security-policy", "permissions-policy", "strict-transport-security"];
    for name in names {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
}

#[test]
fn failures_have_them_too() {
    for request in ["GET /nowhere", "POST /", "OPTIONS /"] {
        let answer = send(app(&SecureHeadersConfig::default()), request);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{request}");
    }
}

#[test]
fn failures_keep_them_under_an_on_error_of_ones_own() {
    let own = |_: &Context, error: Error| Response::new(error.status(), "own");
    let answer = send(app(&SecureHeadersConfig::default()).on_error(own), "GET /nowhere");
    assert_eq!((answer.text(), answer.header("x-content-type-options")), ("own", "nosniff"));
}

#[test]
fn every_policy_has_its_header() {
    let config = SecureHeadersConfig {
        referrer_policy: "no-referrer".into(),
        content_security_policy: "default-src 'self'".into(),
        permissions_policy: "camera=()".into(),
        cross_origin_opener_policy: "same-origin".into(),
        cross_origin_resource_policy: "same-site".into(),
        cross_origin_embedder_policy: "require-corp".into(),
        frame_options: "".into(),
        ..SecureHeadersConfig::default()
    };
    let answer = send(app(&config), "GET /");
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'self'"),
        ("permissions-policy", "camera=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-site"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("x-frame-options", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
}

#[test]
fn a_policy_may_be_reported_only() {
    let config = SecureHeadersConfig {
        content_security_policy: "default-src 'self'".into(),
        content_security_policy_report_only: true,
        ..SecureHeadersConfig::default()
    };
    let answer = send(app(&config), "GET /");
    assert_eq!(answer.header("content-security-policy-report-only"), "default-src 'self'");
    assert_eq!(answer.header("content-security-policy"), "");
}

#[test]
fn a_handlers_own_header_stays() {
    let framed = async |c: Context| {
        let answer = c.text(200, "framed")?;
        Ok::<_, Error>(answer.header(http::header::X_FRAME_OPTIONS, "DENY".parse()?))
    };
    let secure = SecureHeaders::new(&SecureHeadersConfig::default()).unwrap();
    let answer = send(App::new().get("/", framed).with(secure), "GET /");
    let all: Vec<_> = answer.headers().get_all("x-frame-options").iter().collect();
    assert_eq!(all, ["DENY"]);
}

/// An answer to a client that came over `proto`, by the word of a trusted proxy.
fn over(proto: &str, config: &SecureHeadersConfig) -> TestResponse {
    let proxies = seawall_http::ProxyConfig {
        trusted: vec!["loopback".into()],
        forwarded_proto: true,
        ..Default::default()
    };
    let app = app(config).trust_proxies(&seawall_http::TrustedProxies::new(&proxies).unwrap());
    let client = TestClient::new(app).unwrap().with_peer("127.0.0.1:5");
    block_on(async { client.get("/").header("x-forwarded-proto", proto).await })
}

#[test]
fn hsts_is_for_https_alone() {
    let hsts = |proto| over(proto, &year()).header("strict-transport-security").to_owned();
    assert_eq!(hsts("https"), "max-age=31536000; includeSubDomains");
    assert_eq!(hsts("http"), "");
}

#[test]
fn hsts_may_preload_and_leave_subdomains_out() {
    let preload = SecureHeadersConfig { hsts_preload: true, ..year() };
    let answer = over("https", &preload);
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000; includeSubDomains; preload");
    let alone = SecureHeadersConfig { hsts_include_subdomains: false, ..year() };
    assert_eq!(over("https", &alone).header("strict-transport-security"), "max-age=31536000");
}

#[test]
fn what_the_preload_list_would_refuse_is_refused() {
    let message = "`secure_headers.hsts_preload` is true, but must be false unless hsts_max_age is at least a year \
                   and hsts_include_subdomains is true";
    refused(SecureHeadersConfig { hsts_preload: true, ..SecureHeadersConfig::default() }, message);
    refused(SecureHeadersConfig { hsts_preload: true, hsts_include_subdomains: false, ..year() }, message);
}

#[test]
fn values_that_are_none_are_refused() {
    let config = SecureHeadersConfig { frame_options: "ALLOW".into(), ..SecureHeadersConfig::default() };
    refused(config, "`secure_headers.frame_options` is ALLOW, but must be DENY, SAMEORIGIN or empty");
    let config = SecureHeadersConfig { referrer_policy: "a\nb".into(), ..SecureHeadersConfig::default() };
    refused(config, "`secure_headers.referrer_policy` is \"a\\nb\", but must be visible ASCII and spaces");
}

#[test]
fn a_file_may_say_it() {
    let config: SecureHeadersConfig =
        serde_json::from_str(r#"{"frame_options": "DENY", "hsts_max_age": 60}"#).unwrap();
    assert_eq!((&*config.frame_options, config.hsts_max_age), ("DENY", Duration::from_secs(60)));
    assert!(serde_json::from_str::<SecureHeadersConfig>(r#"{"frame_option": "DENY"}"#).is_err());
}
