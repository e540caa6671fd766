//! A client of a few lines: one request per call over a kept connection, plain `std::net`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that came in full.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: serde_json::Value,
}

#[derive(Default)]
pub(crate) struct Client {
    connection: Option<(SocketAddr, BufReader<TcpStream>)>,
}

impl Client {
    /// Sends a request. Any failure, of the connection or of the answer, is an error: its fate is unknown then.
    pub(crate) fn send(
        &mut self,
        addr: SocketAddr,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> io::Result<Answered> {
        // Put back only after a whole answer, so that a half-read one is never continued.
        let mut stream = match self.connection.take() {
            Some((of, stream)) if of == addr => stream,
            _ => BufReader::new(connect(addr)?),
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: sale\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.get_mut().write_all(request.as_bytes())?;
        let answer = read(&mut stream)?;
        self.connection = Some((addr, stream));
        Ok(answer)
    }
}

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(2))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Answered> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut line, mut status, mut length) = (String::new(), None, None);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        if status.is_none() {
            status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            status.ok_or_else(broken)?;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length.ok_or_else(broken)?];
    stream.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).map_err(|_| broken())?;
    Ok(Answered { status: status.ok_or_else(broken)?, body })
}
