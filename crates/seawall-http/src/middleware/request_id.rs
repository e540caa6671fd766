//! Request ids: taken from the client if plausible, else made; sent back so that both sides can name the request.

use http::{HeaderName, HeaderValue};

use super::{Middleware, Next, Step, before};
use crate::context::{AtTheEnd, Context};
use crate::error::Result;
use crate::ids;
use crate::respond::Response;

pub(crate) const NAME: &str = "x-request-id";
const HEADER: HeaderName = HeaderName::from_static(NAME);

/// Longer ids are not taken over: they end up in every log line.
const MAX_LEN: usize = 128;

/// Sends the request's id back as `X-Request-Id`; on every answer to a request that came to this middleware, a 504 of
/// a timeout and the 500 of a panic included.
///
/// ```
/// use seawall_http::middleware::RequestId;
/// use seawall_http::{App, Context};
///
/// let app = App::new().with(RequestId).get("/", async |c: Context| c.text(200, c.request_id().to_owned()));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestId;

impl Middleware for RequestId {
    async fn handle(&self, c: Context, next: Next) -> Result<Response> {
        c.leave_to_the_end(AtTheEnd::SendId);
        next.run(c).await
    }
    fn into_step(self) -> Step {
        before(|c| {
            c.leave_to_the_end(AtTheEnd::SendId);
            Ok(None)
        })
        .into_step()
    }
}

pub(crate) fn send_id(c: &Context, response: &mut Response) {
    let id = HeaderValue::from_str(c.request_id()).expect("an id is made of visible ASCII");
    response.fields_mut().insert(HEADER, id);
}

/// The client's id if it is short and visible ASCII without quotes, else a new one.
pub(crate) fn request_id(given: Option<&[u8]>) -> Box<str> {
    let given = given.and_then(|id| std::str::from_utf8(id).ok());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    match given {
        Some(id) if !id.is_empty() && id.len() <= MAX_LEN && id.bytes().all(plain) => id.into(),
        _ => std::str::from_utf8(&ids::hex::<32>(ids::next())).expect("digits are ASCII").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, taken: bool) {
        let id = request_id(Some(given.as_bytes()));
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
    fn without_one_there_is_a_new_one() {
        let (first, second) = (request_id(None), request_id(None));
        assert_eq!((first.len(), second.len()), (32, 32));
        assert_ne!(first, second);
    }
}
