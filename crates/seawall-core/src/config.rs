//! The one way in which a configuration is refused: field, value, and what would be allowed.

use std::borrow::Cow;
use std::fmt;

/// A configuration value that cannot be used. Reads as "`queue.capacity` is 0, but must be 1 to 65536".
///
/// Never put a secret into `value`: the text is made for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    field: Cow<'static, str>,
    value: String,
    allowed: String,
}

impl ConfigError {
    /// `field` with its path (`server.max_connections`), the `value` found, and what is `allowed`, as it completes
    /// the words "must be".
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        allowed: impl fmt::Display,
    ) -> Self {
        Self { field: field.into(), value: value.to_string(), allowed: allowed.to_string() }
    }

    /// The same problem under another name: for a configuration that is made of others.
    #[must_use]
    pub fn renamed(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), ..self }
    }

    /// The field's path.
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, but must be {}", self.field, self.value, self.allowed)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::ConfigError;

    #[test]
    fn names_the_field_the_value_and_the_range() {
        let error = ConfigError::new("queue.capacity", 0, "1 to 65536");
        assert_eq!(error.to_string(), "`queue.capacity` is 0, but must be 1 to 65536");
        assert_eq!(error.field(), "queue.capacity");
        let renamed = error.renamed("shop.queue.capacity");
        assert_eq!(renamed.to_string(), "`shop.queue.capacity` is 0, but must be 1 to 65536");
    }
}
