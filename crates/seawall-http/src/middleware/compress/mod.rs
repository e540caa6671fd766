//! Compressed answers: gzip, br, zstd, where the client accepts them and where they are worth it.
//!
//! `encoder.rs` has the compressors, `stream.rs` compresses a body while it is sent; the choice is `coding.rs`'s.

mod encoder;
mod stream;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use seawall_core::ConfigError;
use serde::Deserialize;

use self::encoder::Encoder;
use self::stream::Compressing;
use super::answer::vary;
use super::coding::{Coding, choose};
use super::{Middleware, Next, Step, after};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

/// What is compressed, and how hard.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompressConfig {
    /// The codings offered; where the client likes several best, the first one here. Default: zstd, br, gzip.
    pub codings: Vec<Coding>,
    /// Bodies with fewer bytes are sent as they are. Default 1024: what fits one packet arrives no earlier.
    pub min_length: usize,
    /// Effort of gzip, 0 to 9. Default 6.
    pub gzip_level: u32,
    /// Effort of brotli, 0 to 11. Default 4; from 9 on it takes longer than most networks.
    pub br_level: u32,
    /// Effort of zstd, 1 to 19. Default 3.
    pub zstd_level: i32,
}

impl Default for CompressConfig {
    fn default() -> Self {
        let codings = vec![Coding::Zstd, Coding::Br, Coding::Gzip];
        Self { codings, min_length: 1024, gzip_level: 6, br_level: 4, zstd_level: 3 }
    }
}

#[derive(Debug, Clone, Copy)]
struct Levels {
    gzip: u32,
    br: u32,
    zstd: i32,
}

/// Bodies up to this length are compressed in one go, and have a length on the wire. Longer ones are compressed in
/// pieces while they are sent, between which the worker sees to other connections; another thread would cost more to
/// reach than a piece takes.
const ONE_GO: usize = 16 << 10;

/// Compresses answers.
///
/// Sent as they are: what is short; what the client does not want compressed; what is compressed already, by
/// `Content-Encoding` or by its type (images, video, archives); `Cache-Control: no-transform`; ranges (206) and whatever
/// says `Content-Range`; server-sent events; what carries a `Content-Digest`; failures. A strong `ETag` becomes a weak
/// one, because the same tag must not name other bytes, and `Accept-Ranges` goes. `Vary: Accept-Encoding` is on every
/// answer that could have been compressed.
///
/// A streamed body is compressed as it comes; whenever its producer waits, what it wrote is flushed. HEAD has the same
/// headers as GET, and nothing is compressed for it.
///
/// Do not compress a page that has both a secret and something that a stranger may choose: the length tells (BREACH).
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Compress, CompressConfig};
///
/// let app = App::new().with(Compress::new(&CompressConfig::default())?).get("/", async || "a".repeat(10_000));
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Compress {
    codings: Vec<Coding>,
    min_length: usize,
    levels: Levels,
}

impl Compress {
    /// Checks the configuration.
    ///
    /// # Errors
    /// For a level that its coding does not have, and without codings.
    pub fn new(config: &CompressConfig) -> Result<Self, ConfigError> {
        let CompressConfig { codings, min_length, gzip_level, br_level, zstd_level } = config.clone();
        if codings.is_empty() {
            return Err(ConfigError::new("compress.codings", "empty", "some of zstd, br and gzip"));
        }
        if gzip_level > 9 {
            return Err(ConfigError::new("compress.gzip_level", gzip_level, "0 to 9"));
        }
        if br_level > 11 {
            return Err(ConfigError::new("compress.br_level", br_level, "0 to 11"));
        }
        if !(1..=19).contains(&zstd_level) {
            return Err(ConfigError::new("compress.zstd_level", zstd_level, "1 to 19"));
        }
        Ok(Self { codings, min_length, levels: Levels { gzip: gzip_level, br: br_level, zstd: zstd_level } })
    }

    fn look(&self, c: &Context, answer: &mut Result<Response>) {
        let Ok(response) = answer else { return };
        let not_modified = response.status() == StatusCode::NOT_MODIFIED;
        if !not_modified && !self.concerns(response) {
            return;
        }
        vary(response.headers_mut(), "Accept-Encoding");
        let Some(coding) = choose(c.headers(), &self.codings) else { return };
        if not_modified {
            return weaken(response.headers_mut()); // it speaks of what was sent compressed
        }
        // What cannot be set up is not worth a failure: the body is still there.
        let compressed = self.compress(response, coding, c.method() == Method::HEAD);
        if let Err(error) = compressed {
            tracing::error!(coding = coding.name(), %error, "an answer could not be compressed");
        }
    }

    /// Whether an answer may be compressed at all.
    fn concerns(&self, response: &Response) -> bool {
        let headers = response.headers();
        let status = response.status();
        let has_body = !status.is_informational()
            && !matches!(
                status,
                StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
            );
        let coded =
            [header::CONTENT_ENCODING, header::CONTENT_RANGE].iter().any(|name| headers.contains_key(name));
        let long_enough = response.body_length().is_none_or(|length| length >= self.min_length as u64);
        has_body
            && long_enough
            && !coded
            && !headers.contains_key("content-digest")
            && !says(headers, "no-transform")
            && headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(compressible)
    }

    fn compress(&self, response: &mut Response, coding: Coding, head: bool) -> std::io::Result<()> {
        let length = response.bytes().map(bytes::Bytes::len);
        match response.bytes() {
            Some(bytes) if bytes.len() <= ONE_GO && !head => {
                let mut encoder = Encoder::new(coding, self.levels, length)?;
                encoder.write(bytes)?;
                let smaller = encoder.finish()?;
                if smaller.len() >= bytes.len() {
                    return Ok(());
                }
                response.set_body(smaller);
            }
            _ => response.map_body(Compressing::new(Encoder::new(coding, self.levels, length)?)),
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_ENCODING, coding.value());
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        weaken(headers);
        Ok(())
    }
}

/// Whether `Cache-Control` has this directive.
fn says(headers: &HeaderMap, directive: &str) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|element| element.trim().eq_ignore_ascii_case(directive))
}

/// The same tag must not name other bytes (RFC 9110, 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")) else { return };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        headers.insert(header::ETAG, weak);
    }
}

/// Whether bodies of this type get smaller: text in all its forms. Events are text too, but must not wait.
fn compressible(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    match kind {
        "text" => subtype != "event-stream",
        "image" => matches!(subtype, "svg+xml" | "bmp"),
        "font" => matches!(subtype, "ttf" | "otf" | "collection"),
        "application" => {
            let suffix = subtype.rsplit_once('+').map_or("", |(_, suffix)| suffix);
            matches!(suffix, "json" | "xml" | "yaml")
                || matches!(
                    subtype,
                    "json"
                        | "javascript"
                        | "xml"
                        | "wasm"
                        | "graphql"
                        | "x-ndjson"
                        | "yaml"
                        | "toml"
                        | "rtf"
                        | "manifest"
                        | "vnd.ms-fontobject"
                )
        }
        _ => false,
    }
}

impl Middleware for Compress {
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
    fn text_in_all_its_forms_gets_smaller() {
        for kind in [
            "text/html; charset=utf-8",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
            "TEXT/css",
        ] {
            assert!(compressible(kind), "{kind}");
        }
        for kind in [
            "image/png",
            "text/event-stream",
            "application/zip",
            "video/mp4",
            "application/octet-stream",
            "",
            "text",
        ] {
            assert!(!compressible(kind), "{kind}");
        }
    }
    #[test]
    fn the_configuration_is_checked() {
        let refused = |config: CompressConfig| Compress::new(&config).unwrap_err().to_string();
        let default = CompressConfig::default;
        assert_eq!(
            refused(CompressConfig { codings: vec![], ..default() }),
            "`compress.codings` is empty, but must be some of zstd, br and gzip"
        );
        assert_eq!(
            refused(CompressConfig { gzip_level: 10, ..default() }),
            "`compress.gzip_level` is 10, but must be 0 to 9"
        );
        assert_eq!(
            refused(CompressConfig { br_level: 12, ..default() }),
            "`compress.br_level` is 12, but must be 0 to 11"
        );
        assert_eq!(
            refused(CompressConfig { zstd_level: 0, ..default() }),
            "`compress.zstd_level` is 0, but must be 1 to 19"
        );
    }
    #[test]
    fn a_tag_is_weakened_once() {
        let mut headers: HeaderMap =
            [(header::ETAG, HeaderValue::from_static("\"a\""))].into_iter().collect();
        weaken(&mut headers);
        weaken(&mut headers);
        assert_eq!(headers[header::ETAG], "W/\"a\"");
    }
}
