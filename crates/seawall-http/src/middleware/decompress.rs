//! Compressed requests: gzip, br, zstd and deflate, with limits on what comes out.
//!
//! The decoders are pulled: at most [`PIECE`] bytes are made at a time, so that a small body which claims to be a huge
//! one (a bomb) costs what was asked for, and ends at the first limit that it meets.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context as Waker, Poll, ready};

use bytes::{Buf as _, Bytes};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderValue, header};
use http_body::{Body as _, Frame};
use seawall_core::ConfigError;
use serde::Deserialize;

use super::{Middleware, Next, Step, before};
use crate::body::Body;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::respond::Response;

/// Bytes made at a time.
const PIECE: usize = 16 << 10;
/// Log2 of the largest window that a sender may ask for: 8 MiB, the most that RFC 9659 lets it use.
const ZSTD_WINDOW: u32 = 23;
/// Below so many bytes the ratio does not count: short texts of one letter are no bombs.
const RATIO_COUNTS_FROM: u64 = 256 << 10;

/// What may come out of a compressed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecompressConfig {
    /// The most bytes; one more is a 413. Default 16 MiB. The body limit counts what comes out too, so that the smaller
    /// of the two holds.
    pub max_bytes: u64,
    /// The most bytes per byte received, once 256 KiB came out; more is a 413. Default 200.
    pub max_ratio: u64,
}

impl Default for DecompressConfig {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_ratio: 200 }
    }
}

/// Hands a compressed request to the handler as it was before. `Content-Encoding` stays among the headers. Another
/// coding, or several one over the other, is a 415 with `Accept-Encoding`; what breaks off or is no such stream is a
/// 400. Per request it holds the window of its decoder: at most 32 KiB, for zstd 8 MiB and for br 16 MiB.
///
/// ```
/// use seawall_http::App;
/// use seawall_http::middleware::{Decompress, DecompressConfig};
///
/// let app = App::new().with(Decompress::new(&DecompressConfig::default())?).post("/", async |text: String| text);
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Decompress(DecompressConfig);

impl Decompress {
    /// Checks the configuration.
    ///
    /// # Errors
    /// For a limit of zero.
    pub fn new(config: &DecompressConfig) -> Result<Self, ConfigError> {
        let DecompressConfig { max_bytes, max_ratio } = *config;
        if max_bytes == 0 {
            return Err(ConfigError::new("decompress.max_bytes", 0, "at least 1"));
        }
        if max_ratio == 0 {
            return Err(ConfigError::new("decompress.max_ratio", 0, "at least 1"));
        }
        Ok(Self(*config))
    }

    fn look(&self, c: &Context) -> Result<()> {
        let mut codings = c.headers().get_all(header::CONTENT_ENCODING).iter();
        let Some(coding) = codings.next() else { return Ok(()) };
        let coding = coding.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        if coding == "identity" || coding.is_empty() {
            return Ok(());
        }
        let feed = Feed::default();
        let decoder = match &*coding {
            "gzip" | "x-gzip" => Decoder::Gzip(MultiGzDecoder::new(feed)),
            "deflate" => Decoder::Deflate(ZlibDecoder::new(feed)),
            "br" => Decoder::Br(Box::new(brotli::Decompressor::new(feed, 4096))),
            "zstd" => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(feed)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Decoder::Zstd(decoder)
            }
            _ => return Err(unknown()),
        };
        if codings.next().is_some() {
            return Err(unknown());
        }
        let body = c.stream_body()?;
        if !body.is_end_stream() {
            c.put_body(Body::from_http(Decoding { body, decoder, limits: self.0, received: 0, made: 0 }));
        }
        Ok(())
    }
}

fn unknown() -> Error {
    let known = HeaderValue::from_static("zstd, br, gzip, deflate");
    Error::unsupported_media_type("the body must be sent as it is, or as one of zstd, br, gzip, deflate")
        .header(header::ACCEPT_ENCODING, known)
}

/// What arrived and is not decoded yet. Without anything it "would block", which the decoders pass on unharmed.
#[derive(Debug, Default)]
struct Feed {
    bytes: Bytes,
    ended: bool,
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.ended {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(&self.bytes)
        }
    }
    fn consume(&mut self, length: usize) {
        self.bytes.advance(length);
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.len().min(into.len());
        self.bytes.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

enum Decoder {
    Gzip(MultiGzDecoder<Feed>),
    Deflate(ZlibDecoder<Feed>),
    Br(Box<brotli::Decompressor<Feed>>),
    Zstd(zstd::stream::read::Decoder<'static, Feed>),
}

impl Decoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(into),
            Self::Deflate(decoder) => decoder.read(into),
            Self::Br(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
        }
    }
    fn feed(&mut self) -> &mut Feed {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Br(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

/// A request's body that is decoded as it is read.
struct Decoding {
    body: Body,
    decoder: Decoder,
    limits: DecompressConfig,
    received: u64,
    made: u64,
}

impl Decoding {
    fn count(&mut self, made: usize) -> Result<()> {
        self.made += made as u64;
        let DecompressConfig { max_bytes, max_ratio } = self.limits;
        if self.made > max_bytes {
            return Err(Error::content_too_large(format!(
                "the body is larger than {max_bytes} bytes once decoded"
            )));
        }
        if self.made > RATIO_COUNTS_FROM && self.made / self.received.max(1) >= max_ratio {
            let message = format!("the body grows more than {max_ratio} times when it is decoded");
            return Err(Error::content_too_large(message));
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Waker<'_>) -> Poll<Result<Option<Bytes>>> {
        let mut made = vec![0; PIECE];
        loop {
            match self.decoder.read(&mut made) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(length) => {
                    self.count(length)?;
                    made.truncate(length);
                    return Poll::Ready(Ok(Some(made.into())));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    return Poll::Ready(Err(
                        Error::bad_request("the body is not coded as it says").source(error)
                    ));
                }
            }
            let piece = ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose();
            match piece.map_err(Error::from_boxed)?.map(Frame::into_data) {
                Some(Ok(piece)) => {
                    self.received += piece.len() as u64;
                    self.decoder.feed().bytes = piece;
                }
                Some(Err(_trailers)) => {}
                // Nothing at all is an empty body in every coding, although in none of them a stream.
                None if self.received == 0 => return Poll::Ready(Ok(None)),
                None => self.decoder.feed().ended = true,
            }
        }
    }
}

impl http_body::Body for Decoding {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = ready!(self.poll(cx)).transpose();
        Poll::Ready(polled.map(|piece| piece.map(Frame::data).map_err(Into::into)))
    }
}

impl Middleware for Decompress {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        self.look(&c)?;
        next.run(c).await
    }
    fn into_step(self) -> Step {
        before(move |c| self.look(c).map(|()| None)).into_step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_checked() {
        let refused = |config: DecompressConfig| Decompress::new(&config).unwrap_err().to_string();
        let text = refused(DecompressConfig { max_bytes: 0, ..Default::default() });
        assert_eq!(text, "`decompress.max_bytes` is 0, but must be at least 1");
        let text = refused(DecompressConfig { max_ratio: 0, ..Default::default() });
        assert_eq!(text, "`decompress.max_ratio` is 0, but must be at least 1");
    }
}
