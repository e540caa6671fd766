//! Request ids: taken from the client if plausible, else made; sent back so that both sides can name the request.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Middleware, Next, Step, after};
use crate::context::Context;
use crate::error::Result;
use crate::respond::Response;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are not taken over: they end up in every log line.
const MAX_LEN: usize = 128;

/// Sends the request's id back as `X-Request-Id`, on failures too.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestId;

impl RequestId {
    fn mark(c: &Context, answer: &mut Result<Response>) {
        let id = HeaderValue::from_str(c.request_id()).expect("an id is made of visible ASCII");
        match answer {
            Ok(response) => {
                response.headers_mut().insert(HEADER, id);
            }
            Err(error) => {
                let failed = std::mem::replace(error, crate::Error::internal("replaced below"));
                *error = failed.header(HEADER, id);
            }
        }
    }
}

impl Middleware for RequestId {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        let mut answer = next.run(c.clone()).await;
        Self::mark(&c, &mut answer);
        answer
    }
    fn into_step(self) -> Step {
        after(Self::mark).into_step()
    }
}

/// The client's id if it is short and visible ASCII without quotes, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> Box<str> {
    let given = headers.get(HEADER).and_then(|id| id.to_str().ok());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    match given {
        Some(id) if !id.is_empty() && id.len() <= MAX_LEN && id.bytes().all(plain) => id.into(),
        _ => fresh(),
    }
}

/// 128 bits: a random start per thread, then a count, mixed. Unique, not secret.
fn fresh() -> Box<str> {
    thread_local!(static STATE: (u64, Cell<u64>) = (RandomState::new().hash_one(0), Cell::new(0)));
    STATE.with(|(start, count)| {
        count.set(count.get().wrapping_add(1));
        format!("{:016x}{:016x}", start, mix(start ^ count.get())).into()
    })
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so different counts give different ids.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, taken: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(given).unwrap());
        let id = request_id(&headers);
        assert_eq!(&*id == given, taken, "{given} became {id}");
    }

    #[test]
    fn a_plain_id_is_taken_over() {
        check("01J-abc.7", true);
    }
    #[test]
    fn what_could_forge_a_log_line_is_not() {
        check("a b", false);
        check("a\"b", false);
        check(&"x".repeat(129), false);
        check("", false);
    }
    #[test]
    fn new_ids_differ() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
