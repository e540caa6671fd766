//! Whether a server answers right: asked before it is measured, on connections of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::super::process::{PAUSE, Server};
use super::cases::{App, Case, Exchange, Peer};
use super::servers::{Program, Servers};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Times that the log is looked at, with a pause between.
const LOOKS: u32 = 60;

/// A keep-alive connection.
pub(super) struct Client(BufReader<TcpStream>);

/// An answer, its field names in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Small: tens of thousands of these are held at once, by us.
        Ok(Self(BufReader::with_capacity(512, stream)))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(bytes).context("cannot send")
    }

    /// Reads an answer with a `Content-Length`, or without a body.
    pub(super) fn receive(&mut self) -> Result<Answer> {
        let mut answer = Answer { status: status(&self.line()?)?, ..Answer::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) =
                line.split_once(':').with_context(|| format!("a field without a colon: {line}"))?;
            answer.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = answer.field("content-length").map_or(Ok(0), str::parse)?;
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).context("the body ends early")?;
        Ok(answer)
    }

    /// Reads so many bytes.
    pub(super) fn exactly<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).context("the connection ended")?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).context("no answer")?;
        ensure!(read > 0, "the connection was closed");
        Ok(line.trim_end().to_owned())
    }
}

impl Answer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

fn status(line: &str) -> Result<u16> {
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.with_context(|| format!("not the first line of an answer: {line}"))
}

/// A GET as bytes.
pub(super) fn request(path: &str, headers: &[&str]) -> Vec<u8> {
    let mut text = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    (text + "\r\n").into_bytes()
}

/// A server that does not answer a case as all others do is no peer in it.
pub(super) fn check(server: &Server, case: Case) -> Result<()> {
    let exchange = case.exchange();
    let mut client = Client::connect(server.port())?;
    // Twice on one connection: it must stay open.
    for _ in 0..2 {
        client.send(&request(exchange.path, exchange.headers))?;
        right(&client.receive()?, &exchange)?;
    }
    if case == Case::Routes1000 {
        for path in ["/res0", "/res199/search"] {
            client.send(&request(path, &[]))?;
            right(&client.receive()?, &Case::Hello.exchange()).with_context(|| path.to_owned())?;
        }
    }
    if case == Case::Pipelined {
        client.send(&request(exchange.path, exchange.headers).repeat(16))?;
        for _ in 0..16 {
            right(&client.receive()?, &exchange)?;
        }
    }
    Ok(())
}

fn right(answer: &Answer, exchange: &Exchange) -> Result<()> {
    ensure!(answer.status == 200, "{} answers {}, not 200", exchange.path, answer.status);
    let kind = answer.field("content-type").unwrap_or("nothing");
    ensure!(kind.starts_with("application/json"), "{} is {kind}, not application/json", exchange.path);
    // Echo ends its JSON with a line break.
    let body = String::from_utf8_lossy(&answer.body);
    ensure!(body.trim_end() == exchange.body, "{} answers {body}, not {}", exchange.path, exchange.body);
    for field in exchange.fields {
        ensure!(answer.field(field).is_some_and(|value| !value.is_empty()), "no {field} in the answer");
    }
    if exchange.fields.is_empty() {
        ensure!(answer.field("x-request-id").is_none(), "a middleware where none belongs");
    }
    Ok(())
}

/// What cannot be seen in one answer: each request has a line in the log, and the server outlives a panic. Asked of a
/// process of its own, whose log goes to a file; the one that is measured logs to /dev/null.
pub(super) fn check_middleware(servers: &Servers, program: &Program) -> Result<()> {
    let path = servers.output(program.peer);
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let server = servers.start(program, App::Middleware, Stdio::from(file))?;
    let exchange = Case::Middleware5.exchange();
    let mut client = Client::connect(server.port())?;
    client.send(&request("/panic", exchange.headers))?;
    let answer = client.receive().context("no answer to a request whose handler panics")?;
    // Echo 4.2 loses the 500 in its timeout middleware and answers with an empty 200: a fault of its own.
    ensure!(answer.status == 500 || program.peer == Peer::Echo, "a panic is answered with {}", answer.status);
    check(&server, Case::Middleware5).context("after a panic")?;
    for _ in 0..LOOKS {
        let log = std::fs::read_to_string(&path)?;
        if log.lines().filter(|line| line.contains(exchange.path)).count() >= 2 {
            return Ok(());
        }
        std::thread::park_timeout(PAUSE);
    }
    bail!("its log has no line for each request: {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: &str, body: &str) -> Answer {
        let fields = vec![("content-type".to_owned(), kind.to_owned())];
        Answer { status, fields, body: body.as_bytes().to_vec() }
    }

    #[track_caller]
    fn refused(answer: Answer, problem: &str) {
        let error = right(&answer, &Case::Param.exchange()).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }

    #[test]
    fn only_the_right_answer_passes() {
        let body = r#"{"message":"Hello, 42!"}"#;
        right(&answer(200, "application/json; charset=UTF-8", &format!("{body}\n")), &Case::Param.exchange())
            .unwrap();
        refused(answer(404, "application/json", body), "/users/42 answers 404, not 200");
        refused(answer(200, "text/plain", body), "/users/42 is text/plain, not application/json");
        refused(
            answer(200, "application/json", "{}"),
            r#"/users/42 answers {}, not {"message":"Hello, 42!"}"#,
        );
    }

    #[test]
    fn middleware_shows_in_the_fields() {
        let exchange = Case::Middleware5.exchange();
        let error = right(&answer(200, "application/json", exchange.body), &exchange).unwrap_err();
        assert_eq!(error.to_string(), "no x-request-id in the answer");
    }

    #[test]
    fn a_request_is_a_head_with_its_fields() {
        let bytes = request("/a", &["Origin: x"]);
        assert_eq!(bytes, b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: x\r\n\r\n");
        assert_eq!(status("HTTP/1.1 200 OK").unwrap(), 200);
        assert!(status("nonsense").is_err());
    }
}
