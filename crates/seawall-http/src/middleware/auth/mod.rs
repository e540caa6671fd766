//! Who may come in: by name and password, by key, by token.
//!
//! What they have in common: a refusal is a 401 with a challenge (RFC 9110, 11.6.1), and it hides neither a 405 nor
//! the automatic answer to OPTIONS. A path that does not exist is a 401 too, because a fallback may stand behind it.

mod basic;
mod challenge;
#[cfg(feature = "jwt")]
mod jwt;
mod key;
mod source;

pub use basic::{BasicAuth, BasicAuthConfig, BasicUser};
#[cfg(feature = "jwt")]
pub use jwt::{Claims, Jwt, JwtAlgorithm, JwtConfig, JwtKey};
pub use key::{ApiKey, KeyAuth, KeyAuthConfig};
pub use source::CredentialSource;
