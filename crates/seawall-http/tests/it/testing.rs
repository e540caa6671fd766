//! The test client itself.

use std::collections::BTreeMap;

use http::Method;
use seawall_http::testing::{Multipart, TestClient};
use seawall_http::{App, Context, Form, Redirect};

use crate::block_on;

fn client(app: App) -> TestClient {
    TestClient::new(app).unwrap()
}

#[test]
fn every_verb_has_a_method() {
    let app = App::new().any("/", async |method: Method| method.to_string());
    let client = client(app);
    block_on(async {
        for (request, method) in [
            (client.get("/"), "GET"),
            (client.post("/"), "POST"),
            (client.put("/"), "PUT"),
            (client.patch("/"), "PATCH"),
            (client.delete("/"), "DELETE"),
            (client.options("/"), "OPTIONS"),
            (client.request(Method::TRACE, "/"), "TRACE"),
        ] {
            assert_eq!(request.await.text(), method);
        }
        let head = client.head("/").await;
        assert_eq!((head.text(), head.header("content-length")), ("", "4"));
    });
}
#[test]
fn a_form_arrives_as_a_browsers_would() {
    let echo = async |Form(form): Form<BTreeMap<String, String>>| format!("{form:?}");
    let client = client(App::new().post("/", echo));
    let form = [("name", "ann & bob"), ("city", "K\u{f6}ln")];
    let answer = block_on(async { client.post("/").form(&form).await });
    assert_eq!(answer.text(), "{\"city\": \"K\u{f6}ln\", \"name\": \"ann & bob\"}");
}
#[test]
fn files_are_sent_as_a_browser_sends_them() {
    let echo = async |c: Context| {
        let kind = c.header("content-type").unwrap_or_default().to_owned();
        Ok::<_, seawall_http::Error>(format!("{kind}\n{}", String::from_utf8_lossy(&c.body().await?)))
    };
    let client = client(App::new().post("/", echo));
    let parts = Multipart::new().text("note", "hi").file("photo", "a \"b\".png", "image/png", b"\x89PNG");
    let answer = block_on(async { client.post("/").multipart(parts).await });
    let boundary = "----seawall-test-7d9fb1c3";
    let expected = format!(
        "multipart/form-data; boundary={boundary}\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a %22b%22.png\"\r\n\
         Content-Type: image/png\r\n\r\n\u{fffd}PNG\r\n--{boundary}--\r\n"
    );
    assert_eq!(answer.text(), expected);
}
#[test]
fn a_request_may_come_from_another_peer_than_the_clients() {
    let app =
        App::new().get("/", async |c: Context| c.peer().map_or("none".to_owned(), |peer| peer.to_string()));
    let client = client(app).with_peer("192.0.2.1:7");
    block_on(async {
        assert_eq!(client.get("/").await.text(), "192.0.2.1:7");
        assert_eq!(client.get("/").peer("[2001:db8::1]:9").await.text(), "[2001:db8::1]:9");
    });
}
#[test]
fn a_redirect_is_looked_at_and_not_followed() {
    let app = App::new().get("/old", async || Redirect::permanent("/new")).get("/new", async || "new");
    let client = client(app);
    block_on(async {
        assert_eq!(client.get("/old").await.redirect(), Some("/new"));
        assert_eq!(client.get("/new").await.redirect(), None);
    });
}
#[test]
fn cookies_are_kept_only_when_asked_for() {
    let app = || {
        App::new().get("/", async |c: Context| {
            let seen = c.cookie("n").unwrap_or("0").to_owned();
            c.text(200, seen)?.set_cookie(&seawall_http::SetCookie::new("n", "1"))
        })
    };
    let (plain, browser) = (client(app()), client(app()).with_cookies());
    block_on(async {
        plain.get("/").await;
        browser.get("/").await;
        assert_eq!(plain.get("/").await.text(), "0");
        assert_eq!(browser.get("/").await.text(), "1");
        assert_eq!(browser.get("/").cookie("n", "7").await.text(), "7", "an explicit one comes first");
    });
}
