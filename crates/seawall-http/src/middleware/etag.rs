//! Tags for answers that have none, and 304 for clients that have the answer already.
//!
//! It saves the way, not the work: the handler has run. For files see [`File`](crate::File), which knows the tag before
//! it reads.

use http::{HeaderValue, Method, StatusCode, header};
use seawall_core::ConfigError;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Middleware, Next, Step, after};
use crate::context::Context;
use crate::error::Result;
use crate::ids;
use crate::respond::{Response, lists_tag};

/// Which answers get a tag, and what it promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ETagConfig {
    /// Whether the same tag promises the same bytes, and not only the same meaning. Default: yes, because the tag is a
    /// hash of the bytes. [`Compress`](crate::middleware) further out makes it weak again.
    pub strong: bool,
    /// Longer bodies get no tag: hashing them would take longer than sending. At most 16 MiB. Default 256 KiB.
    pub max_length: usize,
}

const MOST: usize = 16 << 20;

impl Default for ETagConfig {
    fn default() -> Self {
        Self { strong: true, max_length: 256 << 10 }
    }
}

/// Tags answers to GET and HEAD with status 200 whose body is all there: 128 bits of its SHA-256, the same on every
/// replica. A tag that the handler set stays. Where `If-None-Match` lists the tag, the answer becomes a 304 without
/// its body.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{ETag, ETagConfig};
///
/// let app = App::new().with(ETag::new(&ETagConfig::default())?).get("/", async || "hello");
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ETag(ETagConfig);

impl ETag {
    /// Checks the configuration.
    ///
    /// # Errors
    /// For a length above 16 MiB.
    pub fn new(config: &ETagConfig) -> Result<Self, ConfigError> {
        let ETagConfig { strong: _, max_length } = *config;
        if max_length > MOST {
            return Err(ConfigError::new("etag.max_length", max_length, format!("0 to {MOST}")));
        }
        Ok(Self(*config))
    }

    fn look(&self, c: &Context, answer: &mut Result<Response>) {
        let reads = *c.method() == Method::GET || *c.method() == Method::HEAD;
        let Ok(response) = answer else { return };
        if !reads || response.status() != StatusCode::OK {
            return;
        }
        if !response.headers().contains_key(header::ETAG) {
            let Some(bytes) = response.bytes().filter(|bytes| bytes.len() <= self.0.max_length) else {
                return;
            };
            let tag = tag(bytes, self.0.strong);
            response.headers_mut().insert(header::ETAG, tag);
        }
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        if !c.conditions_are_taken()
            && tag.is_some_and(|tag| lists_tag(c.headers(), &header::IF_NONE_MATCH, tag))
        {
            not_modified(response);
        }
    }
}

/// What a 304 has of the 200 that it stands for: all headers but those that describe a body (RFC 9110, 15.4.5).
pub(super) fn not_modified(response: &mut Response) {
    response.set_status(StatusCode::NOT_MODIFIED);
    response.set_body(bytes::Bytes::new());
    let of_the_body =
        [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE];
    for name in of_the_body {
        response.headers_mut().remove(name);
    }
}

fn tag(bytes: &[u8], strong: bool) -> HeaderValue {
    let hash = Sha256::digest(bytes);
    let half = u128::from_be_bytes(hash[..16].try_into().expect("SHA-256 has 32 bytes"));
    let mut text = [b'"'; 36];
    text[..3].copy_from_slice(b"W/\"");
    text[3..35].copy_from_slice(&ids::hex::<32>(half));
    HeaderValue::from_bytes(if strong { &text[2..] } else { &text }).expect("hexadecimal digits in quotes")
}

impl Middleware for ETag {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = next.run(c.clone()).await;
        self.look(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        after(move |c, answer| self.look(c, answer)).into_step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_half_of_the_hash() {
        // SHA-256 of nothing begins with e3b0c442 98fc1c14 9afbf4c8 996fb924 (FIPS 180-4).
        assert_eq!(tag(b"", true), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_eq!(tag(b"", false), "W/\"e3b0c44298fc1c149afbf4c8996fb924\"");
    }
    #[test]
    fn the_configuration_is_checked() {
        let config = ETagConfig { max_length: MOST + 1, ..Default::default() };
        let text = ETag::new(&config).unwrap_err().to_string();
        assert_eq!(text, "`etag.max_length` is 16777217, but must be 0 to 16777216");
    }
}
