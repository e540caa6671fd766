//! What a route says of itself beyond what the router knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The description of one route: what it is for, what it takes, what it answers. Path parameters and their constraints
/// are known already, and so is the shape of errors.
#[derive(Debug, Clone, Default)]
pub struct Operation {
    pub(super) summary: String,
    description: Option<String>,
    tags: Vec<String>,
    deprecated: bool,
    /// Schemas of path parameters, in place of what the pattern says.
    path: BTreeMap<String, Value>,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    security: Vec<Value>,
    /// Of every type that it mentions, by name.
    pub(super) schemas: BTreeMap<String, Value>,
}

impl Operation {
    /// What it does, in a few words.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), ..Self::default() }
    }
    /// What it does, at length; Markdown.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }
    /// A heading to list it under; may be said several times.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
    /// It should not be used any more.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }
    /// The type of a path parameter, where the pattern says less.
    #[must_use]
    pub fn path<T: ToSchema>(mut self, name: &str) -> Self {
        let schema = self.reference::<T>();
        self.path.insert(name.to_owned(), schema);
        self
    }
    /// Query parameters: the fields of `T`.
    #[must_use]
    pub fn query<T: ToSchema>(mut self) -> Self {
        let _ = self.reference::<T>(); // for the types that its fields mention
        let schema = serde_json::to_value(T::schema()).unwrap_or_default();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let required = required.iter().any(|known| known == name);
            self.parameters.push(parameter(name, "query", required, field.clone()));
        }
        self
    }
    /// A request header whose value is a `T`.
    #[must_use]
    pub fn header<T: ToSchema>(mut self, name: &str, required: bool, description: &str) -> Self {
        let schema = self.reference::<T>();
        let mut header = parameter(name, "header", required, schema);
        header["description"] = description.into();
        self.parameters.push(header);
        self
    }
    /// The JSON body.
    #[must_use]
    pub fn body<T: ToSchema>(self) -> Self {
        self.body_as::<T>("application/json")
    }
    /// The body, of another kind than JSON.
    #[must_use]
    pub fn body_as<T: ToSchema>(mut self, content_type: &str) -> Self {
        let schema = self.reference::<T>();
        self.body = Some(json!({"required": true, "content": {content_type: {"schema": schema}}}));
        self
    }
    /// An answer with a JSON body.
    #[must_use]
    pub fn answer<T: ToSchema>(mut self, status: u16, description: &str) -> Self {
        let schema = self.reference::<T>();
        let answer = json!({"description": description, "content": {"application/json": {"schema": schema}}});
        self.answers.insert(status, answer);
        self
    }
    /// An answer with a body of another kind, whose shape is not described.
    #[must_use]
    pub fn answer_as(mut self, status: u16, content_type: &str, description: &str) -> Self {
        self.answers.insert(status, json!({"description": description, "content": {content_type: {}}}));
        self
    }
    /// An answer without a body.
    #[must_use]
    pub fn empty(mut self, status: u16, description: &str) -> Self {
        self.answers.insert(status, json!({"description": description}));
        self
    }
    /// A failure in the app's shape of errors. Failures that are not named here are described as `default`.
    #[must_use]
    pub fn error(mut self, status: u16, description: &str) -> Self {
        self.answers
            .insert(status, json!({"description": description, "content": super::document::error_content()}));
        self
    }
    /// It wants to know who asks, in the way that [`OpenApi::bearer`](super::OpenApi::bearer) or
    /// [`OpenApi::api_key`](super::OpenApi::api_key) called `name`.
    #[must_use]
    pub fn security(mut self, name: &str) -> Self {
        self.security.push(json!({name: []}));
        self
    }

    /// A reference to the schema of `T`, which is described once for all operations.
    fn reference<T: ToSchema>(&mut self) -> Value {
        let mut mentioned = Vec::new();
        T::schemas(&mut mentioned);
        for (name, schema) in mentioned {
            self.schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
        let schema = serde_json::to_value(T::schema()).unwrap_or_default();
        if schema["type"] != "object" && schema.get("oneOf").is_none() && schema.get("enum").is_none() {
            return self.named(schema); // a number, a text, a list: nothing that wants a name of its own
        }
        let name = T::name().into_owned();
        self.schemas.insert(name.clone(), schema);
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// `schema` with references in place of the types inside it that have a name: utoipa writes a list's items out.
    fn named(&self, schema: Value) -> Value {
        if let Some((name, _)) = self.schemas.iter().find(|(_, known)| **known == schema) {
            return json!({"$ref": format!("#/components/schemas/{name}")});
        }
        match schema {
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (name, self.named(value))).collect()
            }
            Value::Array(items) => items.into_iter().map(|item| self.named(item)).collect(),
            plain => plain,
        }
    }

    /// As OpenAPI writes it. The path's parameters come first.
    pub(super) fn to_json(&self, path: &[(String, Value)]) -> Value {
        let of_path = path.iter().map(|(name, schema)| {
            parameter(name, "path", true, self.path.get(name).unwrap_or(schema).clone())
        });
        let mut parameters: Vec<_> = of_path.collect();
        parameters.extend(self.parameters.iter().cloned());
        let mut answers: Map<String, Value> =
            self.answers.iter().map(|(status, answer)| (status.to_string(), answer.clone())).collect();
        answers.insert("default".to_owned(), super::document::default_error());
        let mut operation = json!({"parameters": parameters, "responses": answers});
        let mut set = |name: &str, value: Value| operation[name] = value;
        if !self.summary.is_empty() {
            set("summary", self.summary.as_str().into());
        }
        self.description.iter().for_each(|text| set("description", text.as_str().into()));
        self.body.iter().for_each(|body| set("requestBody", body.clone()));
        if !self.tags.is_empty() {
            set("tags", self.tags.clone().into());
        }
        if self.deprecated {
            set("deprecated", true.into());
        }
        if !self.security.is_empty() {
            set("security", self.security.clone().into());
        }
        operation
    }
}

/// A parameter as OpenAPI writes it.
fn parameter(name: &str, place: &str, required: bool, schema: Value) -> Value {
    json!({"name": name, "in": place, "required": required, "schema": schema})
}
