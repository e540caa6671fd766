//! openssl and curl: handshakes, protocols, names and client certificates, HTTP/2 over TLS and over a unix socket.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use seawall_http::{App, ClientAuth, Context, Identity, Listen, Pem, Tls, TlsConfig};
use tempfile::TempDir;

use crate::live::Live;

/// A server with certificates, and its files.
pub(crate) struct Sealed {
    pub(crate) folder: TempDir,
    server: Live,
    port: u16,
}

impl Sealed {
    fn new() -> Self {
        let folder = certificates();
        let file = |name: &str| folder.path().join(name);
        let config = TlsConfig {
            identities: vec![
                Identity::files(file("localhost.pem"), file("localhost.key")),
                Identity::files(file("shop.test.pem"), file("shop.test.key")),
            ],
            client_auth: ClientAuth::Optional(Pem::file(file("ca.pem"))),
            ..TlsConfig::default()
        };
        let app = App::new().get("/", async |c: Context| {
            let client = c.tls().and_then(|tls| tls.client_certificate());
            let client = client.map(|client| client.dns_names().join(","));
            format!("{:?} {} {}", c.version(), c.scheme(), client.as_deref().unwrap_or("-"))
        });
        let listen =
            [Listen::tcp("127.0.0.1:0").tls(Tls::new(&config).unwrap()), Listen::unix(file("http.sock"))];
        let server = Live::on(listen, app, seawall_http::ServerConfig::default());
        let port = server.addr.port();
        Self { folder, server, port }
    }
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
    #[track_caller]
    fn curl(&self, arguments: &[&str]) -> String {
        let common = ["--silent", "--show-error", "--max-time", "30", "--cacert"];
        crate::run("curl", &[&common[..], &[&self.file("ca.pem")], arguments].concat())
    }
    /// What `openssl s_client` prints about a connection on which it sends one request.
    #[track_caller]
    fn openssl(&self, arguments: &[&str]) -> String {
        let address = format!("127.0.0.1:{}", self.port);
        let ca = self.file("ca.pem");
        let common = ["s_client", "-connect", &address, "-CAfile", &ca, "-verify_return_error"];
        let mut process = Command::new("openssl")
            .args(common)
            .args(arguments)
            .args(["-ign_eof"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("openssl does not start ({error}); `cargo xtask setup` installs it")
            });
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let _ = process.stdin.take().unwrap().write_all(request); // it may have been refused by then
        let output = process.wait_with_output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

/// A folder with an authority and what it signed: `localhost`, `shop.test`, and a client.
pub(crate) fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, content: String| fs::write(folder.path().join(name), content).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // openssl takes a certificate whose issuer has its own name for one that signed itself.
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca.pem".to_owned(), authority.pem());
    for names in [&["localhost", "127.0.0.1"][..], &["shop.test"], &["client.test"]] {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0].as_str());
        let signed = params.signed_by(&key, &authority).unwrap();
        write(format!("{}.pem", names[0]), signed.pem());
        write(format!("{}.key", names[0]), key.serialize_pem());
    }
    folder
}

#[test]
fn curl_speaks_both_versions_over_tls() {
    let server = Sealed::new();
    let url = server.server.url("/").replace("http:", "https:");
    assert_eq!(server.curl(&["--http2", &url]), "HTTP/2.0 https -");
    assert_eq!(server.curl(&["--http1.1", &url]), "HTTP/1.1 https -");
    assert_eq!(server.curl(&["--tls-max", "1.2", "--http1.1", &url]), "HTTP/1.1 https -");
    let refused = crate::try_run("curl", &["--silent", "--max-time", "30", &url]);
    assert_eq!(refused.status.code(), Some(60), "without our authority, the certificate is not trusted");
}

#[test]
fn curl_shows_its_certificate() {
    let server = Sealed::new();
    let url = server.server.url("/").replace("http:", "https:");
    let (certificate, key) = (server.file("client.test.pem"), server.file("client.test.key"));
    let answer = server.curl(&["--cert", &certificate, "--key", &key, "--http2", &url]);
    assert_eq!(answer, "HTTP/2.0 https client.test");
}

#[test]
fn curl_gets_the_certificate_of_the_name() {
    let server = Sealed::new();
    let resolve = format!("shop.test:{}:127.0.0.1", server.port);
    let url = format!("https://shop.test:{}/", server.port);
    assert_eq!(server.curl(&["--resolve", &resolve, &url]), "HTTP/2.0 https -");
}

#[test]
fn curl_goes_through_a_unix_socket() {
    let server = Sealed::new();
    let socket: PathBuf = server.file("http.sock").into();
    let through = ["--unix-socket", socket.to_str().unwrap()];
    let url = "http://localhost/";
    assert_eq!(server.curl(&[&through[..], &[url]].concat()), "HTTP/1.1 http -");
    let prior = server.curl(&[&through[..], &["--http2-prior-knowledge", url]].concat());
    assert_eq!(prior, "HTTP/2.0 http -");
}

#[test]
fn openssl_verifies_names_and_versions() {
    let server = Sealed::new();
    for (version, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let told = server.openssl(&[version, "-servername", "shop.test", "-verify_hostname", "shop.test"]);
        assert!(told.contains("Verification: OK") && told.contains(shown), "{told}");
        assert!(told.contains("HTTP/1.1 https -"), "{told}");
    }
    let old = server.openssl(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert!(!old.contains("HTTP/1.1 200"), "{old}");
    let wrong = server.openssl(&["-servername", "shop.test", "-verify_hostname", "other.test"]);
    assert!(wrong.contains("hostname mismatch"), "{wrong}");
}

#[test]
fn openssl_agrees_on_a_protocol() {
    let server = Sealed::new();
    assert!(server.openssl(&["-alpn", "http/1.1"]).contains("ALPN protocol: http/1.1"));
    let told = server.openssl(&["-alpn", "h2,http/1.1", "-servername", "localhost"]);
    assert!(told.contains("ALPN protocol: h2"), "{told}");
}

#[test]
fn openssl_resumes_a_session() {
    let server = Sealed::new();
    let session = server.file("session");
    for version in ["-tls1_2", "-tls1_3"] {
        server.openssl(&[version, "-sess_out", &session]);
        let told = server.openssl(&[version, "-sess_in", &session]);
        assert!(told.contains("Reused, "), "{version}: {told}");
    }
}
