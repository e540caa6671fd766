//! Certificates in files: what can be wrong with them, and how they are renewed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_http::{App, ClientAuth, Identity, Listen, Pem, Tls, TlsConfig};

use crate::certificates::{Authority, Client};
use crate::live::{Live, wait_until};
use crate::{GET, ask, sample, workers};

/// Files of a certificate and its key, which can be replaced.
struct Files {
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self { authority: Authority::new() };
        files.renew();
        files
    }
    fn renew(&self) {
        let signed = self.authority.sign(&["shop.test"]);
        self.authority.file("shop.pem", &signed.certificate.pem());
        self.authority.file("shop.key", &signed.key.serialize_pem());
    }
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.authority.folder.path().join(name)
    }
    fn config(&self) -> TlsConfig {
        let identities = vec![Identity::files(self.path("shop.pem"), self.path("shop.key"))];
        TlsConfig { identities, reload_every: None, ..TlsConfig::default() }
    }
    /// A server, and the handle to its certificates.
    fn serve(&self, config: &TlsConfig) -> (Live, Tls, Registry) {
        let app = App::new().get("/", async || "hello");
        let registry = app.metrics();
        let tls = Tls::new(config).unwrap();
        (Live::on(Listen::tcp("127.0.0.1:0").tls(tls.clone()), app, workers(1)), tls, registry)
    }
    /// The certificate that a new connection gets.
    fn served(&self, server: &Live) -> Vec<u8> {
        let stream = Client::of(&self.authority).connect(server.connect(), "shop.test").unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    }
}

#[test]
fn a_reload_drops_no_connection() {
    let files = Files::new();
    let (server, tls, _) = files.serve(&files.config());
    let mut old = Client::of(&files.authority).connect(server.connect(), "shop.test").unwrap();
    let before = files.served(&server);
    files.renew();
    assert_eq!(files.served(&server), before, "nobody has looked yet");
    tls.reload().unwrap();
    assert_ne!(files.served(&server), before);
    assert_eq!(ask(&mut old), "hello");
}

#[test]
fn a_broken_file_changes_nothing_and_is_named() {
    let files = Files::new();
    let (server, tls, _) = files.serve(&files.config());
    let before = files.served(&server);
    let other = files.authority.sign(&["shop.test"]);
    for (name, content) in [("shop.pem", "nonsense"), ("shop.key", &other.key.serialize_pem())] {
        let good = fs::read_to_string(files.path(name)).unwrap();
        fs::write(files.path(name), content).unwrap();
        let text = tls.reload().unwrap_err().to_string();
        assert!(text.contains(&files.path(name).display().to_string()), "{text}");
        assert_eq!(files.served(&server), before);
        fs::write(files.path(name), good).unwrap();
    }
    tls.reload().unwrap();
}

#[test]
fn files_are_looked_at_from_time_to_time() {
    let files = Files::new();
    let config = TlsConfig { reload_every: Some(Duration::from_secs(1)), ..files.config() };
    let (server, _, registry) = files.serve(&config);
    let before = files.served(&server);
    let reloads = |outcome| sample(&registry, "seawall_tls_reloads_total", &format!("outcome={outcome}"));
    fs::write(files.path("shop.pem"), "nonsense").unwrap();
    wait_until(|| reloads("failed") == 1);
    assert_eq!(files.served(&server), before);
    files.renew();
    wait_until(|| reloads("ok") == 1);
    assert_ne!(files.served(&server), before);
    assert_eq!(reloads("failed"), 1, "what is broken is reported once");
}

#[test]
fn an_authority_that_is_taken_off_the_list_ends_resumption_too() {
    let files = Files::new();
    let clients = Authority::new();
    let list = files.authority.file("clients.pem", &clients.pem());
    let client_auth = ClientAuth::Required(Pem::file(list));
    let (server, tls, _) = files.serve(&TlsConfig { client_auth, ..files.config() });
    let own = clients.sign_client("spiffe://shop/worker");
    let client = Client::with(&files.authority, Some(&own), &[]);
    assert_eq!(ask(&mut client.over(server.connect(), "shop.test")), "hello");
    files.authority.file("clients.pem", &Authority::new().pem());
    tls.reload().unwrap();
    let mut again = client.over(server.connect(), "shop.test");
    let _ = again.write_all(GET.as_bytes());
    assert!(again.read(&mut [0]).is_err());
}

/// Why this certificate and this key cannot be used.
#[track_caller]
fn refused(certificate: &str, key: &str) -> String {
    let identities = vec![Identity::pem(certificate, key)];
    Tls::new(&TlsConfig { identities, ..TlsConfig::default() }).unwrap_err().to_string()
}

#[test]
fn an_error_says_what_is_wrong() {
    let signed = Authority::new().sign(&["shop.test"]);
    let (certificate, key) = (signed.certificate.pem(), signed.key.serialize_pem());
    assert!(refused("", &key).ends_with("there is no certificate in it (BEGIN CERTIFICATE)"));
    assert!(refused(&certificate, "").ends_with("there is no private key in it (BEGIN PRIVATE KEY)"));
    let cut = &certificate[..certificate.len() - 30];
    assert!(refused(cut, &key).ends_with("a section does not end: the file may be cut off"));
    let odd = certificate.replacen("MI", "!!", 1);
    assert!(refused(&odd, &key).ends_with("it is no base64"), "{}", refused(&odd, &key));
    let other = Authority::new().sign(&["shop.test"]).key.serialize_pem();
    assert!(refused(&certificate, &other).ends_with("its key is not that of the certificate (in memory)"));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(refused(&certificate, &encrypted).contains("the key is encrypted"));
    let no_x509 = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let text = refused(no_x509, &key);
    assert!(text.starts_with("the PEM in memory cannot be used: "), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let text = Tls::files("/no/such/shop.pem", "/no/such/shop.key").unwrap_err().to_string();
    assert_eq!(text, "the PEM /no/such/shop.pem cannot be used: No such file or directory (os error 2)");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let files = Files::new();
    fs::write(files.path("shop.pem"), "x".repeat((1 << 20) + 1)).unwrap();
    let text = Tls::new(&files.config()).unwrap_err().to_string();
    assert!(text.ends_with("shop.pem cannot be used: it is longer than 1 MiB"), "{text}");
}

#[test]
fn a_value_out_of_its_range_is_named() {
    let refused = |config: &TlsConfig| Tls::new(config).unwrap_err().to_string();
    let files = Files::new();
    assert_eq!(refused(&TlsConfig::default()), "`tls.identities` is 0, but must be 1 to 1000 of them");
    assert_eq!(
        refused(&TlsConfig { handshake_timeout: Duration::ZERO, ..files.config() }),
        "`tls.handshake_timeout` is 0ns, but must be more than zero, at most 5 min"
    );
    assert_eq!(
        refused(&TlsConfig { reload_every: Some(Duration::from_millis(1)), ..files.config() }),
        "`tls.reload_every` is 1ms, but must be 1 s to 1 day"
    );
}

#[test]
fn no_secret_is_shown() {
    let signed = Authority::new().sign(&["shop.test"]);
    let key = signed.key.serialize_pem();
    let identities = vec![Identity::pem(signed.certificate.pem(), key.clone())];
    let config = TlsConfig { identities, ..TlsConfig::default() };
    let shown = format!("{config:?} {:?}", Tls::new(&config).unwrap());
    let secret = key.lines().nth(1).unwrap();
    assert!(shown.contains("Pem(in memory)") && !shown.contains(secret), "{shown}");
}
