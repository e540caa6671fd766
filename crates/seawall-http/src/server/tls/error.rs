//! What can be wrong with a configuration of TLS.

use std::error;
use std::fmt;

use seawall_core::ConfigError;

use super::config::Pem;

/// Why TLS cannot be had: the file, and what is wrong with it. It never quotes what is in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(String);

impl TlsError {
    pub(super) fn new(problem: impl fmt::Display) -> Self {
        Self(format!("TLS cannot be set up: {problem}"))
    }
    pub(super) fn of(pem: &Pem, problem: impl fmt::Display) -> Self {
        Self(format!("the PEM {pem} cannot be used: {problem}"))
    }
}

impl From<ConfigError> for TlsError {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for TlsError {}
