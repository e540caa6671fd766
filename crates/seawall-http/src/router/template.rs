//! A pattern as OpenAPI writes it: `/users/{id}`, and what each parameter may be.

use serde_json::{Value, json};

use super::constraint::Constraint;
use super::pattern::{Form, Pattern, Segment};

/// A path template and the JSON schemas of its parameters.
pub(crate) struct Template {
    pub(crate) path: String,
    pub(crate) params: Vec<(String, Value)>,
}

impl Pattern {
    /// `None` for a regular expression, which no template can say.
    pub(crate) fn template(&self) -> Option<Template> {
        let Form::Path(segments) = &self.form else { return None };
        let mut template = Template { path: String::new(), params: Vec::new() };
        for segment in segments {
            template.path.push('/');
            match segment {
                Segment::Static(text) => template.path.push_str(text),
                Segment::Param { name, fit } => {
                    template.path.push_str(&format!("{}{{{name}}}{}", fit.prefix, fit.suffix));
                    template.params.push((name.clone(), fit.constraint.schema()));
                }
                Segment::Rest { name } => {
                    let name = name.as_deref().unwrap_or("rest");
                    template.path.push_str(&format!("{{{name}}}"));
                    template.params.push((name.to_owned(), json!({"type": "string"})));
                }
            }
        }
        Some(template)
    }
}

impl Constraint {
    /// As a JSON schema. Bounds that every number of its type has are left out.
    fn schema(self) -> Value {
        let mut schema = match self {
            Self::Int { .. } => json!({"type": "integer", "format": "int64"}),
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::Alpha { .. } => json!({"type": "string", "pattern": "^[A-Za-z]+$"}),
            Self::Any => json!({"type": "string", "minLength": 1}),
        };
        match self {
            Self::Int { min, max } => {
                bound(&mut schema, "minimum", min, i64::MIN);
                bound(&mut schema, "maximum", max, i64::MAX);
            }
            Self::Alpha { min, max } => {
                bound(&mut schema, "minLength", i64::from(min), 1);
                bound(&mut schema, "maxLength", i64::from(max), i64::from(u32::MAX));
            }
            Self::Uuid | Self::Any => {}
        }
        schema
    }
}

fn bound(schema: &mut Value, name: &str, value: i64, widest: i64) {
    if value != widest {
        schema[name] = value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, params: &[(&str, Value)]) {
        let template = Pattern::parse(pattern).unwrap().template().unwrap();
        let params: Vec<_> =
            params.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        assert_eq!((template.path.as_str(), template.params), (path, params));
    }

    #[test]
    fn a_parameter_stands_in_braces_with_the_text_around_it() {
        let any = json!({"type": "string", "minLength": 1});
        check(
            "/users/:id/v:version.json",
            "/users/{id}/v{version}.json",
            &[("id", any.clone()), ("version", any)],
        );
    }
    #[test]
    fn a_constraint_is_a_schema() {
        let int = json!({"type": "integer", "format": "int64", "minimum": 1});
        check("/:id<int(1..)>", "/{id}", &[("id", int)]);
        let alpha = json!({"type": "string", "pattern": "^[A-Za-z]+$", "minLength": 2, "maxLength": 5});
        check("/:x<alpha(2..=5)>", "/{x}", &[("x", alpha)]);
        check("/:x<uuid>", "/{x}", &[("x", json!({"type": "string", "format": "uuid"}))]);
    }
    #[test]
    fn a_rest_has_a_name_in_any_case() {
        check("/files/*", "/files/{rest}", &[("rest", json!({"type": "string"}))]);
        check("/files/*path", "/files/{path}", &[("path", json!({"type": "string"}))]);
    }
    #[test]
    fn no_template_says_what_an_expression_says() {
        assert!(Pattern::parse("~/v[0-9]+").unwrap().template().is_none());
    }
}
