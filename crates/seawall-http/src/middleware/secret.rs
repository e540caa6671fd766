//! Secrets: text that no log shows, compared in a time that tells nothing, and random ones.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq as _};

use crate::error::{Error, Result};

/// Text that must not be shown: a password, a key. Its `Debug` shows two dots; reading it takes a word,
/// [`Secret::expose`].
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
    /// Whether `given` is this secret. The time that it takes depends on `given` alone.
    pub fn matches(&self, given: &str) -> bool {
        same(given.as_bytes(), self.0.as_bytes()).into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Compares in a time that depends on `given` alone: neither the length nor a common beginning of `secret` shows.
pub(super) fn same(given: &[u8], secret: &[u8]) -> Choice {
    let mut same = (given.len() as u64).ct_eq(&(secret.len() as u64));
    for (at, byte) in given.iter().enumerate() {
        // Past its end the secret is read from its beginning again; the lengths have settled the answer then.
        let other = if secret.is_empty() { 0 } else { secret[at % secret.len()] };
        same &= byte.ct_eq(&other);
    }
    same
}

/// The length of what [`random`] makes.
pub(super) const RANDOM_LEN: usize = 43;

/// 256 bits of the system's randomness, in base64url.
///
/// # Errors
/// 500 if the system has none, which a system that has started does not do.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether `text` has the shape of what [`random`] makes.
pub(super) fn looks_random(text: &str) -> bool {
    text.len() == RANDOM_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret(..)");
    }
    #[test]
    fn random_texts_differ_and_have_their_shape() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert!(looks_random(&one) && looks_random(&other));
        assert!(!looks_random(&one[1..]) && !looks_random(&format!("{}+", &one[1..])));
    }

    proptest! {
        #[test]
        fn it_compares_as_the_plain_comparison_does(given in "[ab]{0,5}", secret in "[ab]{0,5}") {
            prop_assert_eq!(Secret::from(&*secret).matches(&given), given == secret);
        }
    }
}
