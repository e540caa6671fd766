//! A confirming experiment that needs nothing of the service: does a client that acknowledges at once get its answers
//! sooner?
//!
//! Two small pieces written one after the other take as long as the first piece's acknowledgement (Nagle's algorithm), and
//! Linux delays that by 40 ms. `TCP_QUICKACK` takes the delay away on the client's side, and nothing else changes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::model::ExperimentResult;
use crate::clock;

/// Requests in each way.
const REQUESTS: usize = 11;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer may be this long.
const MAX_ANSWER: usize = 1 << 20;

/// Sends `request` (a whole HTTP/1.1 request that keeps its connection) in both ways, one at a time, and compares the
/// medians. Blocks for at most 22 answers.
///
/// # Errors
/// When the connection fails, or an answer has no length.
pub fn compare(at: SocketAddr, request: &[u8]) -> io::Result<ExperimentResult> {
    let before = median(at, request, false)?;
    let after = median(at, request, true)?;
    Ok(ExperimentResult {
        measured: "median latency, with acknowledgements at once".to_owned(),
        unit: "ms".to_owned(),
        before,
        after,
        elasticity: None,
        confirmed: before >= 30.0 && after * 3.0 <= before,
    })
}

fn median(at: SocketAddr, request: &[u8], quick: bool) -> io::Result<f64> {
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = clock::now();
        stream.write_all(request)?;
        read_answer(&mut stream, quick)?;
        times.push((clock::now() - began).as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[REQUESTS / 2])
}

fn read_answer(stream: &mut TcpStream, quick: bool) -> io::Result<()> {
    let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    loop {
        // The kernel forgets it by itself, so it is said before each read.
        rustix::net::sockopt::set_tcp_quickack(&*stream, quick)?;
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => answer.extend_from_slice(&chunk[..n]),
        }
        if is_complete(&answer)? {
            return Ok(());
        }
        if answer.len() > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is longer than a mebibyte"));
        }
    }
}

/// The bytes hold a whole answer. An error if it has neither a length nor chunks.
fn is_complete(answer: &[u8]) -> io::Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let body = &answer[end + 4..];
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let Some(length) = field("content-length:").and_then(|length| length.parse::<usize>().ok()) {
        return Ok(body.len() >= length);
    }
    if field("transfer-encoding:").is_some() {
        return Ok(body.ends_with(b"0\r\n\r\n"));
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the answer has no length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, complete: bool) {
        assert_eq!(is_complete(answer.as_bytes()).unwrap(), complete, "{answer}");
    }

    #[test]
    fn an_answer_ends_where_its_length_says() {
        check("HTTP/1.1 200 OK\r\nContent-Le", false);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", false);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true);
    }
    #[test]
    fn an_answer_without_an_end_is_refused() {
        assert!(is_complete(b"HTTP/1.0 200 OK\r\n\r\nrest").is_err());
    }
}
