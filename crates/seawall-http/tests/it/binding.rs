//! One type out of path, query and body: what goes before what, and what a client reads when places do not agree.

use std::collections::BTreeMap;
use std::fmt::Debug;

use http::Method;
use seawall_http::testing::{TestClient, TestResponse};
use seawall_http::{App, Bind, Context};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{block_on, send};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read by Debug only")]
struct Move {
    id: u64,
    by: i32,
    #[serde(default)]
    tags: Vec<String>,
    dry: Option<bool>,
}

/// Sends `body` of `kind` to `/things/:id` and binds a `T`.
fn answer<T: DeserializeOwned + Debug + Send + 'static>(
    target: &str,
    kind: &str,
    body: &str,
) -> TestResponse {
    let app = App::new().post("/things/:id", async |Bind(value): Bind<T>| format!("{value:?}"));
    let client = TestClient::new(app).unwrap();
    let request = client.post(&format!("/things/{target}")).body(body.to_owned());
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    block_on(request.into_future())
}

#[track_caller]
fn check<T: DeserializeOwned + Debug + Send + 'static>(target: &str, kind: &str, body: &str, expected: &str) {
    assert_eq!(answer::<T>(target, kind, body).text(), expected, "{target} {body}");
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug + Send + 'static>(
    target: &str,
    kind: &str,
    body: &str,
    status: u16,
    field: &str,
    problem: &str,
) {
    #[derive(Deserialize)]
    struct Refusal {
        fields: Vec<Field>,
    }
    #[derive(Deserialize)]
    struct Field {
        field: String,
        message: String,
    }
    let answer = answer::<T>(target, kind, body);
    assert_eq!(answer.status().as_u16(), status, "{}", answer.text());
    let Refusal { fields } = answer.json();
    let [found] = &fields[..] else { panic!("{}", answer.text()) };
    assert_eq!((found.field.as_str(), found.message.as_str()), (field, problem));
}

#[test]
fn path_query_and_body_fill_one_type() {
    let all = r#"Move { id: 7, by: -1, tags: ["a"], dry: Some(true) }"#;
    check::<Move>("7?dry=true&by=5", JSON, r#"{"by":-1,"tags":["a"]}"#, all);
    check::<Move>("7?dry=true&by=5", "", r#"{"by":-1,"tags":["a"]}"#, all);
    check::<Move>("7?dry=true&by=5", FORM, "by=-1&tags=a", all);
    check::<Move>("7?dry=true&by=-1&tags=a", "", "", all);
}
#[test]
fn a_key_of_the_body_hides_the_querys() {
    let both = r#"Move { id: 7, by: 1, tags: ["b"], dry: None }"#;
    check::<Move>("7?tags=a&tags=c", JSON, r#"{"by":1,"tags":["b"]}"#, both);
    check::<Move>("7?tags=a&tags=c", FORM, "by=1&tags=b", both);
}
#[test]
fn the_query_is_read_for_every_method() {
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let app = App::new()
            .any("/things/:id", async |c: Context| c.bind::<Move>().await.map(|m| format!("{m:?}")));
        let found = send(app, &format!("{method} /things/7?by=1"));
        assert_eq!(found.text(), "Move { id: 7, by: 1, tags: [], dry: None }", "{method}");
    }
}
#[test]
fn a_path_parameter_is_never_overwritten() {
    let says = "is `8` in the body, but `7` in the path";
    refused::<Move>("7", JSON, r#"{"id":8,"by":1}"#, 400, "id", says);
    refused::<Move>("7", FORM, "id=8&by=1", 400, "id", says);
    refused::<Move>("7", JSON, r#"{"id":"8","by":1}"#, 400, "id", says);
    refused::<Move>(
        "7",
        JSON,
        r#"{"id":null,"by":1}"#,
        400,
        "id",
        "is `null` in the body, but `7` in the path",
    );
    let says = "is `8` in the query, but `7` in the path";
    refused::<Move>("7?id=8", JSON, r#"{"by":1}"#, 400, "id", says);
    refused::<Move>("7?id=8", FORM, "by=1", 400, "id", says);
    refused::<Move>("7?id=8", "", "", 400, "id", says);
    refused::<Move>("7?id=7&id=8", JSON, r#"{"by":1}"#, 400, "id", says);
}
#[test]
fn saying_the_same_as_the_path_is_no_error() {
    let once = "Move { id: 7, by: 1, tags: [], dry: None }";
    check::<Move>("7?id=7", JSON, r#"{"id":7,"by":1}"#, once);
    check::<Move>("7", JSON, r#"{"id":"7","by":1}"#, once);
    check::<Move>("7?id=7", FORM, "id=7&by=1", once);
}
#[test]
fn a_position_in_an_array_overwrites_nothing() {
    refused::<Move>(
        "7",
        JSON,
        "[8,1,[],null]",
        422,
        "body",
        "invalid type: sequence, expected struct Move at line 1 column 1",
    );
}
#[test]
fn an_alias_overwrites_nothing() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Aliased {
        #[serde(alias = "ID")]
        id: u64,
    }
    refused::<Aliased>("7?ID=8", "", "", 400, "id", "is given under two names");
    assert_eq!(answer::<Aliased>("7", JSON, r#"{"ID":8}"#).status(), 422);
}
#[test]
fn a_parameter_that_the_type_does_not_know_is_left_alone() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Strict {
        by: u8,
    }
    check::<Strict>("7", JSON, r#"{"by":1}"#, "Strict { by: 1 }");
    check::<Strict>("7", FORM, "by=1", "Strict { by: 1 }");
    refused::<Strict>("7?other=1", FORM, "by=1", 422, "other", "is not known here; known is `by`");
    let error = answer::<Strict>("7", JSON, r#"{"by":1,"id":2}"#);
    assert!(error.text().contains("unknown field `id`, expected `by` at line 1 column"), "{}", error.text());
}
#[test]
fn a_bad_value_is_named_wherever_it_stands() {
    let whole = "a whole number from";
    refused::<Move>(
        "x",
        JSON,
        r#"{"by":1}"#,
        400,
        "id",
        &format!("is `x`, but must be {whole} 0 to 18446744073709551615"),
    );
    refused::<Move>("7?dry=x", JSON, r#"{"by":1}"#, 400, "dry", "is `x`, but must be true or false");
    refused::<Move>(
        "7",
        JSON,
        "{\n\"by\":\"x\"}",
        422,
        "by",
        "invalid type: string \"x\", expected i32 at line 2 column 8",
    );
    refused::<Move>(
        "7",
        JSON,
        r#"{"by":1,"tags":["a",2]}"#,
        422,
        "tags[1]",
        "invalid type: integer `2`, expected a string at line 1 column 21",
    );
    refused::<Move>(
        "7",
        FORM,
        "by=x",
        422,
        "by",
        &format!("is `x`, but must be {whole} -2147483648 to 2147483647"),
    );
    refused::<Move>("7", JSON, "{}", 422, "by", "is missing");
    refused::<Move>("7", FORM, "tags=a", 422, "by", "is missing");
    refused::<Move>("7", "", "", 400, "by", "is missing");
}
#[test]
fn what_is_no_json_is_400_with_its_place() {
    refused::<Move>("7", JSON, r#"{"by":1"#, 400, "body", "EOF while parsing an object at line 1 column 7");
    refused::<Move>("7", JSON, r#"{"by":1}}"#, 400, "body", "trailing characters at line 1 column 9");
}
#[test]
fn another_content_type_is_415_unless_there_is_no_body() {
    assert_eq!(answer::<Move>("7?by=1", "text/plain", "by=1").status(), 415);
    assert_eq!(answer::<Move>("7?by=1", "text/plain", "").status(), 200);
    assert_eq!(answer::<Move>("7?by=1", JSON, "").status(), 200);
}
#[test]
fn json_that_is_no_object_is_read_as_it_is() {
    check::<Vec<u8>>("7?a=b", JSON, "[1,2]", "[1, 2]");
    check::<u8>("7?a=b", JSON, "1", "1");
    check::<Option<Move>>("7", JSON, "null", "None");
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "read by Debug only")]
    enum Either {
        Text(String),
        Number { n: u8 },
    }
    check::<Either>("7", JSON, r#"{"n":1}"#, "Number { n: 1 }");
    check::<Either>("7", JSON, r#""a""#, r#"Text("a")"#);
}
#[test]
fn newtypes_options_and_maps_are_merged_too() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Wrapped(Move);
    let once = "Move { id: 7, by: 1, tags: [], dry: None }";
    check::<Wrapped>("7", JSON, r#"{"by":1}"#, &format!("Wrapped({once})"));
    check::<Wrapped>("7", FORM, "by=1", &format!("Wrapped({once})"));
    check::<Option<Move>>("7", JSON, r#"{"by":1}"#, &format!("Some({once})"));
    check::<BTreeMap<String, String>>(
        "7?a=1&b=2",
        JSON,
        r#"{"b":"3"}"#,
        r#"{"a": "1", "b": "3", "id": "7"}"#,
    );
    check::<BTreeMap<String, Vec<String>>>(
        "7?a=1&a=2",
        FORM,
        "b=3",
        r#"{"a": ["1", "2"], "b": ["3"], "id": ["7"]}"#,
    );
}
#[test]
fn fields_of_json_keep_their_types_when_flattened() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Inner {
        by: i32,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by Debug only")]
    struct Outer {
        id: u64,
        #[serde(flatten)]
        inner: Inner,
    }
    check::<Outer>("7", JSON, r#"{"by":1}"#, "Outer { id: 7, inner: Inner { by: 1 } }");
}
#[test]
fn the_body_can_be_read_again_after_a_bind() {
    let app =
        App::new().post("/:id", async |c: Context, Bind(m): Bind<Move>| -> seawall_http::Result<String> {
            Ok(format!("{m:?} {}", c.body().await?.len()))
        });
    assert_eq!(send(app, r#"POST /7 {"by":1}"#).text(), "Move { id: 7, by: 1, tags: [], dry: None } 8");
}
#[test]
fn an_optional_binding_is_none_without_a_body() {
    let app = || App::new().post("/:id", async |found: Option<Bind<Move>>| format!("{}", found.is_some()));
    assert_eq!(send(app(), "POST /7").text(), "false");
    assert_eq!(send(app(), r#"POST /7 {"by":1}"#).text(), "true");
    assert_eq!(send(app(), "POST /7 {}").status(), 422);
}

mod properties {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn small_json() -> impl Strategy<Value = Map<String, Value>> {
        let value = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i8>().prop_map(Value::from),
            "[ab7]{0,2}".prop_map(Value::from),
        ];
        proptest::collection::btree_map("[abi]|id", value, 0..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        /// The oracle overwrites in a map: query, then body, then path, which must not change what was there.
        #[test]
        fn merging_is_overwriting_in_a_map(
            body in small_json(),
            query in proptest::collection::btree_map("[abi]|id", "[ab7]{1,2}", 0..4),
            id in "[ab7]",
        ) {
            let text = query.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&");
            let body_text = Value::Object(body.clone()).to_string();
            let found = answer::<Map<String, Value>>(&format!("{id}?{text}"), JSON, &body_text);

            let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let agrees = query.get("id").is_none_or(|other| *other == id)
                && body.get("id").is_none_or(|other| said(other) == id && !other.is_null());
            if agrees {
                let mut expected: BTreeMap<String, Value> =
                    query.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
                expected.extend(body);
                expected.insert("id".to_owned(), Value::from(id));
                let expected: Map<String, Value> = expected.into_iter().collect();
                prop_assert_eq!(found.text(), format!("{:?}", expected));
            } else {
                prop_assert_eq!(found.status().as_u16(), 400);
            }
        }
    }
}
