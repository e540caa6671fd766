//! nginx and HAProxy in front: over TCP, a unix socket and TLS, with headers and with both versions of the PROXY
//! protocol.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use seawall_http::{
    App, Context, Listen, ListenAddr, ProxyConfig, ProxyProtocol, ProxyProtocolConfig, ServerConfig, Tls,
    TrustedProxies,
};
use tempfile::TempDir;

use crate::live::{Live, wait_until};
use crate::tls::certificates;

/// A server that says what it knows of its client, on every kind of listener that a proxy might use.
struct Origin {
    folder: TempDir,
    _server: Live,
    /// Plain; with the PROXY protocol; with it and TLS.
    ports: Vec<u16>,
}

impl Origin {
    fn new() -> Self {
        let folder = certificates();
        let file = |name: &str| folder.path().join(name);
        let trusted = vec!["loopback".to_owned(), "unix".to_owned()];
        let config =
            ProxyConfig { trusted: trusted.clone(), forwarded_proto: true, ..ProxyConfig::default() };
        let app = App::new().trust_proxies(&TrustedProxies::new(&config).unwrap()).any("/*", who);
        let protocol =
            ProxyProtocol::new(&ProxyProtocolConfig { trusted, ..ProxyProtocolConfig::default() }).unwrap();
        let tls = Tls::files(file("localhost.pem"), file("localhost.key")).unwrap();
        let listen = [
            Listen::tcp("127.0.0.1:0"),
            Listen::unix_with_mode(file("http.sock"), 0o666),
            Listen::tcp("127.0.0.1:0").proxy_protocol(protocol.clone()),
            Listen::tcp("127.0.0.1:0").proxy_protocol(protocol).tls(tls),
        ];
        let server = app.config(ServerConfig { workers: Some(2), ..ServerConfig::default() }).bind(listen);
        let server = server.unwrap();
        let tcp = |addr: &ListenAddr| match addr {
            ListenAddr::Tcp(addr) => Some(addr.port()),
            _ => None,
        };
        let ports = server.local_addrs().filter_map(tcp).collect();
        Self { folder, _server: Live::of(server), ports }
    }
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// What a handler knows of its client: address of the connection, of the client, and the scheme.
async fn who(c: Context) -> String {
    let peer = c.peer().map(|peer| peer.ip().to_string());
    let client = c.client_ip().map(|ip| ip.to_string());
    let known = |ip: Option<String>| ip.unwrap_or_else(|| "-".to_owned());
    format!("{} {} {}", known(peer), known(client), c.scheme())
}

/// A proxy under way.
struct Proxy(Child);

impl Proxy {
    /// Starts a program, and waits until it listens on all of these ports.
    #[track_caller]
    fn start(program: &str, arguments: &[&str], ports: &[u16]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("{program} does not start ({error}); `cargo xtask setup` installs it")
        });
        let proxy = Self(process);
        wait_until(|| ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()));
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports that were free just now, all different.
fn free_ports(count: usize) -> Vec<u16> {
    let sockets: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect()
}

#[track_caller]
fn curl(port: u16, more: &[&str]) -> String {
    let url = format!("http://127.0.0.1:{port}/x");
    crate::run("curl", &[&["--silent", "--show-error", "--max-time", "30", &url], more].concat())
}

/// The path of a program that only root has on its path.
fn sbin(name: &str) -> String {
    let path = PathBuf::from("/usr/sbin").join(name);
    assert!(path.exists(), "{} is missing; `cargo xtask setup` installs it", path.display());
    path.to_str().unwrap().to_owned()
}

#[test]
fn nginx_hands_on_over_tcp_and_a_unix_socket() {
    let origin = Origin::new();
    let ports = free_ports(3);
    let folder = origin.path("");
    let forward = "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; \
                   proxy_http_version 1.1; proxy_set_header Connection \"\";";
    let config = format!(
        "daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{ }}\n\
         http {{ access_log off; client_max_body_size 4m; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n\
         fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
         upstream tcp {{ server 127.0.0.1:{}; keepalive 4; }}\n\
         upstream unix {{ server unix:{folder}/http.sock; keepalive 4; }}\n\
         server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://tcp; {forward} }} }}\n\
         server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://unix; {forward} }} }} }}\n\
         stream {{ server {{ listen 127.0.0.1:{}; proxy_pass 127.0.0.1:{}; proxy_protocol on; }} }}\n",
        origin.ports[0], ports[0], ports[1], ports[2], origin.ports[1]
    );
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    assert!(PathBuf::from(module).exists(), "{module} is missing; `cargo xtask setup` installs it");
    let path = origin.path("nginx.conf");
    fs::write(&path, format!("load_module {module};\n{config}")).unwrap();
    let _nginx = Proxy::start(&sbin("nginx"), &["-c", &path, "-p", &folder], &ports);
    for _ in 0..3 {
        assert_eq!(curl(ports[0], &[]), "127.0.0.1 127.0.0.1 https");
        assert_eq!(curl(ports[1], &[]), "- 127.0.0.1 https");
    }
    let large = origin.path("large");
    fs::write(&large, vec![7; 1_500_000]).unwrap();
    let upload = format!("@{large}");
    assert_eq!(curl(ports[1], &["--data-binary", &upload, "-H", "expect:"]), "- 127.0.0.1 https");
    let announced = curl(ports[2], &["--interface", "127.0.0.2"]);
    assert_eq!(announced, "127.0.0.2 127.0.0.2 http", "PROXY version 1");
}

#[test]
fn haproxy_announces_clients_with_both_versions() {
    let origin = Origin::new();
    let ports = free_ports(4);
    let backend = |name: &str, port: u16, server: &str| {
        format!(
            "frontend {name}\n  bind 127.0.0.1:{port}\n  default_backend to_{name}\n\
             backend to_{name}\n  {server}\n"
        )
    };
    let (plain, announced, sealed) = (origin.ports[0], origin.ports[1], origin.ports[2]);
    let config = [
        "global\n  maxconn 100\ndefaults\n  mode http\n  option forwardfor\n  timeout connect 10s\n  \
         timeout client 30s\n  timeout server 30s\n"
            .to_owned(),
        backend("plain", ports[0], &format!("server a 127.0.0.1:{plain}")),
        backend("one", ports[1], &format!("server a 127.0.0.1:{announced} send-proxy check inter 200ms")),
        backend(
            "two",
            ports[2],
            &format!("server a 127.0.0.1:{announced} send-proxy-v2 proxy-v2-options crc32c,unique-id"),
        ),
        backend("sealed", ports[3], &format!("server a 127.0.0.1:{sealed} send-proxy-v2 ssl verify none")),
    ];
    let path = origin.path("haproxy.cfg");
    fs::write(&path, config.concat()).unwrap();
    let _haproxy = Proxy::start(&sbin("haproxy"), &["-db", "-f", &path], &ports);
    for _ in 0..3 {
        assert_eq!(curl(ports[0], &["--interface", "127.0.0.2"]), "127.0.0.1 127.0.0.2 http");
        for port in &ports[1..3] {
            assert_eq!(curl(*port, &["--interface", "127.0.0.2"]), "127.0.0.2 127.0.0.2 http");
        }
        assert_eq!(curl(ports[3], &["--interface", "127.0.0.2"]), "127.0.0.2 127.0.0.2 https");
    }
}
