//! `#[derive(Bind)]`: each field from its own place, and one answer for all that are wrong. What rustc says to a wrong
//! derive is in `tests/compile_fail`.

use http::Method;
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Bind, Context, Json, Path, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{block_on, send};

#[derive(Debug, Bind)]
#[expect(dead_code, reason = "read by Debug only")]
struct Place {
    #[bind(path)]
    shop: u64,
    #[bind(query, default)]
    page: u32,
    #[bind(query, default = 20)]
    limit: u32,
    #[bind(query = "tag")]
    tags: Vec<String>,
    #[bind(header = "X-Tenant")]
    tenant: String,
    #[bind(header)]
    x_trace: Option<u8>,
    #[bind(cookie)]
    session: Option<String>,
    #[bind(body)]
    order: Order,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug only")]
struct Order {
    sku: String,
    quantity: u8,
}

fn app() -> App {
    App::new().post("/:shop", async |place: Place| format!("{place:?}"))
}

#[track_caller]
fn sent(target: &str, headers: &[(&str, &str)], body: &str) -> TestResponse {
    let client = TestClient::new(app()).unwrap();
    let request = client.request(Method::POST, target).body(body.to_owned());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    block_on(request.into_future())
}

const BODY: &str = r#"{"sku":"a","quantity":2}"#;

#[test]
fn each_field_comes_from_its_place() {
    let headers = [("x-tenant", "t"), ("x-trace", "3"), ("cookie", "session=s")];
    let all = r#"Place { shop: 7, page: 2, limit: 5, tags: ["a", "b"], tenant: "t", x_trace: Some(3), session: Some("s"), order: Order { sku: "a", quantity: 2 } }"#;
    assert_eq!(sent("/7?page=2&limit=5&tag=a&tag=b", &headers, BODY).text(), all);
}
#[test]
fn what_is_missing_has_its_default() {
    let least = r#"Place { shop: 7, page: 0, limit: 20, tags: [], tenant: "t", x_trace: None, session: None, order: Order { sku: "a", quantity: 2 } }"#;
    assert_eq!(sent("/7", &[("x-tenant", "t")], BODY).text(), least);
}
#[test]
fn no_place_stands_for_another() {
    let least = r#"Place { shop: 7, page: 0, limit: 20, tags: [], tenant: "t", x_trace: None, session: None, order: Order { sku: "a", quantity: 2 } }"#;
    let elsewhere = r#"{"sku":"a","quantity":2,"shop":8,"page":9,"session":"stolen"}"#;
    assert_eq!(sent("/7?shop=8&session=stolen&sku=b", &[("x-tenant", "t")], elsewhere).text(), least);
}
#[test]
fn one_answer_names_all_that_is_wrong() {
    let answer = sent("/x?page=y&limit=-1", &[("x-trace", "300")], r#"{"sku":"a","quantity":"z"}"#);
    let expected = r#"{"message":"the request is not what was expected","fields":[{"field":"shop","message":"is `x`, but must be a whole number from 0 to 18446744073709551615"},{"field":"page","message":"is `y`, but must be a whole number from 0 to 4294967295"},{"field":"limit","message":"is `-1`, but must be a whole number from 0 to 4294967295"},{"field":"x-tenant","message":"is missing"},{"field":"x-trace","message":"must be a whole number from 0 to 255"},{"field":"quantity","message":"invalid type: string \"z\", expected u8 at line 1 column 25"}]}"#;
    assert_eq!((answer.status().as_u16(), answer.text()), (400, expected));
}
#[test]
fn what_is_wrong_in_the_body_alone_is_422() {
    let answer = sent("/7", &[("x-tenant", "t")], "{}");
    assert_eq!(answer.status(), 422);
    assert!(answer.text().contains(r#""field":"sku","message":"is missing""#), "{}", answer.text());
}
#[test]
fn a_body_that_is_missing_or_no_json_is_400() {
    for (body, problem) in [("", "is missing"), ("{", "EOF while parsing an object at line 1 column 1")] {
        let answer = sent("/7", &[("x-tenant", "t")], body);
        assert_eq!(answer.status(), 400);
        assert!(
            answer.text().contains(&format!(r#""field":"body","message":"{problem}""#)),
            "{}",
            answer.text()
        );
    }
}
#[test]
fn a_body_may_be_a_form_and_nothing_else() {
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(sent("/7", &[("x-tenant", "t"), form], "sku=a&quantity=2").status(), 200);
    assert_eq!(sent("/7", &[("x-tenant", "t"), form], "sku=a&quantity=x").status(), 422);
    assert_eq!(sent("/7", &[("content-type", "text/plain")], "a").status(), 415);
}
#[test]
fn a_413_stays_one() {
    use seawall_http::RouteOptions as _;
    use seawall_http::middleware::BodyLimit;
    let app = App::new().post("/:shop", (async |_: Place| "").with(BodyLimit::new(4)));
    assert_eq!(send(app, "POST /x?page=x 12345").status(), 413);
}

/// Without a body it may stand anywhere.
#[derive(Bind)]
#[bind(crate = ::seawall_http)]
struct Paging {
    #[bind(query, default = 1 + 1)]
    page: u32,
    #[bind(query)]
    r#type: Option<String>,
}

#[test]
fn without_a_body_it_may_stand_anywhere() {
    let list = async |p: Paging, Path(id): Path<u8>, Json(n): Json<u8>| {
        format!("{} {:?} {id} {n}", p.page, p.r#type)
    };
    assert_eq!(send(App::new().post("/:id", list), "POST /7?type=a 3").text(), r#"2 Some("a") 7 3"#);
}

#[derive(Bind)]
struct Wrapped<T>
where
    T: DeserializeOwned,
{
    #[bind(query)]
    value: T,
    #[bind(body)]
    rest: Option<Vec<T>>,
}

#[test]
fn a_struct_may_be_generic_and_its_body_absent() {
    let app = || App::new().post("/", async |w: Wrapped<u8>| format!("{} {:?}", w.value, w.rest));
    assert_eq!(send(app(), "POST /?value=1").text(), "1 None");
    assert_eq!(send(app(), "POST /?value=1 [2,3]").text(), "1 Some([2, 3])");
    assert_eq!(send(app(), "POST /?value=x").status(), 400);
}

#[derive(Bind)]
struct Odd {
    #[bind(path)]
    nmae: String,
    #[bind(query)]
    c: u8,
    #[bind(query)]
    reader: u8,
}

#[test]
fn a_parameter_that_the_route_has_not_is_the_programs_mistake() {
    let app = App::new().get("/:name", async |o: Odd| format!("{}{}{}", o.nmae, o.c, o.reader));
    assert_eq!(send(app, "GET /x?c=1&reader=2").status(), 500);
}
#[test]
fn names_of_fields_do_not_meet_the_derives_own() {
    let app = App::new().get("/:nmae", async |o: Odd| format!("{}{}{}", o.nmae, o.c, o.reader));
    assert_eq!(send(app, "GET /x?c=1&reader=2").text(), "x12");
}
#[test]
fn it_can_be_taken_inside_a_handler_or_looked_at() {
    use seawall_http::Extract as _;
    let inside = async |c: Context| Paging::extract(&c).await.map(|p| p.page.to_string());
    let looked_at = async |p: Result<Paging>| p.is_err().to_string();
    let app = || App::new().get("/a", inside).get("/b", looked_at);
    assert_eq!(send(app(), "GET /a?page=5").text(), "5");
    assert_eq!(send(app(), "GET /a?page=x").status(), 400);
    assert_eq!(send(app(), "GET /b?page=x").text(), "true");
}
