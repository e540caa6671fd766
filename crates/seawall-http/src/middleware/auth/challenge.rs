//! `WWW-Authenticate`: what the client should bring.

use http::HeaderValue;
use seawall_core::ConfigError;

/// `Scheme realm="text"` and what follows it.
pub(super) fn challenge(
    field: &'static str,
    scheme: &str,
    realm: &str,
    rest: &str,
) -> Result<HeaderValue, ConfigError> {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
    let refused =
        || ConfigError::new(field, format!("{realm:?}"), "visible ASCII without quotes and backslashes");
    if !realm.bytes().all(plain) {
        return Err(refused());
    }
    HeaderValue::try_from(format!("{scheme} realm=\"{realm}\"{rest}")).map_err(|_| refused())
}
