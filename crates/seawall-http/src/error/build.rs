//! What is wrong with an app, found before its first request.

use std::{error, fmt};

use seawall_core::ConfigError;

/// Everything that is wrong with an [`App`](crate::App), found before the first request.
#[derive(Debug)]
pub struct BuildError(pub(crate) Vec<String>);

impl BuildError {
    /// One sentence per problem.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the app cannot start")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl error::Error for BuildError {}

impl From<ConfigError> for BuildError {
    fn from(error: ConfigError) -> Self {
        Self(vec![error.to_string()])
    }
}
