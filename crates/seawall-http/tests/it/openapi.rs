//! The description of an app, as a client of `/openapi.json` and `/docs` sees it.

use seawall_http::openapi::{OpenApi, Operation, ToSchema, utoipa};
use seawall_http::{App, Group, Json, Path, RouteOptions as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{check, send};

#[derive(Serialize, Deserialize, ToSchema)]
struct Order {
    /// How many.
    #[schema(minimum = 1, maximum = 5)]
    quantity: u32,
    buyer: Buyer,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct Buyer {
    name: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct Page {
    page: Option<u32>,
    sort: String,
}

async fn show(Path(id): Path<u64>) -> Json<Order> {
    Json(Order { quantity: 1, buyer: Buyer { name: id.to_string() } })
}

async fn list() -> &'static str {
    "[]"
}

fn app() -> App {
    let one =
        show.doc(Operation::new("One order").tag("orders").answer::<Order>(200, "it").error(404, "none"));
    let all = list.doc(Operation::new("All orders").query::<Page>().security("token").deprecated());
    let place =
        list.doc(Operation::new("Place one").body::<Order>().answer::<Vec<Order>>(201, "all of them"));
    App::new()
        .group("/orders", |orders| {
            orders.get("/:id<int(1..)>", one.name("order")).get("", all).post("", place)
        })
        .any("/any/*rest", list)
        .get("~/v[0-9]+", list)
        .host("x.org", Group::new().get("/hidden", list))
        .openapi(
            OpenApi::new("Shop", "1.2").description("Sells.").bearer("token").server("https://shop.example"),
        )
}

fn document() -> Value {
    send(app(), "GET /openapi.json").json()
}

#[test]
fn it_says_what_it_is() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"], json!({"title": "Shop", "version": "1.2", "description": "Sells."}));
    assert_eq!(document["servers"], json!([{"url": "https://shop.example"}]));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

#[test]
fn the_router_gives_paths_parameters_and_names() {
    let order = &document()["paths"]["/orders/{id}"]["get"];
    assert_eq!(order["operationId"], "order");
    let id = json!({"name": "id", "in": "path", "required": true,
        "schema": {"type": "integer", "format": "int64", "minimum": 1}});
    assert_eq!(order["parameters"], json!([id]));
}

#[test]
fn types_are_described_once_with_all_that_they_mention() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Order"]["properties"]["quantity"]["maximum"], 5);
    assert_eq!(schemas["Order"]["properties"]["quantity"]["description"], "How many.");
    assert_eq!(schemas["Buyer"]["required"], json!(["name"]));
    let order = json!({"$ref": "#/components/schemas/Order"});
    let place = &document["paths"]["/orders"]["post"];
    assert_eq!(place["requestBody"]["content"]["application/json"]["schema"], order);
    assert_eq!(place["responses"]["201"]["content"]["application/json"]["schema"]["items"], order);
}

#[test]
fn query_parameters_are_the_fields_of_a_type() {
    let all = &document()["paths"]["/orders"]["get"];
    let named =
        |name| all["parameters"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((&named("sort")["required"], &named("page")["required"]), (&json!(true), &json!(false)));
    assert_eq!((&all["deprecated"], &all["security"]), (&json!(true), &json!([{"token": []}])));
}

#[test]
fn every_operation_may_fail_in_the_shape_of_errors() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let error = &operation["responses"]["default"]["content"]["application/json"]["schema"];
            assert_eq!(error["$ref"], "#/components/schemas/Error", "{method} {path}");
        }
    }
}

#[test]
fn what_cannot_be_said_is_left_out() {
    let document = document();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/any/{rest}", "/orders", "/orders/{id}"]);
    assert_eq!(document["paths"]["/any/{rest}"].as_object().unwrap().len(), 4);
}

#[test]
fn the_page_knows_where_the_description_is_and_may_ask_nobody_else_for_code() {
    let page = send(app(), "GET /docs");
    assert!(page.text().contains(r#"const source = "/openapi.json""#));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
}

#[test]
fn paths_may_be_chosen_and_the_page_left_out() {
    let app = || App::new().openapi(OpenApi::new("x", "1").path("/api.json").page(None));
    assert_eq!(send(app(), "GET /api.json").json::<Value>()["info"]["title"], "x");
    check(app(), "GET /docs", 404, r#"{"message":"Not Found"}"#);
}
