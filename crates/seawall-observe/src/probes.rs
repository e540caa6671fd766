//! Health on the service's own port, for balancers that cannot reach the admin listener.

use seawall_http::{Error, Group, Result};

use crate::Health;

/// Two routes: `GET /livez` is 200 as long as the service answers at all, `GET /readyz` is 200 or 503. They say nothing
/// more, because anybody may ask; the reasons are on the admin listener.
///
/// Mount it beside what needs a sign-in, and tell `health` when the drain begins, so that balancers look elsewhere
/// before connections are closed:
///
/// ```
/// use seawall_http::App;
/// use seawall_observe::{Health, probes};
///
/// let health = Health::new();
/// let app = App::new().mount("/", probes(&health));
/// let server = app.bind("127.0.0.1:0")?.on_drain(move || health.drain());
/// # drop(server);
/// # Ok::<(), seawall_http::Error>(())
/// ```
///
/// Overload is no reason to be not ready unless a check says so: one replica after the other would be taken away. So
/// they pass by admission; put limits of your own that refuse work further in than this.
pub fn probes(health: &Health) -> Group {
    let health = health.clone();
    let ready = move || {
        let ready = health.ready();
        async move { ready.map(|()| "ready").map_err(|_| Error::unavailable("not ready")) as Result<_> }
    };
    Group::new().bypass_admission().get("/livez", async || "alive").get("/readyz", ready)
}

#[cfg(test)]
mod tests {
    use seawall_http::App;
    use seawall_http::testing::TestClient;

    use super::*;

    #[track_caller]
    fn check(health: &Health, target: &str, status: u16, text: &str) {
        let client = TestClient::new(App::new().mount("/", probes(health))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(async { client.get(target).await });
        assert_eq!((answer.status().as_u16(), answer.text()), (status, text), "{target}");
    }

    #[test]
    fn a_service_is_alive_and_ready() {
        check(&Health::new(), "/livez", 200, "alive");
        check(&Health::new(), "/readyz", 200, "ready");
    }
    #[test]
    fn while_draining_it_is_alive_and_not_ready() {
        let health = Health::new();
        health.drain();
        check(&health, "/livez", 200, "alive");
        check(&health, "/readyz", 503, r#"{"message":"not ready"}"#);
    }
    #[test]
    fn reasons_are_not_for_everybody() {
        let health = Health::new();
        health.add_check("database", || Err("10.0.0.7 does not answer".to_owned()));
        check(&health, "/readyz", 503, r#"{"message":"not ready"}"#);
    }
}
