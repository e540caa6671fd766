//! Values that follow a client, in a store or in a sealed cookie.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seawall_http::middleware::{
    MemorySessions, MemorySessionsConfig, Session, SessionConfig, SessionStore, Sessions,
};
use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Error, Result};

use crate::block_on;

const COOKIE: &str = "__Host-session";

/// A store that a test can look into, and that can be down.
#[derive(Clone)]
struct Watched(Arc<MemorySessions>, bool);

impl Watched {
    fn new() -> Self {
        Self(Arc::new(MemorySessions::new(&MemorySessionsConfig::default()).unwrap()), false)
    }
}

impl SessionStore for Watched {
    async fn load(&self, key: [u8; 32]) -> Result<Option<Bytes>> {
        SessionStore::load(&*self.0, key).await
    }
    async fn save(&self, key: [u8; 32], session: Bytes, keep: Duration) -> Result<()> {
        match self.1 {
            true => Err(Error::unavailable("the session store is down")),
            false => SessionStore::save(&*self.0, key, session, keep).await,
        }
    }
    async fn delete(&self, key: [u8; 32]) -> Result<()> {
        SessionStore::delete(&*self.0, key).await
    }
}

fn routes(sessions: Sessions) -> App {
    let count = async |session: Session| {
        let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
        session.set("visits", &visits)?;
        Ok::<_, Error>(visits.to_string())
    };
    let look = async |c: Context| {
        let visits = c.session()?.get::<u32>("visits")?;
        c.text(200, format!("{visits:?}"))
    };
    let fail = async |session: Session| {
        session.set("visits", &100)?;
        Err::<&str, _>(Error::conflict("no"))
    };
    let big = async |session: Session| session.set("big", &"x".repeat(3_000)).map(|()| "big");
    App::new()
        .with(sessions)
        .get("/count", count)
        .get("/look", look)
        .get("/plain", async || "plain")
        .get("/fail", fail)
        .get("/big", big)
        .get("/text", async |session: Session| session.get::<String>("visits").map(|_| "text"))
        .post("/sign-in", async |session: Session| {
            session.rotate();
            session.set("user", "ann").map(|()| "in")
        })
        .post("/sign-out", async |session: Session| {
            session.destroy();
            "out"
        })
        .post("/change-user", async |session: Session| {
            session.destroy();
            session.set("visits", &7).map(|()| "changed")
        })
        .post("/forget", async |session: Session| {
            session.remove("visits");
            session.get::<u32>("visits").map(|visits| format!("{visits:?}"))
        })
}

fn stored(config: &SessionConfig) -> (TestClient, Watched) {
    let store = Watched::new();
    let sessions = Sessions::in_store(config, store.clone()).unwrap();
    (TestClient::new(routes(sessions)).unwrap().with_cookies(), store)
}

/// The same script with both kinds of sessions.
#[track_caller]
fn play(script: impl AsyncFn(&TestClient)) {
    let (client, _) = stored(&SessionConfig::default());
    block_on(script(&client));
    #[cfg(feature = "cookies")]
    block_on(script(&sealed(&SessionConfig::default())));
}

#[cfg(feature = "cookies")]
fn sealed(config: &SessionConfig) -> TestClient {
    let keys = seawall_http::CookieKeys::new(&[7; 32]).unwrap();
    let app = routes(Sessions::in_cookie(config).unwrap()).cookie_keys(keys);
    TestClient::new(app).unwrap().with_cookies()
}

#[test]
fn values_follow_their_client() {
    play(async |client| {
        assert_eq!(client.get("/count").await.text(), "1");
        assert_eq!(client.get("/count").await.text(), "2");
        assert_eq!(client.get("/look").await.text(), "Some(2)");
        assert_eq!(client.post("/forget").await.text(), "None");
        assert_eq!(client.get("/look").await.text(), "None");
    });
}

#[test]
fn the_cookie_is_careful_and_its_answer_private() {
    play(async |client| {
        let answer = client.get("/count").await;
        let cookie = answer.header("set-cookie");
        assert!(cookie.ends_with("; Path=/; Max-Age=1800; SameSite=Lax; Secure; HttpOnly"), "{cookie}");
        assert_eq!((answer.header("cache-control"), answer.header("vary")), ("private", "Cookie"));
    });
}

#[test]
fn a_client_that_nobody_looks_at_gets_no_session() {
    let (client, store) = stored(&SessionConfig::default());
    block_on(async {
        let plain = client.get("/plain").await;
        assert_eq!((plain.header("set-cookie"), plain.header("vary")), ("", ""));
        let looked = client.get("/look").await;
        assert_eq!(
            (looked.text(), looked.header("set-cookie"), looked.header("vary")),
            ("None", "", "Cookie")
        );
        assert_eq!(client.get("/nowhere").await.header("set-cookie"), "");
        assert!(store.0.is_empty());
    });
}

#[test]
fn a_session_that_was_only_read_is_not_written() {
    play(async |client| {
        client.get("/count").await;
        assert_eq!(client.get("/look").await.header("set-cookie"), "");
    });
}

#[test]
fn a_failure_keeps_what_was_set_before_it() {
    play(async |client| {
        assert_eq!(client.get("/fail").await.status(), 409);
        assert_eq!(client.get("/look").await.text(), "Some(100)");
    });
}

#[test]
fn signing_in_changes_the_id_and_ends_the_old_one() {
    let (client, store) = stored(&SessionConfig::default());
    block_on(async {
        let before = client.get("/count").await.set_cookie(COOKIE).unwrap().to_owned();
        let after = client.post("/sign-in").await.set_cookie(COOKIE).unwrap().to_owned();
        assert_ne!(before, after);
        assert_eq!(store.0.len(), 1);
        assert_eq!(client.get("/look").await.text(), "Some(1)", "the values went along");
        let stranger =
            TestClient::new(routes(Sessions::in_store(&SessionConfig::default(), store).unwrap())).unwrap();
        assert_eq!(stranger.get("/look").cookie(COOKIE, &before).await.text(), "None");
        assert_eq!(stranger.get("/look").cookie(COOKIE, &after).await.text(), "Some(1)");
    });
}

#[test]
fn signing_out_ends_it_at_both_ends() {
    play(async |client| {
        client.get("/count").await;
        let out = client.post("/sign-out").await;
        assert!(out.header("set-cookie").contains("; Max-Age=0; Expires=Thu, 01 Jan 1970"), "{out:?}");
        assert_eq!(client.get("/look").await.text(), "None");
    });
    let (client, store) = stored(&SessionConfig::default());
    block_on(async {
        client.get("/count").await;
        client.post("/sign-out").await;
        assert!(store.0.is_empty());
    });
}

#[test]
fn what_is_set_after_an_end_begins_another_session() {
    let (client, store) = stored(&SessionConfig::default());
    block_on(async {
        let before = client.get("/count").await.set_cookie(COOKIE).unwrap().to_owned();
        let after = client.post("/change-user").await.set_cookie(COOKIE).unwrap().to_owned();
        assert_ne!(before, after);
        assert_eq!((client.get("/look").await.text(), store.0.len()), ("Some(7)", 1));
    });
}

#[test]
fn an_id_that_a_client_made_up_is_never_taken_over() {
    let (client, _) = stored(&SessionConfig::default());
    let planted = "A".repeat(43);
    let cookie = block_on(async { client.get("/count").cookie(COOKIE, &planted).await });
    assert_ne!(cookie.set_cookie(COOKIE), Some(&*planted));
}

#[cfg(feature = "cookies")]
#[test]
fn a_forged_cookie_is_no_session() {
    let client = sealed(&SessionConfig::default());
    block_on(async {
        let cookie = client.get("/count").await.set_cookie(COOKIE).unwrap().to_owned();
        assert!(!cookie.contains("visits"));
        let fresh = || sealed(&SessionConfig::default());
        assert_eq!(fresh().get("/look").cookie(COOKIE, &cookie).await.text(), "Some(1)");
        // A character in the middle: at the end it could stand for padding alone.
        let (begin, end) = cookie.split_at(cookie.len() / 2);
        let forged = format!("{begin}{}{}", if end.starts_with('A') { "B" } else { "A" }, &end[1..]);
        assert_eq!(fresh().get("/look").cookie(COOKIE, &forged).await.text(), "None");
        assert_eq!(fresh().get("/look").cookie(COOKIE, r#"{"c":0,"s":0,"v":{}}"#).await.text(), "None");
    });
}

#[test]
fn too_much_is_a_500_and_changes_nothing() {
    play(async |client| {
        client.get("/count").await;
        assert_eq!(client.get("/big").await.status(), 500);
        assert_eq!(client.get("/look").await.text(), "Some(1)");
    });
}

#[test]
fn a_value_of_another_type_is_a_mistake_of_the_app() {
    play(async |client| {
        client.get("/count").await;
        assert_eq!(client.get("/text").await.status(), 500);
    });
}

#[test]
fn a_store_that_is_down_is_no_success() {
    let store = Watched(Watched::new().0, true);
    let client =
        TestClient::new(routes(Sessions::in_store(&SessionConfig::default(), store).unwrap())).unwrap();
    block_on(async {
        assert_eq!(client.get("/count").await.status(), 503);
        assert_eq!(client.get("/look").await.status(), 200);
    });
}

#[test]
fn a_session_without_the_middleware_is_a_mistake_of_the_app() {
    let look = async |session: Session| session.get::<u32>("a").map(|_| "a");
    assert_eq!(crate::send(App::new().get("/", look), "GET /").status(), 500);
}

#[test]
fn no_value_is_shown() {
    let sessions = Sessions::in_store(&SessionConfig::default(), Watched::new()).unwrap();
    let show = async |session: Session| {
        session.set("card", "4111")?;
        Ok::<_, Error>(format!("{session:?}"))
    };
    let answer = crate::send(App::new().with(sessions).get("/", show), "GET /");
    assert_eq!(answer.text(), "Session([\"card\"])");
}

#[track_caller]
fn refused(config: SessionConfig, message: &str) {
    assert_eq!(Sessions::in_store(&config, Watched::new()).unwrap_err().to_string(), message);
}

#[test]
fn times_and_cookies_that_are_none_are_refused() {
    let config = SessionConfig::default;
    refused(
        SessionConfig { idle: Duration::ZERO, ..config() },
        "`session.idle` is 0ns, but must be 1 second to 400 days",
    );
    refused(
        SessionConfig { absolute: Duration::from_secs(60), ..config() },
        "`session.absolute` is 60s, but must be session.idle to 400 days",
    );
    refused(
        SessionConfig { max_bytes: 1, ..config() },
        "`session.max_bytes` is 1, but must be 64 to 1048576",
    );
    refused(
        SessionConfig { cookie_secure: false, ..config() },
        "`session.cookie_name` is \"__Host-session\", but must be a token; with the prefix `__Host-` or `__Secure-` \
         only if cookie_secure is true",
    );
    #[cfg(feature = "cookies")]
    assert_eq!(
        Sessions::in_cookie(&SessionConfig { max_bytes: 2_901, ..config() }).unwrap_err().to_string(),
        "`session.max_bytes` is 2901, but must be 64 to 2900 in a cookie"
    );
}
