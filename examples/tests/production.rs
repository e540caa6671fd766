//! The service of `production.rs`: that its middleware does its work together, and stands in the documented order.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[allow(dead_code, reason = "its `main` is not run here")]
#[path = "../production.rs"]
mod production;

use production::{Installation, app};
use seawall::observe::Health;
use seawall::testing::{TestClient, TestResponse};

fn client(health: &Health) -> TestClient {
    let here = Installation {
        hosts: vec!["shop.example".to_owned()],
        pages: vec!["https://pages.example".to_owned()],
        proxies: vec!["10.0.0.0/8".to_owned()],
        keys: vec![("accounting".to_owned(), "4f1c8e6a90b24d0f".to_owned())],
    };
    TestClient::new(app(&here, health).unwrap()).unwrap().with_peer("192.0.2.1:4711")
}

/// Sends `METHOD /target` with these headers to a service of its own.
async fn ask(request: &str, headers: &[(&str, &str)]) -> TestResponse {
    let client = client(&Health::default());
    let (method, target) = request.split_once(' ').unwrap();
    let request = client.request(method.parse().unwrap(), target).header("host", "shop.example");
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).await
}

#[tokio::test]
async fn an_answer_has_what_each_of_them_puts_onto_it() {
    let answer = ask("GET /", &[("origin", "https://pages.example")]).await;
    assert_eq!((answer.status().as_u16(), answer.text()), (200, "ready"));
    for name in ["x-request-id", "x-content-type-options", "etag", "ratelimit"] {
        assert!(!answer.header(name).is_empty(), "{name} in {answer:?}");
    }
    assert_eq!(answer.header("access-control-allow-origin"), "https://pages.example");
}

#[tokio::test]
async fn refusals_have_the_headers_of_those_further_out() {
    let stranger =
        ask("POST /orders", &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(stranger.status(), 403);
    assert!(
        !stranger.header("x-request-id").is_empty() && !stranger.header("x-content-type-options").is_empty()
    );
    let ours =
        ask("POST /orders", &[("origin", "https://pages.example"), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!((ours.text(), ours.header("access-control-allow-credentials")), ("ordered", "true"));
    assert_eq!(ask("GET /reports/today", &[]).await.status(), 401);
    let known = ask("GET /reports/today", &[("authorization", "Bearer 4f1c8e6a90b24d0f")]).await;
    assert_eq!(known.text(), "nothing sold yet");
}

#[tokio::test]
async fn probes_pass_what_is_for_the_public() {
    let health = Health::default();
    let client = client(&health);
    assert_eq!(client.get("/readyz").header("host", "10.0.0.7").await.status(), 200);
    assert_eq!(client.get("/").header("host", "10.0.0.7").await.status(), 421);
    health.drain();
    assert_eq!(client.get("/readyz").header("host", "10.0.0.7").await.status(), 503);
}

/// The names in a line of the table, or after `.with(` and `.pre(`.
fn names(line: &str) -> Vec<&str> {
    line.split(['`', '(', ':', ')', '.', ' ', ',', '|'])
        .filter(|word| word.starts_with(char::is_uppercase))
        .collect()
}

#[test]
fn its_order_is_that_of_the_documentation() {
    let document = include_str!("../../docs/MIDDLEWARE.md");
    let table = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let rows: Vec<_> = table.map(names).collect();
    let place = |name: &str| rows.iter().position(|row| row.contains(&name));
    let code = include_str!("../production.rs").lines().map(str::trim);
    let list = code.filter_map(|line| line.strip_prefix(".with(").or_else(|| line.strip_prefix(".pre(")));
    let list: Vec<_> = list.map(|rest| names(rest)[0]).collect();
    assert!(list.len() > 15, "{list:?}");
    let places: Vec<_> =
        list.iter().map(|name| place(name).unwrap_or_else(|| panic!("no row for {name}"))).collect();
    assert!(places.is_sorted(), "{list:?} stand in the rows {places:?}");
}
