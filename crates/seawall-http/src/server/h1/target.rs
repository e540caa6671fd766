//! The target of a request, in its four forms (RFC 9112, 3.2). Pure.

use std::ops::RangeInclusive;

use http::uri::{Authority, Scheme};
use http::{Method, Uri};

use super::fault::Fault;
use super::fields::is_host;

/// More does not fit into an [`Uri`].
const LONGEST: usize = u16::MAX as usize - 1;

/// A target that may be looked for.
pub(super) enum Target {
    /// A path, perhaps with a query. An [`Uri`] can be made of it without an error.
    Path,
    /// One of the other forms.
    Other(Uri),
}

/// Reads a target.
///
/// # Errors
/// If it is not of the form that its method has, or has a byte that may not be there: everything that is not visible
/// ASCII, and `#`, because a fragment is never sent.
pub(super) fn read(target: &str, method: &Method) -> Result<Target, Fault> {
    if target.len() > LONGEST {
        return Err(Fault::TargetTooLong);
    }
    let other = match target.as_bytes() {
        _ if method == Method::CONNECT => authority(target),
        [b'/', ..] => return path(target.as_bytes()),
        b"*" if method == Method::OPTIONS => Some(Uri::from_static("*")),
        _ => absolute(target),
    };
    other.map(Target::Other).ok_or(Fault::Malformed("the target is of no form that its method has"))
}

fn path(target: &[u8]) -> Result<Target, Fault> {
    let path = target.iter().position(|&byte| !IN_PATH[usize::from(byte)]).unwrap_or(target.len());
    let good = match &target[path..] {
        [] => true,
        [b'?', query @ ..] => query.iter().all(|&byte| IN_QUERY[usize::from(byte)]),
        _ => false,
    };
    if good { Ok(Target::Path) } else { Err(Fault::Malformed("the target has a byte that may not be there")) }
}

fn authority(target: &str) -> Option<Uri> {
    let authority: Authority = target.parse().ok()?;
    authority.port_u16()?;
    (!authority.host().is_empty() && is_host(target.as_bytes())).then(|| Uri::from(authority))
}

fn absolute(target: &str) -> Option<Uri> {
    let uri: Uri = target.parse().ok()?;
    let known = [Scheme::HTTP, Scheme::HTTPS].iter().any(|scheme| uri.scheme() == Some(scheme));
    let host = uri.authority().filter(|authority| is_host(authority.as_str().as_bytes()))?;
    (known && !host.host().is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'))
        .then_some(uri)
}

/// What the `http` crate takes in a path, without what is no ASCII.
const IN_PATH: [bool; 256] = table(&[0x21..=0x22, 0x24..=0x3B, 0x3D..=0x3D, 0x40..=0x5F, 0x61..=0x7E]);

/// The same for a query.
const IN_QUERY: [bool; 256] = table(&[0x21..=0x21, 0x24..=0x3B, 0x3D..=0x3D, 0x3F..=0x7E]);

const fn table(ranges: &[RangeInclusive<usize>]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < ranges.len() {
        let mut byte = *ranges[at].start();
        while byte <= *ranges[at].end() {
            table[byte] = true;
            byte += 1;
        }
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_taken_for_a_path_becomes_a_uri() {
        for byte in 0..=u8::MAX {
            for target in [vec![b'/', byte], vec![b'/', b'?', byte]] {
                let Ok(text) = std::str::from_utf8(&target) else { continue };
                if read(text, &Method::GET).is_ok() {
                    let uri: Uri = text.parse().unwrap();
                    assert_eq!(uri.path_and_query().unwrap().as_str(), text);
                }
            }
        }
    }

    #[track_caller]
    fn form(method: Method, target: &str, expected: Option<&str>) {
        let read = read(target, &method).ok().map(|found| match found {
            Target::Path => "path",
            Target::Other(uri) if uri.authority().is_some() && uri.scheme().is_some() => "absolute",
            Target::Other(uri) if uri.authority().is_some() => "authority",
            Target::Other(_) => "asterisk",
        });
        assert_eq!(read, expected, "{method} {target}");
    }

    #[test]
    fn each_method_has_its_forms() {
        form(Method::GET, "/a/b?c=d&e=%20", Some("path"));
        form(Method::GET, "/", Some("path"));
        form(Method::GET, "http://example.com/a", Some("absolute"));
        form(Method::GET, "https://example.com", Some("absolute"));
        form(Method::OPTIONS, "*", Some("asterisk"));
        form(Method::CONNECT, "example.com:443", Some("authority"));
        form(Method::GET, "*", None);
        form(Method::GET, "example.com:443", None);
        form(Method::GET, "a/b", None);
        form(Method::GET, "ftp://example.com/a", None);
        form(Method::GET, "http://user@example.com/", None);
        form(Method::GET, "http:///a", None);
        form(Method::CONNECT, "/a", None);
        form(Method::CONNECT, "example.com", None);
        form(Method::CONNECT, ":80", None);
        form(Method::GET, "http://a:b/", None);
    }

    #[test]
    fn what_is_never_sent_is_refused() {
        form(Method::GET, "/a#b", None);
        form(Method::GET, "/a?b#c", None);
        form(Method::GET, "http://example.com/#c", None);
        form(Method::GET, "/\u{e4}", None);
        form(Method::GET, "/a\"b", Some("path"));
        form(Method::GET, "/<", None);
    }

    #[test]
    fn a_target_has_an_end() {
        form(Method::GET, &format!("/{}", "a".repeat(LONGEST - 1)), Some("path"));
        assert_eq!(
            read(&format!("/{}", "a".repeat(LONGEST)), &Method::GET).err(),
            Some(Fault::TargetTooLong)
        );
    }
}
