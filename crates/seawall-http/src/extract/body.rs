//! The body as it came: bytes, text, or a stream.

use bytes::Bytes;

use super::{Extract, WholeBody};
use crate::body::Body;
use crate::context::Context;
use crate::error::{Error, Result};

impl Extract<WholeBody> for Bytes {
    async fn extract(c: &Context) -> Result<Self> {
        c.body().await
    }
}

impl Extract<WholeBody> for String {
    async fn extract(c: &Context) -> Result<Self> {
        let body = c.body().await?;
        let text = std::str::from_utf8(&body);
        let not_text =
            |e: &std::str::Utf8Error| Error::bad_request("the body is not UTF-8 text").field("body", e);
        text.map(str::to_owned).map_err(|e| not_text(&e))
    }
}

impl Extract<WholeBody> for Body {
    async fn extract(c: &Context) -> Result<Self> {
        c.stream_body()
    }
}
