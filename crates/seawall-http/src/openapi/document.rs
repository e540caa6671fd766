//! All routes as one OpenAPI document.

use serde_json::{Map, Value, json};

use super::{OpenApi, Operation};
use crate::app::RouteInfo;
use crate::router::Pattern;

/// The methods that a path item of OpenAPI 3.1 has a place for.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// The document. Routes of hosts, with methods that OpenAPI 3.1 does not know, or with regular expressions have no place
/// in it.
pub(crate) fn document(api: &OpenApi, routes: &[(RouteInfo, Option<Operation>)]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Error".to_owned(), error_schema());
    for (route, operation) in routes.iter().filter(|(route, _)| route.host.is_none()) {
        let Some(template) = Pattern::parse(&route.pattern).ok().and_then(|pattern| pattern.template())
        else {
            continue;
        };
        let bare = Operation::default();
        let operation = operation.as_ref().unwrap_or(&bare);
        schemas.extend(operation.schemas.clone());
        let mut described = operation.to_json(&template.params);
        if let Some(name) = &route.name {
            described["operationId"] = name.as_str().into();
        }
        let item = paths.entry(template.path).or_insert_with(|| json!({}));
        match route.method.as_str() {
            "ANY" => METHODS[..4].iter().for_each(|method| add(item, method, &described)),
            method if METHODS.contains(&method) => add(item, method, &described),
            _ => {}
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": api.version},
        "paths": paths,
        "components": {"schemas": schemas},
    });
    api.description.iter().for_each(|text| document["info"]["description"] = text.as_str().into());
    if !api.servers.is_empty() {
        document["servers"] = api.servers.iter().map(|url| json!({"url": url})).collect();
    }
    if !api.security.is_empty() {
        document["components"]["securitySchemes"] = Value::Object(api.security.iter().cloned().collect());
    }
    document
}

/// A method that has a description keeps it: `ANY` is for what no other route of the path names.
fn add(item: &mut Value, method: &str, operation: &Value) {
    let place = &mut item[method.to_lowercase()];
    if place.is_null() {
        *place = operation.clone();
    }
}

/// [`Error::response`](crate::Error::response) in words.
fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["message"],
        "properties": {
            "message": {"type": "string", "description": "What went wrong, for people."},
            "code": {"type": "string", "description": "What went wrong, for programs."},
            "fields": {
                "type": "array",
                "description": "The inputs that were rejected.",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                },
            },
        },
    })
}

pub(super) fn error_content() -> Value {
    json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}})
}

pub(super) fn default_error() -> Value {
    json!({"description": "a failure", "content": error_content()})
}
