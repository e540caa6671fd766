//! How TLS is configured: plain data, checked by [`Tls::new`](super::Tls::new).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::TlsVersion;

/// TLS of a listener.
///
/// ```no_run
/// use seawall_http::{ClientAuth, Identity, Pem, Tls, TlsConfig};
///
/// let tls = Tls::new(&TlsConfig {
///     identities: vec![Identity::files("shop.pem", "shop.key"), Identity::files("api.pem", "api.key")],
///     client_auth: ClientAuth::Optional(Pem::file("clients.pem")),
///     ..TlsConfig::default()
/// })?;
/// # Ok::<(), seawall_http::TlsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Certificates with their keys. A client gets one that has the name it asks for; of several, the first whose kind
    /// of key it can use. Who asks for no name, or for one that none has, gets the first. 1 to 1000. Default: none.
    pub identities: Vec<Identity>,
    /// Whether clients show a certificate too. Default: no.
    pub client_auth: ClientAuth,
    /// The oldest version that is spoken. Default: TLS 1.2.
    pub min_version: TlsVersion,
    /// Whether HTTP/2 is offered (ALPN `h2`, before `http/1.1`). Default: yes.
    pub http2: bool,
    /// How long a handshake may take, its wait for a turn included; the connection is closed then. More than zero, at
    /// most 5 min. Default 10 s.
    pub handshake_timeout: Duration,
    /// How often files are looked at for new content, 1 s to 1 day; `None`: only when [`Tls::reload`] is called.
    /// Default 60 s.
    ///
    /// [`Tls::reload`]: super::Tls::reload
    pub reload_every: Option<Duration>,
    /// Gets a certificate by ACME, for its own names and for clients that name no host; no other one is needed then.
    /// Until it has come, such handshakes fail. Default: no.
    #[cfg(feature = "acme")]
    pub acme: Option<super::AcmeConfig>,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            identities: Vec::new(),
            client_auth: ClientAuth::None,
            min_version: TlsVersion::V1_2,
            http2: true,
            handshake_timeout: Duration::from_secs(10),
            reload_every: Some(Duration::from_secs(60)),
            #[cfg(feature = "acme")]
            acme: None,
        }
    }
}

/// A certificate with its chain, the server's own first, and the private key of the first.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The chain.
    pub certificate: Pem,
    /// The key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: Pem,
}

impl Identity {
    /// From two files of PEM.
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: Pem::file(certificate), key: Pem::file(key) }
    }
    /// From PEM in memory.
    pub fn pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { certificate: Pem::bytes(certificate), key: Pem::bytes(key) }
    }
}

/// Whether clients show a certificate, and whose they must be: those of the authorities in this PEM.
#[derive(Debug, Clone, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may come without; a certificate that is not good ends the handshake.
    Optional(Pem),
    /// Without a good one there is no connection.
    Required(Pem),
}

/// Text in PEM (RFC 7468), at most 1 MiB: a file, which is read again when it changes, or bytes. What is in it is never
/// shown, neither by `Debug` nor in an error.
#[derive(Clone)]
pub struct Pem(pub(super) Source);

#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Pem {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }
    /// Bytes in memory.
    pub fn bytes(pem: impl Into<Vec<u8>>) -> Self {
        Self(Source::Bytes(pem.into()))
    }
    pub(super) fn is_file(&self) -> bool {
        matches!(self.0, Source::File(_))
    }
}

/// Where it comes from.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) => path.display().fmt(f),
            Source::Bytes(_) => f.write_str("in memory"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}

impl TlsConfig {
    /// All that is read, in a fixed order.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Pem> {
        let authorities = match &self.client_auth {
            ClientAuth::None => None,
            ClientAuth::Optional(pem) | ClientAuth::Required(pem) => Some(pem),
        };
        let identities = self.identities.iter().flat_map(|identity| [&identity.certificate, &identity.key]);
        identities.chain(authorities)
    }
}
