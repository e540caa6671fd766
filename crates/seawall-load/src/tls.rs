//! TLS on the generator's own event loop: rustls as a state machine between the socket's bytes and the parser's.
//!
//! Certificates are checked as a browser does, unless the run says otherwise. Left out: TLS 1.1 and older, revocation
//! lists, 0-RTT.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use seawall_core::ConfigError;
use socket2::Socket;

use crate::config::Protocol;
use crate::error::ErrorClass;

/// How `https` targets are trusted, and who the client is. Files are PEM.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// Certificates that are trusted instead of the system's. Default: the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate with its chain; needs `key`. Default none.
    pub cert: Option<PathBuf>,
    /// The key of `cert`. Default none.
    pub key: Option<PathBuf>,
    /// The name that is asked for (SNI) and that the certificate must have. Default: the URL's host.
    pub server_name: Option<String>,
    /// Any certificate will do. The run is encrypted, but nobody knows with whom. Default false.
    pub insecure: bool,
}

/// Makes the sessions of a run.
#[derive(Debug, Clone)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsClient {
    /// Reads the files and checks them. `protocols` are offered by ALPN, the first is preferred.
    pub(crate) fn new(config: &TlsConfig, host: &str, protocols: &[&[u8]]) -> Result<Self, ConfigError> {
        let name = config.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            ConfigError::new("load.tls.server_name", format!("`{name}`"), "a DNS name or an IP address")
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError::new("load.tls", error, "supported by this build"))?;
        let builder = if config.insecure {
            let verifier = Arc::new(AcceptAny(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            let roots = Arc::new(roots(config.ca.as_deref())?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| ConfigError::new("load.tls.ca", error, "at least one certificate"))?;
            builder.with_webpki_verifier(verifier)
        };
        let mut tls = match (&config.cert, &config.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates("load.tls.cert", cert)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                    ConfigError::new("load.tls.key", file(key, &error), "a file with a PEM private key")
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    ConfigError::new("load.tls.key", error, "the key of the client's certificate")
                })?
            }
            (Some(_), None) => {
                return Err(ConfigError::new("load.tls.key", "missing", "given with a certificate"));
            }
            (None, Some(_)) => return Err(ConfigError::new("load.tls.cert", "missing", "given with a key")),
        };
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { config: Arc::new(tls), name })
    }

    /// A session for a new connection.
    pub(crate) fn session(&self) -> io::Result<Session> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        Ok(Session { connection: connection.map_err(io::Error::other)? })
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        let system = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(system.certs);
        if added == 0 {
            let allowed = "a file with certificates: this system has none that are trusted";
            return Err(ConfigError::new("load.tls.ca", "not given", allowed));
        }
        return Ok(roots);
    };
    for certificate in certificates("load.tls.ca", path)? {
        roots.add(certificate).map_err(|error| {
            ConfigError::new("load.tls.ca", file(path, &error), "a file with PEM certificates of authorities")
        })?;
    }
    Ok(roots)
}

/// Most bytes of a file with certificates.
const MAX_FILE: u64 = 4 << 20;

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    const ALLOWED: &str = "a file with PEM certificates, at most 4 MiB";
    let refuse = |error: &dyn std::fmt::Display| ConfigError::new(field, file(path, error), ALLOWED);
    let size = fs::metadata(path).map_err(|error| refuse(&error))?.len();
    if size > MAX_FILE {
        return Err(refuse(&format_args!("{size} bytes")));
    }
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| refuse(&error))?.collect();
    match found.map_err(|error| refuse(&error))? {
        found if found.is_empty() => Err(refuse(&"no certificate in it")),
        found => Ok(found),
    }
}

fn file(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{} ({error})", path.display())
}

/// The TLS of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    connection: ClientConnection,
}

/// What came of encrypted bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decrypted {
    /// So many bytes for the parser; there may be more.
    Plain(usize),
    /// All was used.
    NeedsMore,
    /// The peer said that it will send no more.
    Closed,
}

impl Session {
    /// The server has agreed to speak this. HTTP/1.1 needs no agreement; HTTP/2 does (RFC 9113, section 3.2).
    pub(crate) fn speaks(&self, protocol: Protocol) -> bool {
        protocol != Protocol::Http2 || self.connection.alpn_protocol() == Some(b"h2")
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Takes from `raw` until there is something for the parser in `plain`, or nothing is left.
    pub(crate) fn decrypt(&mut self, raw: &mut &[u8], plain: &mut [u8]) -> Result<Decrypted, ErrorClass> {
        loop {
            match self.connection.reader().read(plain) {
                Ok(0) => return Ok(Decrypted::Closed),
                Ok(count) => return Ok(Decrypted::Plain(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(ErrorClass::ReadReset),
            }
            if raw.is_empty() {
                return Ok(Decrypted::NeedsMore);
            }
            self.connection.read_tls(raw).map_err(|_| ErrorClass::Malformed)?;
            self.connection.process_new_packets().map_err(|error| self.class_of(&error))?;
        }
    }

    fn class_of(&self, error: &rustls::Error) -> ErrorClass {
        match error {
            rustls::Error::InvalidCertificate(_) => ErrorClass::TlsVerify,
            _ if self.connection.is_handshaking() => ErrorClass::TlsHandshake,
            // TLS 1.3 clients hear only after the handshake that their certificate was refused.
            rustls::Error::AlertReceived(_) => ErrorClass::TlsHandshake,
            _ => ErrorClass::Malformed,
        }
    }

    /// Encrypts `source` from `written` on and writes it; true if nothing is left, of the session's own words either.
    pub(crate) fn write(&mut self, socket: &Socket, source: &[u8], written: &mut usize) -> io::Result<bool> {
        loop {
            while self.connection.wants_write() {
                match self.connection.write_tls(&mut &*socket) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if *written >= source.len() {
                return Ok(true);
            }
            // It takes as much as its buffer has room for.
            match self.connection.writer().write(&source[*written..])? {
                0 => return Ok(false),
                count => *written += count,
            }
        }
    }
}

/// Any certificate will do; signatures are still checked, so that the peer has the key of what it shows.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
