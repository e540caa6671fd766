//! TLS to other services: rustls, with the system's certificates or those that the configuration names.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use seawall_core::ConfigError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Protocol, TlsConfig};

/// The settings of all `https` hosts of a client: certificates are read once.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings(Arc<ClientConfig>);

/// Shakes hands with one host.
#[derive(Clone)]
pub(crate) struct TlsClient {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsSettings {
    /// Checks the configuration.
    ///
    /// # Errors
    /// If something in it cannot be read, or does not go together.
    pub(crate) fn new(config: &TlsConfig, protocol: Protocol) -> Result<Self, ConfigError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError::new("client.tls", error, "supported by this build"))?;
        let roots = Arc::new(roots(config.ca.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| ConfigError::new("client.tls.ca", error, "at least one certificate"))?;
        let builder = builder.with_webpki_verifier(verifier);
        let mut tls = match &config.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("client.tls.identity.certificates", &identity.certificates)?;
                let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| {
                    ConfigError::new("client.tls.identity.key", error, "a private key in PEM")
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    ConfigError::new("client.tls.identity.key", error, "the key of the first certificate")
                })?
            }
        };
        let protocols: &[&[u8]] = match protocol {
            Protocol::Auto => &[b"h2", b"http/1.1"],
            Protocol::Http1 => &[b"http/1.1"],
            Protocol::Http2 => &[b"h2"],
        };
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self(Arc::new(tls)))
    }

    /// For one host; nothing if its name can be in no certificate.
    pub(crate) fn of(&self, host: &str) -> Option<TlsClient> {
        let name = ServerName::try_from(host.to_owned()).ok()?;
        Some(TlsClient { connector: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

impl TlsClient {
    pub(crate) async fn handshake<T>(&self, io: T) -> io::Result<TlsStream<T>>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.name.clone(), io).await
    }
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = ca else {
        let system = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(system.certs);
        if added == 0 {
            let allowed = "certificates in PEM: this system has none that are trusted";
            return Err(ConfigError::new("client.tls.ca", "not given", allowed));
        }
        return Ok(roots);
    };
    for certificate in certificates("client.tls.ca", pem)? {
        roots
            .add(certificate)
            .map_err(|error| ConfigError::new("client.tls.ca", error, "certificates of authorities"))?;
    }
    Ok(roots)
}

fn certificates(field: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    const ALLOWED: &str = "at least one certificate in PEM";
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(ConfigError::new(field, "without one", ALLOWED)),
        Ok(found) => Ok(found),
        Err(error) => Err(ConfigError::new(field, error, ALLOWED)),
    }
}
