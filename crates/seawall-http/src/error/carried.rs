//! An [`Error`] on its way through code that knows only [`std::error::Error`]: an `io::Error` of a stream adaptor, a
//! boxed source, a parser that reads from a stream.
//!
//! [`Error`] itself implements no such trait (see there), so it travels in a [`Carried`], and is looked for again in
//! the chain of sources wherever an error becomes an [`Error`]: in `?`, [`Error::source`], [`Error::internal`] and
//! [`Error::from_boxed`]. Wrappers that keep only the text of what they wrap cannot be looked into.

use std::error;
use std::{fmt, io};

use super::{Error, Told};

type Boxed = Box<dyn error::Error + Send + Sync>;
type Cause<'a> = &'a (dyn error::Error + 'static);

/// No honest chain is longer; one that refers to itself would never end.
const MAX_CHAIN: usize = 64;

/// An [`Error`] as a standard one. It stands in its chain twice, because some wrappers (`io::Error`, `serde_json`)
/// skip the error that they hold and go on with its source.
#[derive(Debug)]
pub(super) struct Carried(Behind);

#[derive(Debug)]
struct Behind(Error);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl error::Error for Carried {
    fn source(&self) -> Option<Cause<'_>> {
        Some(&self.0)
    }
}
impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}
impl error::Error for Behind {
    fn source(&self) -> Option<Cause<'_>> {
        self.0.0.source.as_deref().map(|source| source as Cause<'_>)
    }
}

/// An error and everything behind it, outermost first. A carried error stands here once.
pub(super) fn chain(first: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    let all = std::iter::successors(Some(first), |&cause| behind(cause)).take(MAX_CHAIN);
    all.filter(|cause| !cause.is::<Carried>())
}

/// What an error was made of. An `io::Error` would skip what it holds.
fn behind(cause: Cause<'_>) -> Option<Cause<'_>> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => cause.source(),
    }
}

/// The outermost [`Error`] that was carried here: what it tells the client, and whether anybody decided that.
pub(super) fn find(first: Cause<'_>) -> Option<(&Told, bool)> {
    let carried = chain(first).find_map(|cause| cause.downcast_ref::<Behind>())?;
    Some((&carried.0.0.told, carried.0.0.undecided))
}

impl Error {
    /// What `?` does, for a boxed error, which `?` cannot take: a 500 whose detail only the log sees, unless an
    /// [`Error`] is inside, which keeps its status.
    pub fn from_boxed(error: Box<dyn error::Error + Send + Sync>) -> Self {
        match error.downcast::<Carried>() {
            Ok(carried) => carried.0.0,
            Err(error) => Self::wrapping(error),
        }
    }
}

/// For code that asks for a standard error: `io::Error::other(error)`, the items of a stream. `?`, [`Error::source`]
/// and [`Error::from_boxed`] find it again.
impl From<Error> for Boxed {
    fn from(error: Error) -> Self {
        Box::new(Carried(Behind(error)))
    }
}

/// For code that asks for an `io::Error`. `?` finds the error again.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(Carried(Behind(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any wrapper that tells its source.
    #[derive(Debug)]
    struct Wrapped(Boxed);
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }
    impl error::Error for Wrapped {
        fn source(&self) -> Option<Cause<'_>> {
            Some(&*self.0)
        }
    }

    /// A reader that fails with a carried error at once.
    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Error::too_large(7).into())
        }
    }

    #[track_caller]
    fn stays_413(error: Error) {
        assert_eq!(error.status(), 413, "{error:?}");
        assert_eq!(error.message(), "the body is larger than 7 bytes");
        assert!(!error.is_undecided());
    }

    #[test]
    fn through_an_io_error() {
        stays_413(io::Error::from(Error::too_large(7)).into());
        stays_413(io::Error::other(Error::too_large(7)).into());
        stays_413(io::Error::other(io::Error::from(Error::too_large(7))).into());
    }
    #[test]
    fn through_a_boxed_error() {
        let boxed: Boxed = Error::too_large(7).into();
        stays_413(Error::from_boxed(boxed));
        let boxed: Boxed = Box::new(Wrapped(Error::too_large(7).into()));
        stays_413(Error::from_boxed(boxed));
    }
    #[test]
    fn through_a_wrapper_that_tells_its_source() {
        stays_413(Wrapped(Error::too_large(7).into()).into());
        stays_413(Wrapped(Box::new(io::Error::from(Error::too_large(7)))).into());
        stays_413(io::Error::other(Wrapped(Error::too_large(7).into())).into());
    }
    #[test]
    fn through_serde_json_which_skips_what_it_holds() {
        let failed = serde_json::from_reader::<_, u8>(Failing).unwrap_err();
        stays_413(failed.into());
        let mut reader = serde_json::Deserializer::from_reader(Failing);
        let failed: Result<u8, _> = serde_path_to_error::deserialize(&mut reader);
        stays_413(failed.unwrap_err().into());
    }
    #[test]
    fn through_errors_that_choose_another_status() {
        stays_413(Error::bad_request("the upload failed").source(Error::too_large(7)));
        stays_413(Error::internal(Error::too_large(7)));
        let again = Error::bad_request("outer").source(Wrapped(Error::too_large(7).into()));
        stays_413(Error::unavailable("outermost").source(io::Error::from(again)));
    }
    #[cfg(feature = "multipart")]
    #[test]
    fn through_multer() {
        let failed = multer::Error::StreamReadFailed(Error::too_large(7).into());
        stays_413(Error::bad_request("no multipart").source(failed));
    }

    #[test]
    fn other_statuses_stay_under_a_question_mark_only() {
        let not_found = || io::Error::from(Error::not_found("no").code("gone").field("id", "is 7"));
        let kept = Error::from(not_found());
        assert_eq!((kept.status().as_u16(), kept.message()), (404, "no"));
        assert_eq!(String::from_utf8_lossy(kept.response().bytes().unwrap()), {
            r#"{"message":"no","code":"gone","fields":[{"field":"id","message":"is 7"}]}"#
        });
        let chosen = Error::bad_gateway("the stock service failed").source(not_found());
        assert_eq!((chosen.status().as_u16(), chosen.message()), (502, "the stock service failed"));
    }
    #[test]
    fn an_error_that_nobody_decided_stays_so() {
        let inner = Error::from(io::Error::other("disk"));
        let outer = Error::from(io::Error::from(inner));
        assert!(outer.is_undecided());
        assert!(outer.cause::<io::Error>().is_some());
    }
    #[test]
    fn the_log_sees_each_step_once() {
        let error = Error::from(io::Error::from(Error::conflict("sold out").source(Wrapped("db".into()))));
        assert_eq!(format!("{error:?}"), "409 sold out: sold out: wrapped: db");
    }
    #[test]
    fn a_chain_without_an_end_is_given_up() {
        #[derive(Debug)]
        struct Itself;
        impl fmt::Display for Itself {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("x")
            }
        }
        impl error::Error for Itself {
            fn source(&self) -> Option<Cause<'_>> {
                Some(&Self)
            }
        }
        assert_eq!(Error::from(Itself).status(), 500);
    }
}
