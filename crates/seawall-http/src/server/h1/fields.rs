//! The fields that say something about the connection and the body, in one pass over all of them. Pure.

use std::net::Ipv6Addr;

use http::Version;
use httparse::Header;

use super::fault::Fault;
use super::head::Framing;
use crate::head::Names;
use crate::timeout_header;

/// What the fields of one request say.
#[derive(Debug, Default)]
pub(super) struct Fields {
    host: bool,
    length: Option<u64>,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
    expect: Option<Expect>,
    trailers: bool,
    timeout: bool,
    names: Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// It ends with `chunked`, so that the end could be found, but there is another one inside.
    More,
    /// Nobody can tell where the body ends.
    Endless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Continue,
    Other,
}

impl Fields {
    /// # Errors
    /// For what is there twice and may not be, and for values that break their grammar.
    pub(super) fn read(headers: &[Header<'_>]) -> Result<Self, Fault> {
        let mut fields = Self::default();
        for header in headers {
            fields.names.add(header.name.as_bytes());
            fields.take(header)?;
        }
        Ok(fields)
    }

    /// Most fields are none of ours, and their length alone says so.
    fn take(&mut self, header: &Header<'_>) -> Result<(), Fault> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            2 if is("te") => self.trailers |= list(header.value).any(|item| is_word(item, b"trailers")),
            4 if is("host") => self.host(header.value)?,
            6 if is("expect") => self.expect(header.value),
            10 if is("connection") => self.connection(header.value),
            12 if is(timeout_header::GRPC.as_str()) => self.timeout = true,
            14 if is("content-length") => self.length(header.value)?,
            17 if is("transfer-encoding") => self.coding(header.value)?,
            18 if is(timeout_header::OWN.as_str()) => self.timeout = true,
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Fault> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Fault::Malformed("there is more than one Host"));
        }
        if is_host(value) { Ok(()) } else { Err(Fault::Malformed("Host is no host")) }
    }

    fn expect(&mut self, value: &[u8]) {
        let one = if is_word(value, b"100-continue") { Expect::Continue } else { Expect::Other };
        self.expect = match self.expect {
            None | Some(Expect::Continue) => Some(one),
            other => other,
        };
    }

    fn connection(&mut self, value: &[u8]) {
        for item in list(value) {
            self.close |= is_word(item, b"close");
            self.keep_alive |= is_word(item, b"keep-alive");
        }
    }

    /// A second one is refused even if it says the same: whoever sends it has put two requests together.
    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
            return Err(Fault::Malformed("Content-Length is no number"));
        }
        let number = value.iter().fold(0, |number, digit| number * 10 + u64::from(digit & 0x0F));
        match self.length.replace(number) {
            Some(_) => Err(Fault::Malformed("there is more than one Content-Length")),
            None => Ok(()),
        }
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.coding.is_some() {
            return Err(Fault::Malformed("there is more than one Transfer-Encoding"));
        }
        let mut codings = list(value).collect::<smallvec::SmallVec<[_; 4]>>();
        let last = codings.pop().unwrap_or_default();
        let inner_is_chunked = codings.iter().any(|item| is_word(item, b"chunked"));
        self.coding = Some(match () {
            () if !is_word(last, b"chunked") || inner_is_chunked => Coding::Endless,
            () if codings.is_empty() && value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
            () => Coding::More,
        });
        Ok(())
    }

    /// How the body ends (RFC 9112, 6.3).
    ///
    /// # Errors
    /// If it could be read in two ways, or in none; if there is no `Host`, or not one where there must be.
    pub(super) fn framing(&self, version: Version) -> Result<Framing, Fault> {
        if !self.host && version != Version::HTTP_10 {
            return Err(Fault::Malformed("there is no Host"));
        }
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(Fault::Malformed("the body has a length and a coding")),
            (Some(_), None) if version == Version::HTTP_10 => {
                Err(Fault::Malformed("HTTP/1.0 knows no Transfer-Encoding"))
            }
            (Some(Coding::Chunked), None) => Ok(Framing::Chunked),
            (Some(Coding::More), None) => Err(Fault::Coding),
            (Some(Coding::Endless), None) => Err(Fault::Malformed("the last coding is not chunked")),
            (None, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }

    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version != Version::HTTP_10 || self.keep_alive)
    }

    /// HTTP/1.0 knows no expectations, so one in it is ignored (RFC 9110, 10.1.1).
    ///
    /// # Errors
    /// For an expectation that is not known.
    pub(super) fn expects_continue(&self, version: Version) -> Result<bool, Fault> {
        match self.expect {
            Some(_) if version == Version::HTTP_10 => Ok(false),
            Some(Expect::Other) => Err(Fault::Expectation),
            Some(Expect::Continue) => Ok(true),
            None => Ok(false),
        }
    }

    /// The client says how long it waits.
    pub(super) fn says_timeout(&self) -> bool {
        self.timeout
    }

    /// The names of all of them.
    pub(super) fn names(&self) -> Names {
        self.names
    }

    pub(super) fn takes_trailers(&self) -> bool {
        self.trailers
    }
}

/// The items of a list, without the white space around them and without empty ones (RFC 9110, 5.6.1.2).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

fn is_word(item: &[u8], word: &[u8]) -> bool {
    item.eq_ignore_ascii_case(word)
}

/// `uri-host [":" port]` (RFC 3986, 3.2). It may be empty (RFC 9112, 3.2).
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
            if !is_address(&rest[..end]) {
                return false;
            }
            (&[][..], &rest[end + 1..])
        }
        _ => value.split_at(value.iter().position(|&byte| byte == b':').unwrap_or(value.len())),
    };
    let port_is_good = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    port_is_good && is_name(host)
}

/// A reg-name; an IPv4 address is one by its bytes.
fn is_name(name: &[u8]) -> bool {
    let plain = |byte: &u8| IN_NAME[usize::from(*byte)];
    if name.iter().all(plain) {
        return true;
    }
    let mut pieces = name.split(|&byte| byte == b'%');
    let encoded =
        |piece: &[u8]| matches!(piece, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    pieces.next().is_some_and(|first| first.iter().all(plain))
        && pieces.all(|piece| encoded(piece) && piece.iter().all(plain))
}

/// Letters and digits, and what else a name has without being escaped.
const IN_NAME: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
            || matches!(byte as u8, b'*' | b'+' | b',' | b';' | b'=');
        byte += 1;
    }
    table
};

/// What stands in brackets: an IPv6 address, or one of a version to come.
fn is_address(literal: &[u8]) -> bool {
    let text = std::str::from_utf8(literal).unwrap_or_default();
    let of_the_future = |rest: &str| {
        let Some((version, address)) = rest.split_once('.') else { return false };
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&byte);
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(good)
    };
    text.parse::<Ipv6Addr>().is_ok() || text.strip_prefix(['v', 'V']).is_some_and(of_the_future)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<Fields, Fault> {
        let headers: Vec<_> =
            fields.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        Fields::read(&headers)
    }

    #[track_caller]
    fn framing(fields: &[(&str, &str)], expected: Option<Framing>) {
        let with_host = [&[("Host", "a")], fields].concat();
        let found = read(&with_host).and_then(|fields| fields.framing(Version::HTTP_11));
        assert_eq!(found.ok(), expected, "{fields:?}");
    }

    #[test]
    fn a_body_has_one_length() {
        framing(&[], Some(Framing::Length(0)));
        framing(&[("Content-Length", "42")], Some(Framing::Length(42)));
        framing(&[("content-length", "0042")], Some(Framing::Length(42)));
        framing(&[("Transfer-Encoding", "Chunked")], Some(Framing::Chunked));
        for length in ["", "+1", "-1", "1 2", "0x1", "1,1", "1;", "99999999999999999999"] {
            framing(&[("Content-Length", length)], None);
        }
        framing(&[("Content-Length", "1"), ("Content-Length", "1")], None);
        framing(&[("Content-Length", "1"), ("Transfer-Encoding", "chunked")], None);
    }

    #[test]
    fn chunked_is_last_and_there_once() {
        for coding in ["identity", "gzip", "chunked, gzip", "chunked, chunked", "", "xchunked", "chunked;a=b"]
        {
            framing(&[("Transfer-Encoding", coding)], None);
        }
        framing(&[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], None);
        let more = read(&[("Host", ""), ("Transfer-Encoding", "gzip, chunked")]).unwrap();
        assert_eq!(more.framing(Version::HTTP_11), Err(Fault::Coding));
        let old = read(&[("Transfer-Encoding", "chunked")]).unwrap();
        assert!(old.framing(Version::HTTP_10).is_err());
    }

    #[test]
    fn a_host_is_there_once_and_is_one() {
        for host in
            ["", "a", "a.b:80", "a:", "127.0.0.1:8080", "[::1]", "[::1]:443", "a_b", "a%20b", "[v1.x]"]
        {
            assert!(read(&[("Host", host)]).is_ok(), "{host}");
        }
        for host in [
            "a b", "a/b", "a:b", "a:123456", "[::1", "[]", "[::1]a", "a@b", "a\u{e4}", "[a]", "%", "a%4",
            "a%zz",
        ] {
            assert!(read(&[("Host", host)]).is_err(), "{host}");
        }
        assert!(read(&[("Host", "a"), ("host", "a")]).is_err());
        assert!(read(&[]).unwrap().framing(Version::HTTP_11).is_err());
        assert!(read(&[]).unwrap().framing(Version::HTTP_10).is_ok());
    }

    #[track_caller]
    fn keeps(version: Version, connection: &[&str], expected: bool) {
        let fields: Vec<_> = connection.iter().map(|value| ("Connection", *value)).collect();
        assert_eq!(read(&fields).unwrap().keep_alive(version), expected, "{version:?} {connection:?}");
    }

    #[test]
    fn connections_stay_as_their_version_has_it() {
        keeps(Version::HTTP_11, &[], true);
        keeps(Version::HTTP_11, &["close"], false);
        keeps(Version::HTTP_11, &["upgrade, CLOSE"], false);
        keeps(Version::HTTP_11, &["keep-alive", "close"], false);
        keeps(Version::HTTP_11, &["closed"], true);
        keeps(Version::HTTP_10, &[], false);
        keeps(Version::HTTP_10, &["Keep-Alive"], true);
        keeps(Version::HTTP_10, &["keep-alive, close"], false);
    }

    #[test]
    fn only_one_expectation_is_known() {
        let expect = |value| read(&[("Expect", value)]).unwrap();
        assert_eq!(expect("100-Continue").expects_continue(Version::HTTP_11), Ok(true));
        assert_eq!(expect("200-ok").expects_continue(Version::HTTP_11), Err(Fault::Expectation));
        assert_eq!(expect("100-continue").expects_continue(Version::HTTP_10), Ok(false));
    }
}
