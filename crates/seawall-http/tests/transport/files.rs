//! Out of open files: the server waits it out, says so, and goes on.

use std::io::Write as _;
use std::net::TcpStream;

use crate::GET;
use crate::child::Child;
use crate::live::{LIMIT, read_until, wait_until};

#[test]
fn a_server_without_open_files_goes_on_when_there_are_some_again() {
    let child = Child::start("few files");
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(child.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        std::io::read_to_string(stream).unwrap().rsplit("\r\n\r\n").next().unwrap().to_owned()
    };
    assert_eq!(ask("/failures"), "0");
    let mut open: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(child.addr).unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            stream.write_all(GET.as_bytes()).unwrap();
            stream
        })
        .collect();
    // One that was accepted before they ran out is served, whatever happens to `accept`.
    read_until(&mut open[0], "hello");
    let failures = |stream: &mut TcpStream| {
        stream.write_all(b"GET /failures HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let head = read_until(stream, "\r\n\r\n");
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        std::io::Read::read_exact(stream, &mut body).unwrap();
        String::from_utf8(body).unwrap().parse::<u64>().unwrap()
    };
    let first = std::sync::Mutex::new(open.remove(0));
    wait_until(|| failures(&mut first.lock().unwrap()) > 2);
    // Each one that ends makes room for one that waits, so all are served in the end.
    for mut stream in open {
        read_until(&mut stream, "hello");
    }
    assert!(ask("/failures").parse::<u64>().unwrap() > 2);
}
