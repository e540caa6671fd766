//! Where our server is stricter than hyper on purpose. This is the whole list.

/// Why a request that hyper takes may be refused.
struct Rule {
    what: &'static str,
    /// The statuses with which it is refused. 0 stands for none: the client ended its half before we saw an end.
    statuses: &'static [u16],
    holds: fn(&Request<'_>) -> bool,
}

const RULES: [Rule; 14] = [
    Rule {
        what: "a line of the head, or of chunks and trailers, ends with LF alone (RFC 9112, 2.2 allows to refuse it)",
        statuses: &[400, 0],
        holds: |request| bare_lf(request.head) || request.chunked() && bare_lf(request.body),
    },
    Rule {
        what: "HTTP/1.1 without a Host, or more than one (RFC 9112, 3.2)",
        statuses: &[400],
        holds: |request| request.values("host").len() != 1,
    },
    Rule {
        what: "a Host that is none (RFC 9112, 3.2)",
        statuses: &[400],
        holds: |request| request.values("host").iter().any(|host| !is_host(host)),
    },
    Rule {
        what: "Content-Length beside Transfer-Encoding (RFC 9112, 6.3)",
        statuses: &[400],
        holds: |request| request.has("content-length") && request.has("transfer-encoding"),
    },
    Rule {
        what: "Content-Length more than once, or as a list (RFC 9112, 6.3 allows either)",
        statuses: &[400],
        holds: |request| {
            let lengths = request.values("content-length");
            lengths.len() > 1 || lengths.iter().any(|length| length.contains(&b','))
        },
    },
    Rule {
        what: "Transfer-Encoding is anything but one `chunked` (RFC 9112, 6.1)",
        statuses: &[400, 501],
        holds: |request| {
            let codings = request.values("transfer-encoding");
            codings.len() > 1 || codings.iter().any(|coding| !coding.eq_ignore_ascii_case(b"chunked"))
        },
    },
    Rule {
        what: "Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)",
        statuses: &[400],
        holds: |request| request.has("transfer-encoding") && request.line().ends_with(b"HTTP/1.0"),
    },
    Rule {
        what: "an expectation that nobody can meet (RFC 9110, 10.1.1)",
        statuses: &[417],
        holds: |request| {
            request.values("expect").iter().any(|expect| !expect.eq_ignore_ascii_case(b"100-continue"))
        },
    },
    Rule {
        what: "a target that is none of the four forms, or not its method's (RFC 9112, 3.2)",
        statuses: &[400],
        holds: |request| !is_target(request.method(), request.target()),
    },
    Rule {
        what: "bytes in the size lines of chunks that are not of the grammar (RFC 9112, 7.1)",
        statuses: &[400],
        holds: |request| {
            request.chunked() && request.body.iter().any(|byte| b"\t \x7f".contains(byte) || *byte < b' ')
        },
    },
    Rule {
        what: "extensions of chunks, or trailers, beyond their bound",
        statuses: &[400, 413, 431],
        holds: |request| request.chunked() && request.body.len() > 1024,
    },
    Rule {
        what: "anything but one or two empty lines before a request (RFC 9112, 2.2)",
        statuses: &[400],
        holds: |request| request.before.len() > 4 || bare_lf(request.before),
    },
    Rule {
        what: "CONNECT, which opens no tunnel (RFC 9110, 9.3.6)",
        statuses: &[400, 404, 405, 501],
        holds: |request| request.method() == b"CONNECT",
    },
    Rule {
        what: "a head or a target beyond its limit",
        statuses: &[414, 431],
        holds: |request| request.head.len() > 32 << 10,
    },
];

/// The reason for which `bytes`, one request, may have been refused with `status`.
pub(super) fn reason(bytes: &[u8], status: Option<u16>) -> Option<&'static str> {
    let request = Request::new(bytes);
    let status = status.unwrap_or(0);
    let rule = RULES.iter().find(|rule| rule.statuses.contains(&status) && (rule.holds)(&request));
    rule.map(|rule| rule.what)
}

/// A request in its parts, as leniently as hyper reads it.
struct Request<'a> {
    before: &'a [u8],
    /// The request line and the fields.
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let begin = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
        let (before, rest) = bytes.split_at(begin);
        let ends = (0..rest.len()).filter(|at| rest[*at] == b'\n');
        let end = ends
            .map(|at| at + 1)
            .find(|at| rest[*at..].starts_with(b"\n") || rest[*at..].starts_with(b"\r\n"));
        let end = end.map_or(rest.len(), |at| if rest[at] == b'\n' { at + 1 } else { at + 2 });
        let (head, body) = rest.split_at(end);
        Self { before, head, body }
    }
    fn line(&self) -> &'a [u8] {
        self.head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end()
    }
    fn method(&self) -> &'a [u8] {
        self.line().split(|byte| *byte == b' ').next().unwrap_or_default()
    }
    fn target(&self) -> &'a [u8] {
        self.line().split(|byte| *byte == b' ').nth(1).unwrap_or_default()
    }
    fn values(&self, name: &str) -> Vec<&'a [u8]> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
        });
        fields.collect()
    }
    fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }
    fn chunked(&self) -> bool {
        self.has("transfer-encoding")
    }
}

fn bare_lf(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r'))
}

/// A name or an IPv4 address of unreserved characters, or an address in brackets, and perhaps a port.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !host.ends_with(b"]") => (&host[..colon], &host[colon + 1..]),
        _ => (host, &b"80"[..]),
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let inside = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let named = match inside {
        Some(address) => {
            std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
        }
        None => !name.is_empty() && name.iter().all(plain),
    };
    named && !port.is_empty() && port.len() < 6 && port.iter().all(u8::is_ascii_digit)
}

/// A path, a URI with a host, or the asterisk of OPTIONS, in characters that a URI may have.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/?[]".contains(byte);
    let absolute = target.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http://"));
    let host =
        target.get(7..).unwrap_or_default().split(|byte| b"/?".contains(byte)).next().unwrap_or_default();
    let form =
        target.starts_with(b"/") || absolute && is_host(host) || target == b"*" && method == b"OPTIONS";
    form && target.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, statuses: &[u16]) {
        let allowed = [0, 400, 404, 413, 417, 431, 501]
            .into_iter()
            .filter(|status| reason(request.as_bytes(), Some(*status)).is_some());
        assert_eq!(allowed.collect::<Vec<_>>(), statuses, "{request:?}");
    }

    /// A rule that holds for a good request would hide any difference.
    #[test]
    fn no_rule_holds_for_a_good_request() {
        check("GET /a?b=c HTTP/1.1\r\nhost: a:80\r\nx: y\r\n\r\n", &[]);
        check("\r\nGET http://a/b HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", &[]);
        check("OPTIONS * HTTP/1.1\r\nHost: a.example\r\nexpect: 100-Continue\r\n\r\n", &[]);
        check("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n\n\n\n", &[]);
    }

    #[test]
    fn each_rule_holds_for_what_it_is_about() {
        check("GET / HTTP/1.1\nhost: a\r\n\r\n", &[0, 400]);
        check("GET / HTTP/1.1\r\n\r\n", &[400]);
        check("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", &[400]);
        check("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", &[400]);
        check("GET /#a HTTP/1.1\r\nhost: a\r\n\r\n", &[400]);
        check("GET * HTTP/1.1\r\nhost: a\r\n\r\n", &[400]);
        check("GET / HTTP/1.1\r\nhost: a\r\nexpect: x\r\n\r\n", &[417]);
        check("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: x, chunked\r\n\r\n0", &[400, 501]);
        check("\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", &[400]);
    }
}
