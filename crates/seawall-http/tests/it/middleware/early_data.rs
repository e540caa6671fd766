//! Requests that came before the TLS handshake was over.

use seawall_http::App;
use seawall_http::middleware::{EarlyData, EarlyDataConfig};
use serde_json::Value;

use super::auth::ask;

fn app(config: &EarlyDataConfig) -> App {
    App::new().with(EarlyData::new(config).unwrap()).get("/", async || "read").post("/", async || "done")
}
fn early(request: &str, value: &str) -> u16 {
    ask(app(&EarlyDataConfig::default()), request, &[("early-data", value)], "").status().as_u16()
}

#[test]
fn what_may_change_something_is_to_be_sent_again() {
    let answer = ask(app(&EarlyDataConfig::default()), "POST /", &[("early-data", "1")], "");
    assert_eq!(answer.status(), 425);
    assert_eq!(answer.json::<Value>()["code"], "early_data");
    assert_eq!(early("POST /", "anything"), 425);
    assert_eq!(ask(app(&EarlyDataConfig::default()), "POST /", &[], "").text(), "done");
}

#[test]
fn what_only_reads_comes_in() {
    assert_eq!((early("GET /", "1"), early("HEAD /", "1"), early("OPTIONS /", "1")), (200, 200, 204));
}

#[test]
fn a_405_stays_one() {
    assert_eq!(early("DELETE /", "1"), 405);
}

#[test]
fn the_methods_are_for_the_service_to_choose() {
    let methods = vec!["HEAD".to_owned()];
    let answer = ask(app(&EarlyDataConfig { methods }), "GET /", &[("early-data", "1")], "");
    assert_eq!(answer.status(), 425);
    for methods in [vec![], vec!["no method".to_owned()]] {
        let refused = EarlyData::new(&EarlyDataConfig { methods }).unwrap_err();
        assert_eq!(refused.field(), "early_data.methods");
    }
}
