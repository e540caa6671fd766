//! Arguments of handlers, and what a client reads when one cannot be made.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderMap;
use seawall_http::testing::TestClient;
use seawall_http::{App, Body, Context, Error, Extract, Form, Json, Path, Query, Result, State};
use serde::Deserialize;

use crate::{block_on, check, send};

#[derive(Deserialize)]
struct Page {
    page: Option<u32>,
    #[serde(default)]
    tag: Vec<String>,
}

async fn list(Query(Page { page, tag }): Query<Page>) -> String {
    format!("{page:?} {tag:?}")
}

#[test]
fn a_query_fills_options_and_lists() {
    check(App::new().get("/", list), "GET /?page=2&tag=a&tag=b%20c", 200, r#"Some(2) ["a", "b c"]"#);
    check(App::new().get("/", list), "GET /", 200, "None []");
}

#[test]
fn a_bad_query_names_its_key() {
    let body = r#"{"message":"invalid query","fields":[{"field":"page","message":"is `x`, but must be a whole number from 0 to 4294967295"}]}"#;
    check(App::new().get("/", list), "GET /?page=x", 400, body);
}

#[test]
fn a_path_is_decoded_once() {
    let show = async |Path(name): Path<String>| name;
    check(App::new().get("/:name", show), "GET /a%2Fb%2520c", 200, "a/b%20c");
}

#[test]
fn a_path_fills_tuples_structs_and_maps() {
    #[derive(Deserialize)]
    struct Ids {
        order: u32,
        user: String,
    }
    let tuple = async |Path((user, order)): Path<(String, u32)>| format!("{user} {order}");
    let named = async |Path(Ids { user, order }): Path<Ids>| format!("{user} {order}");
    let map = async |Path(all): Path<HashMap<String, String>>| format!("{} {}", all["user"], all["order"]);
    check(App::new().get("/:user/:order", tuple), "GET /ann/7", 200, "ann 7");
    check(App::new().get("/:user/:order", named), "GET /ann/7", 200, "ann 7");
    check(App::new().get("/:user/:order", map), "GET /ann/7", 200, "ann 7");
}

#[test]
fn a_bad_path_names_its_parameter_and_range() {
    let show = async |Path(id): Path<u8>| id.to_string();
    let body = r#"{"message":"invalid path parameter","fields":[{"field":"id","message":"is `300`, but must be a whole number from 0 to 255"}]}"#;
    check(App::new().get("/:id", show), "GET /300", 400, body);
}

#[test]
fn a_path_that_is_no_text_is_400() {
    let show = async |Path(name): Path<String>| name;
    let body = r#"{"message":"invalid path parameter","fields":[{"field":"name","message":"is not UTF-8"}]}"#;
    check(App::new().get("/:name", show), "GET /%FF", 400, body);
}

#[test]
fn the_rest_of_a_path_is_a_parameter() {
    let file = async |c: Context| c.param::<String>("*");
    check(App::new().get("/files/*", file), "GET /files/a/b%20c", 200, "a/b c");
    let file = async |Path(rest): Path<String>| rest;
    check(App::new().get("/files/*", file), "GET /files/", 200, "");
}

#[test]
fn asking_for_a_parameter_that_is_not_there_is_500() {
    let show = async |c: Context| c.param::<String>("nmae");
    check(App::new().get("/:name", show), "GET /x", 500, r#"{"message":"Internal Server Error"}"#);
}

#[derive(Deserialize)]
struct Order {
    sku: String,
    quantity: u8,
}

async fn order(Json(Order { sku, quantity }): Json<Order>) -> String {
    format!("{quantity} x {sku}")
}

fn orders() -> App {
    App::new().post("/", order)
}

#[test]
fn json_fills_a_type() {
    check(orders(), r#"POST / {"sku":"a","quantity":2}"#, 200, "2 x a");
}

#[test]
fn bad_json_says_where() {
    let body = r#"{"message":"the body is not valid JSON","fields":[{"field":"body","message":"expected value at line 1 column 8"}]}"#;
    check(orders(), r#"POST / {"sku":}"#, 400, body);
}

#[test]
fn another_shape_names_the_field() {
    let body = r#"{"message":"the body is not what was expected","fields":[{"field":"quantity","message":"invalid value: integer `300`, expected u8 at line 1 column 25"}]}"#;
    check(orders(), r#"POST / {"sku":"a","quantity":300}"#, 422, body);
}

#[test]
fn another_content_type_is_415() {
    let client = TestClient::new(orders()).unwrap();
    let answer = block_on(async { client.post("/").header("content-type", "text/plain").body("{}").await });
    assert_eq!(answer.status(), 415);
}

#[test]
fn a_form_fills_a_type() {
    let app = || {
        App::new().post("/", async |Form(Order { sku, quantity }): Form<Order>| format!("{quantity} {sku}"))
    };
    check(app(), "POST / sku=a+b&quantity=2", 200, "2 a b");
    assert_eq!(send(app(), "POST / sku=a&quantity=x").status(), 422);
}

#[test]
fn bodies_come_as_they_are() {
    let app = || {
        App::new()
            .post("/bytes", async |body: Bytes| format!("{body:?}"))
            .post("/text", async |body: String| body)
            .post("/stream", async |mut body: Body| -> Result<String> {
                let mut pieces = 0;
                while let Some(piece) = body.next().await {
                    pieces += piece?.len();
                }
                Ok(pieces.to_string())
            })
    };
    check(app(), "POST /bytes a b", 200, r#"b"a b""#);
    check(app(), "POST /text a b", 200, "a b");
    check(app(), "POST /stream a b", 200, "3");
}

#[test]
fn headers_may_be_an_argument() {
    let show = async |headers: HeaderMap| format!("{:?}", headers["x-a"]);
    let client = TestClient::new(App::new().get("/", show)).unwrap();
    assert_eq!(block_on(async { client.get("/").header("x-a", "1").await }).text(), r#""1""#);
}

/// An extractor of the user's own.
struct User(String);

impl Extract for User {
    async fn extract(c: &Context) -> Result<Self> {
        let name = c.header("x-user").ok_or_else(|| Error::unauthorized("sign in first"))?;
        Ok(Self(name.to_owned()))
    }
}

#[test]
fn an_extractor_may_be_the_users_own() {
    let app = App::new().get("/", async |User(name): User, c: Context| c.text(200, name));
    check(app, "GET /", 401, r#"{"message":"sign in first"}"#);
}

#[test]
fn extraction_stops_at_the_first_that_fails() {
    let app = App::new()
        .post("/:id", async |Path(id): Path<u8>, _: User, Json(body): Json<u8>| (id + body).to_string());
    assert_eq!(send(app, "POST /x nonsense").status(), 400);
}

#[test]
fn state_is_used_as_the_thing_itself() {
    struct Shop(Vec<&'static str>);
    let app =
        App::new().state(Shop(vec!["a", "b"])).get("/", async |shop: State<Shop>| shop.0.len().to_string());
    check(app, "GET /", 200, "2");
}

#[test]
fn missing_state_fails_at_start_and_names_who_needs_it() {
    struct Shop;
    async fn show(_: State<Shop>) -> &'static str {
        ""
    }
    let error = App::new().get("/a", show).group("/g", |g| g.post("/b", show)).build().unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("Shop; needed by GET /a, POST /g/b"), "{text}");
}
