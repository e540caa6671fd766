//! What goes through nginx and HAProxy arrives as it was sent: over connections that they keep, in both directions, and
//! with no second request hidden in the first.

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use seawall_http::{App, Context, ServerConfig};
use tempfile::TempDir;

use crate::live::{LIMIT, Live, wait_until};
use crate::run;

/// A proxy under way; it ends with this.
struct Proxy {
    addr: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Proxy {
    /// Starts `program` on a configuration of which it gets the path after `arguments`.
    #[track_caller]
    fn start(program: &str, arguments: &[&str], config: impl Fn(&SocketAddr, &str) -> String) -> Self {
        let (addr, folder) = (free_port(), tempfile::tempdir().unwrap());
        let path = folder.path().join("config");
        fs::write(&path, config(&addr, folder.path().to_str().unwrap())).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(&path).current_dir(folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("errors")).unwrap());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("{program} does not start ({error}); `cargo xtask setup` installs it")
        });
        let proxy = Self { addr, process, _folder: folder };
        wait_until(|| TcpStream::connect(addr).is_ok());
        proxy
    }
}

/// nginx, one process without a daemon, that keeps connections to `server`, and passes uploads on as they come.
fn nginx(server: &Live) -> Proxy {
    let upstream = server.addr;
    Proxy::start("/usr/sbin/nginx", &["-c"], |addr, folder| {
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
             events {{ worker_connections 64; }}
             http {{
               access_log off; client_max_body_size 8m;
               client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
               uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
               upstream us {{ server {upstream}; keepalive 4; }}
               server {{
                 listen {addr};
                 location / {{
                   proxy_pass http://us; proxy_http_version 1.1; proxy_set_header Connection \"\";
                   proxy_set_header Host $host; proxy_request_buffering off; proxy_buffering off;
                 }}
               }}
             }}"
        )
    })
}

fn haproxy(server: &Live) -> Proxy {
    let upstream = server.addr;
    Proxy::start("/usr/sbin/haproxy", &["-db", "-f"], |addr, _| {
        format!(
            "global\n  maxconn 64\ndefaults\n  mode http\n  http-reuse always\n  timeout connect 20s\n  timeout client 20s\n  \
             timeout server 20s\nfrontend in\n  bind {addr}\n  default_backend us\nbackend us\n  server us {upstream}\n"
        )
    })
}

/// The server behind, and the connections that it has seen.
fn server() -> (Live, Arc<Mutex<HashSet<SocketAddr>>>) {
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&peers);
    let hello = move |c: Context| {
        let seen = Arc::clone(&seen);
        async move {
            seen.lock().unwrap().extend(c.peer());
            "hello"
        }
    };
    let app = App::new()
        .get("/", hello)
        .post("/echo", async |body: Bytes| body)
        .post("/early", async |c: Context| c.text(403, "not for you"))
        .get("/empty", async |c: Context| c.no_content())
        .get("/stream", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                for number in 0..50 {
                    out.write(format!("line {number}\n")).await?;
                }
                Ok(())
            })
        });
    let config = ServerConfig { workers: Some(1), body_limit: 8 << 20, ..ServerConfig::default() };
    (Live::with(app, config), peers)
}

/// What a client sees through the proxy is what it would see without it.
#[track_caller]
fn check(proxy: &Proxy) {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
    let path = folder.path().join("large");
    fs::write(&path, &large).unwrap();
    let (path, out) = (path.to_str().unwrap(), folder.path().join("out"));
    let out = out.to_str().unwrap();
    let curl = |target: &str, more: &[&str]| {
        let url = format!("http://{}{target}", proxy.addr);
        run("curl", &[&["--silent", "--show-error", "--max-time", "30", &url], more].concat())
    };
    assert_eq!(curl("/", &[]), "hello");
    assert_eq!(curl("/stream", &["--no-buffer"]).lines().count(), 50);
    assert_eq!(curl("/empty", &["--write-out", "%{http_code}"]), "204");
    assert!(curl("/", &["--head"]).to_lowercase().contains("\r\ncontent-length: 5\r\n"));
    for more in [&[][..], &["--header", "transfer-encoding: chunked"], &["--header", "expect: 100-continue"]]
    {
        curl("/echo", &[&["--request", "POST", "--upload-file", path, "--output", out], more].concat());
        assert!(fs::read(out).unwrap() == large, "{more:?}");
    }
    let early = ["--request", "POST", "--data-binary", "abc", "--write-out", " %{http_code}"];
    assert_eq!(curl("/early", &early), "not for you 403");
}

/// Many requests over few connections: the proxy finds ours open whenever it comes back.
#[track_caller]
fn keeps(proxy: &Proxy, peers: &Mutex<HashSet<SocketAddr>>) {
    peers.lock().unwrap().clear();
    let mut stream = TcpStream::connect(proxy.addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    for _ in 0..50 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        assert!(crate::live::read_until(&mut stream, "hello").starts_with("HTTP/1.1 200 "));
    }
    let connections = peers.lock().unwrap().len();
    assert!(connections <= 2, "{connections} connections for 50 requests, one after the other");
}

/// Two requests in one, as smugglers hide them: whatever the proxy makes of it, we see no second request.
#[track_caller]
fn is_not_smuggled_through(proxy: &Proxy, peers: &Mutex<HashSet<SocketAddr>>) {
    for fields in [
        "content-length: 34\r\ntransfer-encoding: chunked",
        "content-length: 34\r\ntransfer-encoding: ,chunked",
        "content-length: 34\r\ntransfer-encoding: x",
        "content-length: 34\r\ntransfer-encoding : chunked",
        "content-length: 34\r\ntransfer-encoding:\u{b}chunked",
        "content-length: 34\r\nx: y\n transfer-encoding: chunked",
        "content-length: 34\r\ncontent-length: 0",
        "content-length: +34",
    ] {
        peers.lock().unwrap().clear();
        let mut stream = TcpStream::connect(proxy.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let inner = "0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n  ";
        stream
            .write_all(format!("POST /echo HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{inner}").as_bytes())
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new()); // a reset is an end as well
        assert!(peers.lock().unwrap().is_empty(), "{fields:?}: the hidden request was served");
    }
}

#[test]
fn nginx_passes_all_of_it_on() {
    let (server, peers) = server();
    let proxy = nginx(&server);
    check(&proxy);
    keeps(&proxy, &peers);
    is_not_smuggled_through(&proxy, &peers);
}

#[test]
fn haproxy_passes_all_of_it_on() {
    let (server, peers) = server();
    let proxy = haproxy(&server);
    check(&proxy);
    keeps(&proxy, &peers);
    is_not_smuggled_through(&proxy, &peers);
}
