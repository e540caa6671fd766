//! Only requests for hosts that are ours.

use seawall_http::middleware::{HostAuthorization, HostAuthorizationConfig};
use seawall_http::testing::TestClient;
use seawall_http::{App, Middleware as _, ProxyConfig, TrustedProxies};

use super::auth::ask;
use crate::block_on;

fn ours() -> HostAuthorization {
    let hosts = vec!["shop.example".to_owned(), "*.pages.example".to_owned()];
    HostAuthorization::new(&HostAuthorizationConfig { hosts }).unwrap()
}
fn app() -> App {
    App::new().with(ours()).get("/", async || "hello")
}

#[test]
fn a_host_of_ours_comes_in() {
    for host in ["shop.example", "shop.example:8080", "a.pages.example"] {
        assert_eq!(ask(app(), "GET /", &[("host", host)], "").text(), "hello", "{host}");
    }
}

#[test]
fn another_host_is_misdirected_whatever_it_asks_for() {
    for request in ["GET /", "POST /", "GET /nowhere", "OPTIONS /"] {
        assert_eq!(ask(app(), request, &[("host", "evil.example")], "").status(), 421, "{request}");
    }
}

#[test]
fn no_host_and_two_are_bad_requests() {
    assert_eq!(ask(app(), "GET /", &[], "").status(), 400);
    let two = [("host", "shop.example"), ("host", "evil.example")];
    assert_eq!(ask(app(), "GET /", &two, "").status(), 400);
}

#[test]
fn a_forwarded_host_counts_only_by_the_word_of_a_trusted_proxy() {
    let lines = [("host", "10.0.0.7"), ("x-forwarded-host", "shop.example")];
    let asked = |app: App| {
        let client = TestClient::new(app).unwrap().with_peer("10.0.0.1:4711");
        let request =
            lines.iter().fold(client.get("/"), |request, (name, value)| request.header(name, value));
        block_on(async { request.await.status().as_u16() })
    };
    assert_eq!(asked(app()), 421);
    let config =
        ProxyConfig { trusted: vec!["10.0.0.0/8".into()], forwarded_host: true, ..Default::default() };
    assert_eq!(asked(app().trust_proxies(&TrustedProxies::new(&config).unwrap())), 200);
}

#[test]
fn probes_may_be_excepted() {
    let app = App::new().with(ours().unless(|c| c.path() == "/livez")).get("/livez", async || "alive");
    assert_eq!(ask(app, "GET /livez", &[("host", "10.0.0.7")], "").text(), "alive");
}
