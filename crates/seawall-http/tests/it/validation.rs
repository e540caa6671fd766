//! `Validate` and `Valid`: one 422 that lists all that is not allowed, by garde or by hand.

use seawall_http::{
    App, Bind, Context, Extract as _, Form, Invalid, Json, Path, Query, Result, Valid, Validate,
};
use serde::Deserialize;

use crate::{check, send};

#[derive(Debug, Deserialize, garde::Validate)]
struct Order {
    #[garde(length(min = 1, max = 4))]
    customer: String,
    #[garde(length(min = 1), dive)]
    #[serde(default)]
    items: Vec<Item>,
}
#[derive(Debug, Deserialize, garde::Validate)]
struct Item {
    #[garde(ascii, length(min = 2))]
    sku: String,
    #[garde(range(min = 1, max = 5))]
    quantity: u8,
}

fn orders() -> App {
    App::new()
        .post("/json", async |Valid(Json(order)): Valid<Json<Order>>| order.items.len().to_string())
        .post("/bind", async |Valid(Bind(order)): Valid<Bind<Order>>| order.items.len().to_string())
        .post("/context", async |c: Context| c.bind_valid::<Order>().await.map(|o| o.items.len().to_string()))
        .post("/option", async |order: Option<Valid<Json<Order>>>| order.is_some().to_string())
        .post("/result", async |order: Result<Valid<Json<Order>>>| order.is_ok().to_string())
}

const GOOD: &str = r#"{"customer":"ann","items":[{"sku":"ab","quantity":1}]}"#;
const BAD: &str = r#"{"customer":"annabel","items":[{"sku":"ab","quantity":1},{"sku":"","quantity":9}]}"#;
const REFUSAL: &str = r#"{"message":"some values are not allowed","fields":[{"field":"customer","message":"length is greater than 4"},{"field":"items[1].quantity","message":"greater than 5"},{"field":"items[1].sku","message":"length is lower than 2"}]}"#;

#[test]
fn what_is_allowed_comes_through() {
    for path in ["json", "bind", "context"] {
        check(orders(), &format!("POST /{path} {GOOD}"), 200, "1");
    }
}
#[test]
fn one_answer_lists_every_field_with_its_path() {
    for path in ["json", "bind", "context", "option"] {
        check(orders(), &format!("POST /{path} {BAD}"), 422, REFUSAL);
    }
}
#[test]
fn what_cannot_be_read_is_refused_first() {
    assert_eq!(send(orders(), "POST /json {").status(), 400);
    let answer = send(orders(), r#"POST /json {"customer":1}"#);
    assert!(answer.text().contains("the body is not what was expected"), "{}", answer.text());
}
#[test]
fn what_is_absent_is_not_judged() {
    check(orders(), "POST /option", 200, "false");
    check(orders(), &format!("POST /option {GOOD}"), 200, "true");
}
#[test]
fn a_handler_may_look_at_what_was_wrong() {
    check(orders(), &format!("POST /result {BAD}"), 200, "false");
    check(orders(), &format!("POST /result {GOOD}"), 200, "true");
}

#[derive(Debug, Deserialize, garde::Validate)]
struct Page {
    #[garde(range(max = 100))]
    limit: u32,
}

#[test]
fn every_source_can_be_judged() {
    let app = || {
        App::new()
            .get("/query", async |Valid(Query(page)): Valid<Query<Page>>| page.limit.to_string())
            .post("/form", async |Valid(Form(page)): Valid<Form<Page>>| page.limit.to_string())
            .get("/path/:limit", async |Valid(Path(page)): Valid<Path<Page>>| page.limit.to_string())
    };
    let refusal = r#"{"message":"some values are not allowed","fields":[{"field":"limit","message":"greater than 100"}]}"#;
    for (good, bad) in [
        ("GET /query?limit=7", "GET /query?limit=101"),
        ("POST /form limit=7", "POST /form limit=101"),
        ("GET /path/7", "GET /path/101"),
    ] {
        check(app(), good, 200, "7");
        check(app(), bad, 422, refusal);
    }
}

/// Judged by hand, although garde's implementation for everything is there.
#[derive(Debug, Deserialize)]
struct Range {
    from: u32,
    to: u32,
}
impl Validate for Range {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.unless(
            self.from < self.to,
            "to",
            format_args!("is {}, but must be above {}", self.to, self.from),
        );
        invalid.into_result()
    }
}

#[test]
fn a_type_may_be_judged_by_hand() {
    let app =
        || App::new().get("/", async |Valid(Query(r)): Valid<Query<Range>>| (r.to - r.from).to_string());
    check(app(), "GET /?from=1&to=3", 200, "2");
    let refusal = r#"{"message":"some values are not allowed","fields":[{"field":"to","message":"is 1, but must be above 3"}]}"#;
    check(app(), "GET /?from=3&to=1", 422, refusal);
}

/// Of a derive, fields and the whole are judged by hand.
#[derive(Bind)]
struct Window {
    #[bind(path)]
    id: u8,
    #[bind(body)]
    range: Range,
}
impl Validate for Window {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.unless(self.id > 0, "id", "must be above 0");
        invalid.inside("range", self.range.validate());
        invalid.into_result()
    }
}

#[test]
fn a_derived_binding_can_be_judged() {
    let app =
        || App::new().post("/:id", async |Valid(w): Valid<Window>| format!("{} {}", w.id, w.range.from));
    check(app(), r#"POST /1 {"from":1,"to":2}"#, 200, "1 1");
    let refusal = r#"{"message":"some values are not allowed","fields":[{"field":"id","message":"must be above 0"},{"field":"range.to","message":"is 1, but must be above 3"}]}"#;
    check(app(), r#"POST /0 {"from":3,"to":1}"#, 422, refusal);
}

/// garde with a context that the type makes for itself.
#[derive(Debug, Deserialize, garde::Validate)]
#[garde(context(Limits))]
struct Basket {
    #[garde(custom(few))]
    items: Vec<u8>,
}
struct Limits {
    most: usize,
}
fn few(items: &[u8], limits: &Limits) -> garde::Result {
    if items.len() <= limits.most { Ok(()) } else { Err(garde::Error::new("too many")) }
}
impl Validate for Basket {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(garde::Validate::validate_with(self, &Limits { most: 2 })?)
    }
}

#[test]
fn gardes_context_may_be_the_types_own() {
    let app = || App::new().post("/", async |Valid(Json(b)): Valid<Json<Basket>>| b.items.len().to_string());
    check(app(), r#"POST / {"items":[1,2]}"#, 200, "2");
    let refusal =
        r#"{"message":"some values are not allowed","fields":[{"field":"items","message":"too many"}]}"#;
    check(app(), r#"POST / {"items":[1,2,3]}"#, 422, refusal);
}

#[derive(Deserialize)]
struct Whole;
impl Validate for Whole {
    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add("", "never");
        invalid.into_result()
    }
}

#[test]
fn the_whole_has_the_name_of_its_place() {
    let app = || {
        let json = async |_: Valid<Json<Whole>>| "";
        let query = async |_: Valid<Query<Whole>>| "";
        App::new().post("/json", json).get("/query", query)
    };
    assert!(send(app(), "POST /json null").text().contains(r#"{"field":"body","message":"never"}"#));
    assert!(send(app(), "GET /query").text().contains(r#"{"field":"query","message":"never"}"#));
}

#[test]
fn an_answer_lists_a_hundred_fields_at_most() {
    let items = vec![r#"{"sku":"ab","quantity":0}"#; 250].join(",");
    let answer = send(orders(), &format!(r#"POST /json {{"customer":"ann","items":[{items}]}}"#));
    let message = "250 values are not allowed; the first 100 are listed";
    assert!(answer.text().starts_with(&format!(r#"{{"message":"{message}""#)), "{}", &answer.text()[..99]);
    assert_eq!(answer.text().matches(r#""field":"#).count(), 100);
}

#[test]
fn validation_inside_validation_keeps_its_paths() {
    let mut inner = Invalid::default();
    inner.add("", "whole");
    inner.add("[3]", "place");
    inner.add("a.b", "field");
    let mut outer = Invalid::default();
    outer.inside("x", inner.into_result());
    assert_eq!(outer.to_string(), "x: whole; x[3]: place; x.a.b: field");
    let _ = Window::extract; // what `Valid` goes around is an argument by itself
}
