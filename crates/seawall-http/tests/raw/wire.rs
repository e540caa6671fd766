//! A client that sends bytes as they are, and reads answers strictly: what it cannot read is a failure of the server.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::str;

use crate::live::Live;

/// Text in which every character up to U+00FF is one byte, so that a table can hold any byte.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character of one byte")).collect()
}

/// The same the other way round, for messages.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let all: String = bytes.iter().take(400).copied().map(char::from).collect();
    let more = if bytes.len() > 400 { format!("... {} bytes", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", all.escape_default())
}

/// One answer, head and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in their order.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(given, _)| given == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }
    pub(crate) fn says_close(&self) -> bool {
        let tokens = self.values("connection");
        tokens
            .iter()
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("close"))
    }
    pub(crate) fn text(&self) -> String {
        self.body.iter().copied().map(char::from).collect()
    }
}

/// Everything that a connection brought, until the server closed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) answers: Vec<Answer>,
    /// The server ended the connection by a reset, not in order.
    pub(crate) reset: bool,
}

impl Heard {
    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }
    pub(crate) fn texts(&self) -> Vec<String> {
        self.answers.iter().map(Answer::text).collect()
    }
}

/// Sends all of it, as far as the server takes it, and listens until the server closes. A server that neither answers
/// nor closes is an error.
pub(crate) fn exchange(server: &Live, request: &[u8]) -> Result<Heard, String> {
    let mut stream = server.connect();
    send(&mut stream, request);
    let heard = listen(&mut stream, &head_requests(request));
    leave_at_once(&stream);
    heard
}

/// Leaves no trace in the kernel when it is closed: thousands of connections that wait for their last packets would
/// slow down whoever looks for one in its table.
pub(crate) fn leave_at_once(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
}

/// Writes as far as the server takes it: one that has refused already need not read on.
pub(crate) fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Reads to the end. `heads` says which of the requests were HEAD.
pub(crate) fn listen(stream: &mut TcpStream, heads: &[bool]) -> Result<Heard, String> {
    let (bytes, reset) = read_all(stream)?;
    let (answers, rest) = parse(&bytes, heads)?;
    if !rest.is_empty() {
        return Err(format!("no whole answer: {}", shown(rest)));
    }
    Ok(Heard { answers, reset })
}

/// Reads to the end; whether that was a reset.
pub(crate) fn read_all(stream: &mut TcpStream) -> Result<(Vec<u8>, bool), String> {
    let (mut bytes, mut room) = (Vec::new(), [0; 16 << 10]);
    loop {
        match stream.read(&mut room) {
            Ok(0) => return Ok((bytes, false)),
            Ok(read) => bytes.extend_from_slice(&room[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok((bytes, true)),
            Err(error) => {
                return Err(format!("neither answered nor closed ({error}) after {}", shown(&bytes)));
            }
        }
    }
}

/// Which requests of a batch were HEAD, as far as lines that look like requests tell.
fn head_requests(request: &[u8]) -> Vec<bool> {
    let lines = request.split(|byte| *byte == b'\n').filter(|line| line.windows(6).any(|at| at == b" HTTP/"));
    lines.map(|line| line.starts_with(b"HEAD ")).collect()
}

/// Reads answers from `bytes`: those that are whole, and what is left. `heads` says which of the requests were HEAD.
pub(crate) fn parse<'a>(mut bytes: &'a [u8], heads: &[bool]) -> Result<(Vec<Answer>, &'a [u8]), String> {
    let (mut answers, mut finals) = (Vec::new(), 0);
    while !bytes.is_empty() {
        let head = heads.get(finals).copied().unwrap_or(false);
        let Some((answer, rest)) = parse_one(bytes, head)? else { break };
        finals += usize::from(answer.status >= 200 || answer.status == 101);
        let switched = answer.status == 101;
        answers.push(answer);
        bytes = rest;
        if switched {
            break;
        }
    }
    Ok((answers, bytes))
}

fn parse_one(bytes: &[u8], head: bool) -> Result<Option<(Answer, &[u8])>, String> {
    let Some(end) = bytes.windows(4).position(|at| at == b"\r\n\r\n") else { return Ok(None) };
    let text =
        str::from_utf8(&bytes[..end]).map_err(|_| format!("a head in no text: {}", shown(&bytes[..end])))?;
    let mut lines = text.split("\r\n");
    let status = status(lines.next().unwrap_or_default())?;
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let mut answer = Answer { status, fields, body: Vec::new() };
    let rest = &bytes[end + 4..];
    let bare = head || matches!(status, 100..200 | 204 | 304);
    let Some((body, used)) = (if bare { Some((Vec::new(), 0)) } else { body(&answer, rest)? }) else {
        return Ok(None);
    };
    answer.body = body;
    Ok(Some((answer, &rest[used..])))
}

fn status(line: &str) -> Result<u16, String> {
    let code = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let code = code.and_then(|rest| rest.get(..3)?.parse().ok());
    code.ok_or_else(|| format!("not a status line: {line:?}"))
}

fn field(line: &str) -> Result<(String, String), String> {
    let bad = || format!("not a field: {line:?}");
    let (name, value) = line.split_once(':').ok_or_else(bad)?;
    if name.is_empty() || line.contains(['\r', '\n', '\0']) || name.contains(' ') {
        return Err(bad());
    }
    Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

/// The body and how many bytes it took; nothing if it is not all there.
fn body(answer: &Answer, rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (lengths, codings) = (answer.values("content-length"), answer.values("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], ["chunked"]) => dechunk(rest),
        ([], []) => Ok(Some((rest.to_vec(), rest.len()))), // until the server closes, which it has
        ([length], []) => {
            let length: usize = length.parse().map_err(|_| format!("content-length: {length}"))?;
            Ok(rest.get(..length).map(|body| (body.to_vec(), length)))
        }
        _ => Err(format!("an answer of two lengths: {lengths:?} {codings:?}")),
    }
}

fn dechunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = bytes[at..].windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
        let size =
            str::from_utf8(&bytes[at..at + line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let size = size.ok_or_else(|| format!("a chunk of size {}", shown(&bytes[at..at + line])))?;
        at += line + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if size == 0 && chunk != b"\r\n" || !chunk.ends_with(b"\r\n") {
            return Err(format!("a chunk that ends in {}", shown(chunk)));
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// Reads single answers from a connection that stays open.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

impl Client {
    pub(crate) fn new(server: &Live) -> Self {
        Self { stream: server.connect(), ahead: Vec::new() }
    }
    pub(crate) fn send(&mut self, text: &str) {
        send(&mut self.stream, &latin1(text));
    }
    /// The next answer, 1xx included; nothing if the server closes instead.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, rest)) = parse_one(&self.ahead, false).unwrap() {
                let used = self.ahead.len() - rest.len();
                self.ahead.drain(..used);
                return Some(answer);
            }
            let mut room = [0; 16 << 10];
            match self.stream.read(&mut room) {
                Ok(0) => return None,
                Ok(read) => self.ahead.extend_from_slice(&room[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("neither answered nor closed ({error}) after {}", shown(&self.ahead)),
            }
        }
    }
    #[track_caller]
    pub(crate) fn status(&mut self) -> Option<u16> {
        self.next().map(|answer| answer.status)
    }
    /// All that is still to come, once the server closes.
    #[track_caller]
    pub(crate) fn rest(mut self) -> Heard {
        let (bytes, reset) = read_all(&mut self.stream).unwrap();
        let all = [std::mem::take(&mut self.ahead), bytes].concat();
        let (answers, rest) = parse(&all, &[]).unwrap();
        assert!(rest.is_empty(), "no whole answer: {}", shown(rest));
        Heard { answers, reset }
    }
    pub(crate) fn end_writing(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// Bytes from `client` that `server` has not read yet, as the kernel counts them; nothing if the connection is gone.
pub(crate) fn unread(server: SocketAddr, client: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (own, other) = (format!(":{:04X}", server.port()), format!(":{:04X}", client.port()));
    let rows = table.lines().map(|line| line.split_ascii_whitespace());
    let mut queues = rows.filter_map(|mut row| {
        let (local, remote) = (row.nth(1)?, row.next()?);
        let queues = row.nth(1)?;
        (local.ends_with(&own) && remote.ends_with(&other)).then_some(queues)
    });
    u64::from_str_radix(queues.next()?.split_once(':')?.1, 16).ok()
}
