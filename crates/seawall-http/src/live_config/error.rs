//! Why a text is not taken over.

use std::error;
use std::fmt;
use std::path::PathBuf;

use seawall_core::ConfigError;

/// Why a configuration from text was refused. Everything is as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveConfigError {
    /// It is no JSON, or no TOML.
    Syntax {
        /// The line, from 1; 0 if it is not known.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A field that does not exist, or a value of another kind.
    Field {
        /// The field's path, with the name of the configuration: `overload.limit.max`.
        field: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A value that is outside of its range.
    Range(ConfigError),
    /// A file that cannot be read, or not be followed.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

impl LiveConfigError {
    /// The field that is wrong, if it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field { field, .. } => Some(field),
            Self::Range(error) => Some(error.field()),
            Self::Syntax { .. } | Self::File { .. } => None,
        }
    }
}

impl fmt::Display for LiveConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line: 0, problem } => f.write_str(problem),
            Self::Syntax { line, problem } => write!(f, "line {line}: {problem}"),
            Self::Field { field, problem } => write!(f, "`{field}`: {problem}"),
            Self::Range(error) => error.fmt(f),
            Self::File { path, problem } => write!(f, "{}: {problem}", path.display()),
        }
    }
}

impl error::Error for LiveConfigError {}

impl From<ConfigError> for LiveConfigError {
    fn from(error: ConfigError) -> Self {
        Self::Range(error)
    }
}
