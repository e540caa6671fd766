//! What query, form, headers and cookies may fill, and what a client reads when a value does not fit. One format
//! reads them all, so most of it is shown on the query.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::net::IpAddr;

use http::StatusCode;
use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Cookie, Error, Form, Header, Json, Path, Query, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{block_on, send};

/// Reads `query` as a `T`; its Debug, or what is wrong.
#[track_caller]
fn query<T: DeserializeOwned + Debug + Send + 'static>(query: &str, expected: &str) {
    let app = App::new().get("/", async |found: Result<Query<T>>| shown(found.map(|Query(value)| value)));
    let answer = send(app, &format!("GET /?{query}"));
    assert_eq!(answer.text(), expected, "{query}");
}

/// The same for a form.
#[track_caller]
fn form<T: DeserializeOwned + Debug + Send + 'static>(form: &str, expected: &str) {
    let app = App::new().post("/", async |found: Result<Form<T>>| shown(found.map(|Form(value)| value)));
    assert_eq!(send(app, &format!("POST / {form}")).text(), expected, "{form}");
}

fn shown<T: Debug>(found: Result<T>) -> String {
    match found {
        Ok(value) => format!("{value:?}"),
        Err(error) => problem(&error),
    }
}

fn problem(error: &Error) -> String {
    let fields = error.fields().iter().map(|f| format!(" {}: {}", f.field, f.message));
    format!("{}{}", error.status().as_u16(), fields.collect::<String>())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    New,
    Old,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug only")]
struct List {
    #[serde(default = "first")]
    page: u32,
    #[serde(default)]
    tag: Vec<u8>,
    sort: Option<Order>,
    #[serde(rename = "q")]
    text: Option<String>,
    #[serde(default)]
    all: bool,
}
fn first() -> u32 {
    1
}

#[test]
fn defaults_fill_what_is_missing() {
    query::<List>("", "List { page: 1, tag: [], sort: None, text: None, all: false }");
    form::<List>("", "List { page: 1, tag: [], sort: None, text: None, all: false }");
}
#[test]
fn everything_may_be_given() {
    let all = "List { page: 2, tag: [3, 4], sort: Some(Old), text: Some(\"a b\"), all: true }";
    query::<List>("tag=3&page=2&all=true&sort=old&q=a+b&tag=4", all);
    form::<List>("tag=3&page=2&all=true&sort=old&q=a+b&tag=4", all);
}
#[test]
fn an_empty_number_is_none_and_an_empty_text_is_a_text() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Filled {
        age: Option<u8>,
        name: Option<String>,
        ratio: Option<f64>,
        agreed: Option<bool>,
    }
    query::<Filled>(
        "age=&name=&ratio=&agreed=",
        "Filled { age: None, name: Some(\"\"), ratio: None, agreed: None }",
    );
}
#[test]
fn a_ticked_box_is_true() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Box {
        #[serde(default)]
        agreed: bool,
    }
    form::<Box>("agreed=on", "Box { agreed: true }");
    form::<Box>("agreed=yes", "422 agreed: is `yes`, but must be true or false");
}
#[test]
fn maps_sets_and_lists_of_pairs_work() {
    query::<BTreeMap<String, String>>("b=2&a=1", r#"{"a": "1", "b": "2"}"#);
    query::<BTreeMap<u8, Vec<u8>>>("2=1&1=2&2=3", "{1: [2], 2: [1, 3]}");
    query::<Vec<(String, u8)>>("b=2&a=1&b=3", r#"[("b", 2), ("a", 1), ("b", 3)]"#);
    query::<BTreeMap<String, HashSet<u8>>>("a=1&a=1", r#"{"a": {1}}"#);
    query::<BTreeMap<String, (u8, u8)>>("a=1&a=2", r#"{"a": (1, 2)}"#);
}
#[test]
fn newtypes_and_types_that_parse_themselves_work() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Id(std::num::NonZeroU8);
    query::<BTreeMap<String, Id>>("a=1", r#"{"a": Id(1)}"#);
    query::<BTreeMap<String, Id>>("a=0", "400 a: is `0`, but must be a nonzero u8");
    query::<BTreeMap<String, IpAddr>>("a=::1", r#"{"a": ::1}"#);
    query::<BTreeMap<String, IpAddr>>("a=x", "400 a: invalid IP address syntax");
}
#[test]
fn a_bad_value_in_a_list_is_named_with_its_place() {
    query::<List>("tag=1&tag=300", "400 tag[1]: is `300`, but must be a whole number from 0 to 255");
}
#[test]
fn an_unknown_variant_is_told_the_known_ones() {
    query::<List>("sort=up", "400 sort: is `up`, but must be `new` or `old`");
}
#[test]
fn a_key_that_may_come_once_may_not_come_twice() {
    query::<List>("page=1&page=2", "400 page: is given 2 times, but may be given once");
    form::<List>("q=1&q=2", "422 q: is given 2 times, but may be given once");
}
#[test]
fn a_missing_or_unknown_key_is_named() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Strict {
        id: u8,
    }
    query::<Strict>("", "400 id: is missing");
    query::<Strict>("id=1&ID=2", "400 ID: is not known here; known is `id`");
    form::<Strict>("", "422 id: is missing");
}
#[test]
fn a_value_that_is_no_text_is_refused_where_it_is_read() {
    query::<List>("q=%ff", "400 q: is not UTF-8");
    query::<List>("other=%ff", "List { page: 1, tag: [], sort: None, text: None, all: false }");
}
#[test]
fn infinite_numbers_are_refused() {
    query::<BTreeMap<String, f64>>("a=1.5", r#"{"a": 1.5}"#);
    query::<BTreeMap<String, f64>>("a=inf", "400 a: is `inf`, but must be a number");
    query::<BTreeMap<String, f32>>("a=NaN", "400 a: is `NaN`, but must be a number");
}
#[test]
fn an_error_repeats_only_the_beginning_of_a_long_value() {
    let long = "\u{e9}".repeat(100);
    let cut = "\u{e9}".repeat(32);
    query::<BTreeMap<String, u8>>(
        &format!("a={}", "%c3%a9".repeat(100)),
        &format!("400 a: is `{cut}…`, but must be a whole number from 0 to 255"),
    );
    assert!(long.len() > 64);
}
#[test]
fn the_number_of_pairs_is_bound() {
    let many = "a=1&".repeat(1_001);
    query::<BTreeMap<String, Vec<u8>>>(&many, "400 query: has more than 1000 pairs");
    form::<BTreeMap<String, Vec<u8>>>(&many, "413 body: has more than 1000 fields");
}

/// Sends these headers and reads them with `read`.
#[track_caller]
fn with_headers<F>(read: fn(Context) -> F, headers: &[(&str, &str)], expected: &str)
where
    F: Future<Output = String> + Send + 'static,
{
    let client = TestClient::new(App::new().get("/", read)).unwrap();
    let request = headers.iter().fold(client.get("/"), |request, (name, value)| request.header(name, value));
    assert_eq!(block_on(request.into_future()).text(), expected);
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug only")]
struct Paging {
    x_page: Option<u32>,
    #[serde(rename = "X-Tag", default)]
    tags: Vec<String>,
    #[serde(alias = "x-trace")]
    x_trace: Option<String>,
}

async fn paging(c: Context) -> String {
    use seawall_http::Extract as _;
    shown(Header::<Paging>::extract(&c).await.map(|Header(value)| value))
}

#[test]
fn headers_fill_a_struct_by_name() {
    with_headers(
        paging,
        &[("X-Page", "2"), ("x-tag", "a, b"), ("x-trace", "t"), ("X-TAG", "c")],
        r#"Paging { x_page: Some(2), tags: ["a, b", "c"], x_trace: Some("t") }"#,
    );
    with_headers(paging, &[], "Paging { x_page: None, tags: [], x_trace: None }");
}
#[test]
fn a_bad_header_is_named_and_not_repeated() {
    with_headers(paging, &[("x-page", "secret")], "400 x-page: must be a whole number from 0 to 4294967295");
    with_headers(
        paging,
        &[("x-page", "1"), ("x-page", "2")],
        "400 x-page: is given 2 times, but may be given once",
    );
}
#[test]
fn a_map_gets_all_headers() {
    async fn all(Header(all): Header<BTreeMap<String, String>>) -> String {
        format!("{all:?}")
    }
    let client = TestClient::new(App::new().get("/", all)).unwrap();
    let answer = block_on(async { client.get("/").header("X-B", "2").header("x-a", "1").await });
    assert_eq!(answer.text(), r#"{"x-a": "1", "x-b": "2"}"#);
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug only")]
struct Crumbs {
    session: Option<String>,
    visits: Option<u32>,
}

async fn crumbs(c: Context) -> String {
    use seawall_http::Extract as _;
    shown(Cookie::<Crumbs>::extract(&c).await.map(|Cookie(value)| value))
}

#[test]
fn cookies_fill_a_struct_by_name() {
    with_headers(
        crumbs,
        &[("cookie", "session=\"abc\"; other=1"), ("cookie", "visits=3")],
        r#"Crumbs { session: Some("abc"), visits: Some(3) }"#,
    );
    with_headers(crumbs, &[], "Crumbs { session: None, visits: None }");
}
#[test]
fn the_first_of_two_cookies_counts() {
    with_headers(crumbs, &[("cookie", "visits=1; visits=2")], "Crumbs { session: None, visits: Some(1) }");
}
#[test]
fn a_bad_cookie_is_named_and_not_repeated() {
    with_headers(
        crumbs,
        &[("cookie", "visits=secret")],
        "400 visits: must be a whole number from 0 to 4294967295",
    );
}

#[test]
fn single_values_of_the_query_are_parsed() {
    with_query("page=7", |c| c.query_param::<u8>("page").map(|page| format!("{page:?}")), "Some(7)");
    with_query("", |c| c.query_param::<u8>("page").map(|page| format!("{page:?}")), "None");
    with_query("", |c| c.query_or("page", 1_u8).map(|page| page.to_string()), "1");
    with_query("t=a&x=1&t=b+c", |c| c.query_all::<String>("t").map(|t| t.join("|")), "a|b c");
}
#[test]
fn a_single_value_that_does_not_parse_is_named() {
    let range = "a whole number from 0 to 255";
    with_query(
        "page=x",
        |c| c.query_or("page", 1_u8).map(|page| page.to_string()),
        &format!("400 page: is `x`, but must be {range}"),
    );
    with_query(
        "t=1&t=x",
        |c| c.query_all::<u8>("t").map(|t| format!("{t:?}")),
        &format!("400 t[1]: is `x`, but must be {range}"),
    );
    with_query(
        "t=1&t=2",
        |c| c.query_param::<u8>("t").map(|t| format!("{t:?}")),
        "400 t: is given 2 times, but may be given once",
    );
    with_query(
        "ip=x",
        |c| c.query_param::<IpAddr>("ip").map(|t| format!("{t:?}")),
        "400 ip: is `x`, but must be an IP address",
    );
    with_query(
        "at=x",
        |c| c.query_param::<std::num::NonZeroU8>("at").map(|t| format!("{t:?}")),
        "400 at: is `x`, but must be a NonZero: invalid digit found in string",
    );
}
/// What `read` makes of the query.
#[track_caller]
fn with_query(query: &str, read: fn(&Context) -> Result<String>, expected: &str) {
    let app = App::new().get("/", move |c: Context| async move {
        let found = read(&c);
        found.unwrap_or_else(|error| problem(&error))
    });
    assert_eq!(send(app, &format!("GET /?{query}")).text(), expected, "{query}");
}

#[test]
fn a_path_parameter_says_what_it_must_be() {
    let app = App::new().get("/:id", async |c: Context| c.param::<i8>("id").map(|id| id.to_string()));
    let body = r#"{"message":"invalid path parameter","fields":[{"field":"id","message":"is `x`, but must be a whole number from -128 to 127"}]}"#;
    crate::check(app, "GET /x", 400, body);
}
#[test]
fn a_single_header_is_parsed_and_not_repeated() {
    async fn page(c: Context) -> String {
        let found = c.header_as::<u8>("x-page");
        found.map_or_else(|error| problem(&error), |page| format!("{page:?}"))
    }
    with_headers(page, &[("X-Page", "7")], "Some(7)");
    with_headers(page, &[], "None");
    with_headers(page, &[("X-Page", "secret")], "400 x-page: must be a whole number from 0 to 255");
    with_headers(
        page,
        &[("X-Page", "1"), ("X-Page", "2")],
        "400 x-page: is given 2 times, but may be given once",
    );
}
#[test]
fn a_single_field_of_a_form_is_parsed() {
    let app = || {
        App::new().post("/", async |c: Context| -> Result<String> {
            let (a, b) = (c.form_value::<u8>("a").await?, c.form_value::<String>("b").await?);
            Ok(format!("{a:?} {b:?}"))
        })
    };
    assert_eq!(send(app(), "POST / b=x&a=1").text(), r#"Some(1) Some("x")"#);
    assert_eq!(send(app(), "POST / a=x").status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[test]
fn an_argument_may_be_absent() {
    let app = || {
        let path = async |id: Option<Path<u8>>| format!("{:?}", id.map(|Path(id)| id));
        let json = async |body: Option<Json<u8>>| format!("{:?}", body.map(|Json(n)| n));
        let form = async |body: Option<Form<List>>| format!("{:?}", body.is_some());
        App::new().get("/", path).get("/:id", path).post("/", json).put("/", form)
    };
    assert_eq!(send(app(), "GET /").text(), "None");
    assert_eq!(send(app(), "GET /7").text(), "Some(7)");
    assert_eq!(send(app(), "GET /x").status(), 400);
    assert_eq!(send(app(), "POST /").text(), "None");
    assert_eq!(send(app(), "POST / 7").text(), "Some(7)");
    assert_eq!(send(app(), "POST / x").status(), 400);
    assert_eq!(send(app(), "PUT /").text(), "false");
    assert_eq!(send(app(), "PUT / page=2").text(), "true");
}
#[test]
fn a_handler_may_look_at_what_was_wrong() {
    let app = App::new().post("/:id", async |id: Result<Path<u8>>, body: Result<Json<u8>>| {
        let codes = [id.map(drop), body.map(drop)].map(|found| found.err().map(|e| e.status().as_u16()));
        format!("{codes:?}")
    });
    assert_eq!(send(app, r#"POST /x "a""#).text(), "[Some(400), Some(422)]");
}
#[test]
fn a_413_stays_one_through_every_wrapper() {
    use seawall_http::RouteOptions as _;
    use seawall_http::middleware::BodyLimit;
    let four = BodyLimit::new(4);
    let app = || {
        App::new()
            .post("/option", (async |_: Option<Json<u64>>| "").with(four))
            .post("/result", (async |body: Result<Json<u64>>| body.map(|_| "")).with(four))
            .post("/form", (async |_: Form<List>| "").with(four))
            .post("/value", (async |c: Context| c.form_value::<u8>("a").await.map(|_| "")).with(four))
    };
    for path in ["option", "result", "form", "value"] {
        assert_eq!(send(app(), &format!("POST /{path} 12345")).status(), 413, "{path}");
    }
}
