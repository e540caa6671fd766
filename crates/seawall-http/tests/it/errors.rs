//! Everything that fails ends in one place.

use http::{HeaderValue, StatusCode, header};
use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Error, Next, Response, Result, RouteOptions as _, after};

use crate::{block_on, check, send};

#[derive(Debug)]
enum ShopError {
    SoldOut,
    Unknown(u32),
}

impl std::error::Error for ShopError {}
impl std::fmt::Display for ShopError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

fn status(error: &ShopError) -> Error {
    match error {
        ShopError::SoldOut => Error::conflict("sold out").code("sold_out"),
        ShopError::Unknown(id) => Error::not_found(format!("no user {id}")),
    }
}

fn shop() -> App {
    async fn sold_out() -> Result<&'static str> {
        Err(ShopError::SoldOut)?
    }
    async fn unknown() -> Result<&'static str, ShopError> {
        Err(ShopError::Unknown(7))
    }
    async fn other() -> Result<String> {
        Ok(std::fs::read_to_string("/does/not/exist")?)
    }
    App::new().get("/sold-out", sold_out).get("/unknown", unknown).get("/other", other).map_error(status)
}

#[test]
fn a_domain_error_gets_its_status_in_one_place() {
    check(shop(), "GET /sold-out", 409, r#"{"message":"sold out","code":"sold_out"}"#);
    check(shop(), "GET /unknown", 404, r#"{"message":"no user 7"}"#);
}
#[test]
fn any_other_error_is_a_500_without_its_detail() {
    check(shop(), "GET /other", 500, r#"{"message":"Internal Server Error"}"#);
}
#[test]
fn middleware_sees_the_status_of_the_domain() {
    let seen = after(|_, answer| {
        if let Err(error) = answer {
            assert_eq!(error.status(), 409);
            assert!(matches!(error.cause(), Some(ShopError::SoldOut)));
        }
    });
    check(shop().with(seen), "GET /sold-out", 409, r#"{"message":"sold out","code":"sold_out"}"#);
}
#[test]
fn a_panic_is_a_500() {
    check(
        App::new().get("/", async || -> &str { panic!("oh") }),
        "GET /",
        500,
        r#"{"message":"Internal Server Error"}"#,
    );
}
#[test]
fn a_panic_in_a_middleware_is_one_too() {
    let app = App::new().with(async |_: Context, _: Next| -> Result<Response> { panic!("oh") });
    check(app, "GET /nowhere", 500, r#"{"message":"Internal Server Error"}"#);
}
#[test]
fn a_panic_in_on_error_still_answers() {
    check(App::new().on_error(|_, _| panic!("oh")), "GET /", 500, r#"{"message":"Internal Server Error"}"#);
}
#[test]
fn on_error_decides_what_the_client_reads() {
    let app = || {
        App::new()
            .get("/users/:id", async |c: Context| c.param::<u8>("id").map(|id| id.to_string()))
            .on_error(|c, e| Response::new(e.status(), format!("{} at {}", e.message(), c.path())))
    };
    check(app(), "GET /x", 404, "Not Found at /x");
    check(app(), "POST /users/1", 405, "Method Not Allowed at /users/1");
    check(app(), "GET /users/x", 400, "invalid path parameter at /users/x");
}
#[test]
fn a_timeout_is_504() {
    let slow = (async || std::future::pending::<&str>().await).timeout(std::time::Duration::from_millis(1));
    check(App::new().get("/", slow), "GET /", 504, r#"{"message":"the answer took too long"}"#);
}
#[test]
fn headers_of_an_error_reach_the_client() {
    let app = App::new().get("/", async || -> Result<&str> {
        Err(Error::unauthorized("who?").header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    });
    assert_eq!(send(app, "GET /").header("www-authenticate"), "Bearer");
}
#[test]
fn a_413_stays_one_through_bind() {
    let bind = async |c: Context| c.bind::<u32>().await.map(|n| n.to_string());
    let app = App::new().post("/", bind.with(seawall_http::middleware::BodyLimit::new(2)));
    assert_eq!(send(app, "POST / 12345").status(), StatusCode::PAYLOAD_TOO_LARGE);
}
#[test]
fn requests_are_counted_by_route_method_and_status() {
    let app = shop();
    let registry = app.metrics();
    let client = TestClient::new(app).unwrap();
    block_on(async {
        client.get("/sold-out").await;
        client.get("/sold-out?x=1").await;
        client.get("/nowhere").await;
    });
    let families = registry.snapshot();
    let durations =
        families.iter().find(|family| family.name == "http_server_request_duration_seconds").unwrap();
    let labels: Vec<_> =
        durations.samples.iter().map(|s| (s.labels[1].1.as_str(), s.labels[2].1.as_str())).collect();
    assert_eq!(labels, [("", "404"), ("/sold-out", "409")]);
}
