//! nginx as the service that is called: its keep-alive limits, its HTTP/2, a reload under traffic.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Version;
use rcgen::{CertificateParams, KeyPair};
use seawall_client::{Address, ClientConfig, HostConfig, TlsConfig};
use tempfile::TempDir;

use crate::support::{at, calm, counted, nobody, until};

const PROGRAM: &str = "/usr/sbin/nginx";

/// nginx under way; it ends with this.
struct Nginx {
    address: SocketAddr,
    process: Child,
    folder: TempDir,
    certificate: Vec<u8>,
}

impl Nginx {
    /// With a server whose directives these are; `listen` is what comes behind the address.
    async fn start(listen: &str, directives: &str) -> Self {
        let (address, folder) = (nobody().await, tempfile::tempdir().unwrap());
        let at = folder.path().to_str().unwrap().to_owned();
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = names.self_signed(&key).unwrap().pem();
        fs::write(folder.path().join("pem"), &certificate).unwrap();
        fs::write(folder.path().join("key"), key.serialize_pem()).unwrap();
        let config = format!(
            "daemon off; pid {at}/pid; error_log {at}/log; worker_processes 1;
             events {{ worker_connections 256; }}
             http {{
               access_log off;
               client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
               uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
               ssl_certificate {at}/pem; ssl_certificate_key {at}/key;
               server {{ listen {address} {listen}; {directives} location / {{ return 200 \"$connection\"; }} }}
             }}"
        );
        fs::write(folder.path().join("config"), config).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(folder.path().join("config")).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(folder.path().join("errors")).unwrap());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("{PROGRAM} does not start ({error}); `cargo xtask setup` installs it")
        });
        let nginx = Self { address, process, folder, certificate: certificate.into_bytes() };
        until("nginx listens", || std::net::TcpStream::connect(address).is_ok()).await;
        nginx
    }

    /// Hands over to new workers, as after a change of its configuration.
    fn reload(&self) {
        let config = self.folder.path().join("config");
        let mut command = Command::new(PROGRAM);
        command.args(["-s", "reload", "-c"]).arg(config).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers when it is asked to, and not when it is killed.
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn its_limit_on_requests_per_connection_costs_no_call() {
    let nginx = Nginx::start("", "keepalive_requests 5;").await;
    let (client, counts) = counted(at(&[nginx.address]));
    for _ in 0..100 {
        client.post("http://svc/").bytes().await.unwrap();
    }
    assert_eq!(counts.of("seawall_client_connects_total", &[("outcome", "ok")]), 20);
    assert_eq!(counts.of("seawall_client_retries_total", &[]), 0, "it says that it closes");
}

#[tokio::test]
async fn a_connection_that_it_closes_when_idle_leaves_the_pool() {
    let nginx = Nginx::start("", "keepalive_timeout 1s;").await;
    let (client, counts) = counted(at(&[nginx.address]));
    client.get("http://svc/").bytes().await.unwrap();
    until("it is gone", || client.hosts()[0].connections == 0).await;
    client.post("http://svc/").bytes().await.unwrap();
    assert_eq!(counts.of("seawall_client_retries_total", &[]), 0);
}

#[tokio::test]
async fn many_calls_share_its_connection_of_http_2() {
    let nginx = Nginx::start("ssl http2", "http2_max_concurrent_streams 8;").await;
    let host = HostConfig { addresses: vec![Address::Tcp(nginx.address)] };
    let (client, counts) = counted(ClientConfig {
        tls: TlsConfig { ca: Some(nginx.certificate.clone()), identity: None },
        hosts: [("localhost".to_owned(), host)].into(),
        ..calm()
    });
    let answer = client.get("https://localhost/").send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    let calls: Vec<_> =
        (0..200).map(|_| tokio::spawn(client.post("https://localhost/").body("x").send())).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    // It allows eight at once, so a burst needs some 25 connections, more if they are slow to open, but not one each.
    let connects = counts.of("seawall_client_connects_total", &[("outcome", "ok")]);
    assert!(connects <= 100, "{connects}");
    assert_eq!(counts.of("seawall_client_retries_total", &[]), 0);
}

#[tokio::test]
async fn a_reload_under_traffic_costs_no_call() {
    let nginx = Nginx::start("", "").await;
    let (client, _) = counted(at(&[nginx.address]));
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..300 {
                    client.get("http://svc/").bytes().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for _ in 0..3 {
        nginx.reload();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for call in calls {
        call.await.unwrap();
    }
}
