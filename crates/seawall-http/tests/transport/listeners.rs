//! Where a server listens: several addresses, unix sockets, sockets that are there already.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;

use seawall_http::{App, Context, Listen, ListenAddr};
use tempfile::TempDir;

use crate::child::Child;
use crate::live::{LIMIT, Live, wait_until};
use crate::{ask, workers};

fn who() -> App {
    App::new().get("/", async |c: Context| match c.peer() {
        Some(peer) => peer.ip().to_string(),
        None => format!("{:?} {}", c.client_ip(), c.scheme()),
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Why an app cannot listen there.
#[track_caller]
fn refused(listen: Listen) -> String {
    format!("{:?}", who().bind(listen).unwrap_err())
}

#[test]
fn one_server_listens_in_several_places() {
    let folder = folder();
    let path = folder.path().join("http.sock");
    let server = who().config(workers(2)).bind([
        Listen::tcp("127.0.0.1:0"),
        Listen::unix(&path),
        Listen::tcp("127.0.0.1:0"),
    ]);
    let server = server.unwrap();
    let addrs: Vec<_> = server.local_addrs().cloned().collect();
    assert_eq!(addrs[1], ListenAddr::Unix(path.clone()));
    let ports: Vec<_> = addrs
        .iter()
        .filter_map(|addr| match addr {
            ListenAddr::Tcp(addr) => Some(*addr),
            _ => None,
        })
        .collect();
    assert_eq!((ports.len(), ports[0]), (2, server.local_addr()));
    let handle = server.handle();
    let serving = std::thread::spawn(move || server.run());
    for _ in 0..4 {
        for addr in &ports {
            assert_eq!(ask(&mut std::net::TcpStream::connect(addr).unwrap()), "127.0.0.1");
        }
        assert_eq!(ask(&mut connect(&path)), "None http");
    }
    handle.shutdown();
    serving.join().unwrap().unwrap();
    assert!(!path.exists(), "a unix socket is removed at the end");
}

#[test]
fn a_unix_socket_has_the_mode_that_was_asked_for() {
    let folder = folder();
    let path = folder.path().join("a");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let server = who().bind(Listen::unix(&path)).unwrap();
    assert_eq!(mode(), 0o660);
    drop(server);
    assert!(!path.exists(), "a server that never ran removes its socket too");
    let _server = who().bind(Listen::unix_with_mode(&path, 0o600)).unwrap();
    assert_eq!(mode(), 0o600);
}

#[test]
fn a_socket_that_a_dead_process_left_is_replaced() {
    let folder = folder();
    let path = folder.path().join("a");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Live::on(Listen::unix(&path), who(), workers(1));
    assert_eq!(ask(&mut connect(&path)), "None http");
    server.stop();
}

#[test]
fn a_socket_that_somebody_listens_on_stays_theirs() {
    let folder = folder();
    let path = folder.path().join("a");
    let _theirs = UnixListener::bind(&path).unwrap();
    let text = refused(Listen::unix(&path));
    let expected = format!("cannot listen on unix:{}: another process listens on it", path.display());
    assert!(text.contains(&expected), "{text}");
    assert!(path.exists());
}

#[test]
fn a_start_does_not_stand_in_line_before_a_full_queue() {
    let folder = folder();
    let path = folder.path().join("a");
    let theirs = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    theirs.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    theirs.listen(0).unwrap();
    let _first = connect(&path); // all that fits
    assert!(refused(Listen::unix(&path)).contains("another process listens on it"));
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("a");
    fs::write(&path, "precious").unwrap();
    assert!(refused(Listen::unix(&path)).contains("there is a file that is no socket"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_socket_that_a_successor_has_replaced_is_not_removed() {
    let folder = folder();
    let path = folder.path().join("a");
    let server = who().bind(Listen::unix(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
}

#[test]
fn sockets_that_are_there_already_are_served() {
    let folder = folder();
    let path = folder.path().join("a");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let server = Live::on(vec![Listen::from(unix), Listen::from(tcp)], who(), workers(2));
    assert_eq!(server.addr, addr);
    assert_eq!(ask(&mut server.connect()), "127.0.0.1");
    assert_eq!(ask(&mut connect(&path)), "None http");
    server.stop();
}

#[test]
fn each_worker_may_have_a_socket_of_its_own() {
    let server = Live::on(Listen::tcp("127.0.0.1:0").reuse_port(), who(), workers(4));
    for _ in 0..40 {
        assert_eq!(ask(&mut server.connect()), "127.0.0.1");
    }
    // A second process may take the port too; without the option it may not.
    let addr = server.addr.to_string();
    assert!(who().config(workers(1)).bind(Listen::tcp(&addr).reuse_port()).is_ok());
    assert!(refused(Listen::tcp(&addr)).contains(&format!("cannot listen on {addr}: ")));
    server.stop();
}

#[test]
fn an_option_that_does_not_fit_is_an_error() {
    let folder = folder();
    let text = refused(Listen::unix(folder.path().join("a")).reuse_port());
    assert!(text.contains("`reuse_port` is for a TCP address"), "{text}");
    let none = format!("{:?}", who().bind(Vec::new()).unwrap_err());
    assert!(none.contains("a server listens on 1 to 64 sockets, not on 0"), "{none}");
}

#[test]
fn without_systemd_there_is_no_socket_of_it() {
    let text = refused(Listen::systemd(0));
    assert!(text.contains("cannot listen on systemd's socket 0: systemd passed 0 sockets"), "{text}");
}

#[test]
fn a_socket_of_systemd_is_served_and_outlives_its_server() {
    // What systemd does: it listens, and starts the service with the socket as descriptor 3.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let ours = listener.try_clone().unwrap();
    for round in 0..2 {
        let socket = Stdio::from(std::os::fd::OwnedFd::from(listener.try_clone().unwrap()));
        let child = Child::through_systemd("systemd", socket);
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        assert_eq!(ask(&mut stream), "hello", "round {round}");
        child.signal(rustix::process::Signal::TERM);
        child.wait_for_end();
        // Between two processes, connections wait for the next one.
        assert!(std::net::TcpStream::connect(addr).is_ok());
    }
    drop((listener, ours));
    wait_until(|| std::net::TcpStream::connect(addr).is_err());
}
