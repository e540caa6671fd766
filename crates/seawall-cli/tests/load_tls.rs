//! `seawall load` over TLS: whom it trusts, who it is, and what it says when that fails.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load_support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use load_support::{Log, answer_all, check_refused, report_of};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// An authority, and what it has signed, as files.
struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for these names; its files are `NAME.pem` and `NAME.key`.
    fn sign(&self, file: &str, names: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

/// A TLS server; clients need a certificate of the authority if `asks`. Its address and what it has seen.
fn serve(authority: &Authority, names: &[&str], asks: bool) -> (String, Log) {
    let (certificate, key) = authority.sign("server", names);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if asks {
        let roots = Arc::new(authority.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let log = Log::default();
    let written = log.clone();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let (config, log) = (config.clone(), written.clone());
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                answer_all(&mut StreamOwned::new(connection, stream), number, &log);
            });
        }
    });
    (address, log)
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_trusted_server_is_measured() {
    let authority = Authority::new();
    let (address, log) = serve(&authority, &["127.0.0.1"], false);
    let ca = authority.file("ca.pem");
    let url = format!("https://{address}/x");
    for more in
        [&["-c", "3"][..], &["-c", "2", "-p", "4"], &["-c", "2", "--no-keepalive"], &["-R", "500", "-t", "2"]]
    {
        log.lock().unwrap().clear();
        let (code, out, json) = report_of(&[&[&url, "-n", "50", "--ca", shown(&ca)], more].concat());
        // A busy machine may make an open loop invalid.
        assert!((code == 0 || code == 4) && json["requests"] == 50, "{more:?}: {code} {out}");
        assert!(json["errors"].as_object().unwrap().is_empty(), "{json}");
        assert_eq!(log.lock().unwrap().len(), 50);
    }
}

#[test]
fn large_bodies_go_through() {
    let authority = Authority::new();
    let (address, log) = serve(&authority, &["127.0.0.1"], false);
    let body = authority.file("body");
    std::fs::write(&body, "x".repeat(3 << 20)).unwrap();
    let body = format!("@{}", body.display());
    let url = format!("https://{address}/");
    let ca = authority.file("ca.pem");
    let (code, out, _) = report_of(&[&url, "-n", "3", "-c", "1", "-b", &body, "--ca", shown(&ca)]);
    assert_eq!(code, 0, "{out}");
    assert!(log.lock().unwrap().iter().all(|seen| seen.body.len() == 3 << 20));
}

#[test]
fn a_stranger_is_refused_and_said_so() {
    let authority = Authority::new();
    let (address, _) = serve(&authority, &["127.0.0.1"], false);
    let url = format!("https://{address}/");
    let other = Authority::new();
    let (code, out, json) = report_of(&[&url, "-c", "2", "--ca", shown(&other.file("ca.pem"))]);
    assert_eq!((code, json["errors"]["tls_verify"].as_u64()), (1, Some(2)), "{out}");
    assert!(out.contains("not trusted for this name"), "{out}");
    let (code, out, _) = report_of(&[&url, "-c", "2", "-n", "4", "--insecure"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn the_certificates_name_may_be_given() {
    let authority = Authority::new();
    let (address, _) = serve(&authority, &["shop.test"], false);
    let (url, ca) = (format!("https://{address}/"), authority.file("ca.pem"));
    let (code, _, json) = report_of(&[&url, "-c", "1", "--ca", shown(&ca)]);
    assert_eq!((code, json["errors"]["tls_verify"].as_u64()), (1, Some(1)));
    let (code, out, _) = report_of(&[&url, "-c", "1", "-n", "3", "--ca", shown(&ca), "--sni", "shop.test"]);
    assert_eq!(code, 0, "{out}");
    let named = ["https://shop.test/", "-c", "1", "-n", "3", "--ca", shown(&ca), "--connect-to", &address];
    let (code, out, _) = report_of(&named);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_client_shows_its_certificate() {
    let authority = Authority::new();
    let (address, log) = serve(&authority, &["127.0.0.1"], true);
    authority.sign("client", &["client.test"]);
    let (ca, cert, key) =
        (authority.file("ca.pem"), authority.file("client.pem"), authority.file("client.key"));
    let url = format!("https://{address}/");
    let with = [&url, "-n", "10", "--ca", shown(&ca), "--cert", shown(&cert), "--key", shown(&key)];
    let (code, out, _) = report_of(&with);
    assert_eq!((code, log.lock().unwrap().len()), (0, 10), "{out}");
    let without = [&url, "-c", "1", "-d", "100ms", "--warmup", "0s", "--ca", shown(&ca)];
    let (code, out, json) = report_of(&without);
    assert_eq!(code, 1, "{out}");
    assert!(json["errors"]["tls_handshake"].as_u64().unwrap() >= 1, "{json}");
}

#[test]
fn a_server_without_tls_is_a_failed_handshake() {
    let url = load_support::serve(load_support::OK).replace("http", "https");
    let (code, out, json) = report_of(&[&url, "-c", "2", "-k"]);
    assert_eq!((code, json["errors"]["tls_handshake"].as_u64()), (1, Some(2)), "{out}");
}

#[test]
fn wrong_files_are_named() {
    let url = "https://h/";
    check_refused(&[url, "--ca", "/nowhere.pem"], "`load.tls.ca` is /nowhere.pem");
    check_refused(&[url, "--cert", "x"], "--key");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.pem");
    std::fs::write(&file, "nothing").unwrap();
    check_refused(&[url, "--ca", shown(&file)], "no certificate in it");
    check_refused(&[url, "-k", "--sni", "a b"], "`load.tls.server_name` is `a b`");
}
