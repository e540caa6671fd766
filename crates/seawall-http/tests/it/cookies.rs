//! Cookies that come, and cookies that go.

#![cfg(feature = "cookies")]

use seawall_http::testing::TestClient;
use seawall_http::{App, Context, CookieKeys, Error, Response, Result, SetCookie};

use crate::{block_on, send};

fn keys(secret: u8) -> CookieKeys {
    CookieKeys::new(&[secret; 32]).unwrap()
}

/// Signs in with a private cookie, and says who is signed in.
fn app(keys: CookieKeys) -> App {
    async fn sign_in(c: Context) -> Result<Response> {
        let session = SetCookie::new("session", "ann; really").private(&c)?;
        let theme = SetCookie::new("theme", "dark").signed(&c)?;
        c.text(200, "welcome")?.set_cookie(&session)?.set_cookie(&theme)
    }
    async fn who(c: Context) -> Result<String> {
        let who = c.private_cookie("session")?.unwrap_or_else(|| "nobody".to_owned());
        let theme = c.signed_cookie("theme")?.unwrap_or_else(|| "none".to_owned());
        Ok(format!("{who}, {theme}, {}", c.cookies().count()))
    }
    async fn sign_out(c: Context) -> Result<Response> {
        c.text(200, "bye")?
            .set_cookie(&SetCookie::removal("session"))?
            .set_cookie(&SetCookie::removal("theme"))
    }
    App::new().get("/", who).post("/in", sign_in).post("/out", sign_out).cookie_keys(keys)
}

#[test]
fn a_cookie_is_read_by_name() {
    let app = App::new().get("/", async |c: Context| c.cookie("b").unwrap_or("none").to_owned());
    let client = TestClient::new(app).unwrap();
    let ask = |cookies: &'static str| block_on(async { client.get("/").header("cookie", cookies).await });
    assert_eq!(ask("a=1; b=2; b=3").text(), "2");
    assert_eq!(ask("a=1; bb=2; =; b").text(), "none");
}
#[test]
fn a_browser_is_remembered_until_it_signs_out() {
    let client = TestClient::new(app(keys(1))).unwrap().with_cookies();
    block_on(async {
        assert_eq!(client.get("/").await.text(), "nobody, none, 0");
        let answer = client.post("/in").await;
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
        assert!(answer.set_cookie("session").unwrap().ends_with("; Path=/; SameSite=Lax; Secure; HttpOnly"));
        assert_eq!(client.get("/").await.text(), "ann; really, dark, 2");
        client.post("/out").await;
        assert_eq!(client.get("/").await.text(), "nobody, none, 0");
    });
}
#[test]
fn a_cookie_that_was_tampered_with_is_absent() {
    let client = TestClient::new(app(keys(1))).unwrap();
    block_on(async {
        let answer = client.post("/in").await;
        let value = |name| answer.set_cookie(name).unwrap().split(';').next().unwrap().to_owned();
        let (session, theme) = (value("session"), value("theme"));
        let good = client.get("/").cookie("session", &session).cookie("theme", &theme).await;
        assert_eq!(good.text(), "ann; really, dark, 2");
        let moved = client.get("/").cookie("session", &theme).cookie("theme", &session).await;
        assert_eq!(moved.text(), "nobody, none, 2");
        let changed = client.get("/").cookie("theme", &theme.replace("dark", "dork")).await;
        assert_eq!(changed.text(), "nobody, none, 1");
        let behind_a_forged_one = client.get("/").cookie("theme", "dork").cookie("theme", &theme).await;
        assert_eq!(behind_a_forged_one.text(), "nobody, dark, 2");
    });
}
#[test]
fn a_new_key_reads_what_the_old_one_wrote() {
    let (old, new) =
        (TestClient::new(app(keys(1))), TestClient::new(app(keys(2).and_read(&[1; 32]).unwrap())));
    block_on(async {
        let answer = old.unwrap().post("/in").await;
        let theme = answer.set_cookie("theme").unwrap().split(';').next().unwrap();
        assert_eq!(new.unwrap().get("/").cookie("theme", theme).await.text(), "nobody, dark, 1");
    });
}
#[test]
fn without_keys_it_is_our_mistake() {
    let app =
        App::new().get("/", async |c: Context| c.signed_cookie("a").map(|value| value.unwrap_or_default()));
    assert_eq!(send(app, "GET /").status(), 500);
}
#[test]
fn an_error_may_take_a_cookie_away() {
    let expired = async || -> Result<&str> {
        Err(Error::unauthorized("sign in again").set_cookie(&SetCookie::removal("session"))?)
    };
    let answer = send(App::new().get("/", expired), "GET /");
    assert_eq!(answer.status(), 401);
    assert!(answer.set_cookie("session").unwrap().starts_with("; Path=/; Max-Age=0; "));
}
#[test]
fn a_cookie_that_no_browser_would_keep_is_a_500() {
    let bad = async |c: Context| c.text(200, "")?.set_cookie(&SetCookie::new("__Host-a", "1").path("/x"));
    assert_eq!(send(App::new().get("/", bad), "GET /").status(), 500);
}
