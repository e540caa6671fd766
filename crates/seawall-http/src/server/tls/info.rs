//! What a handler may know of its connection's TLS.

use std::fmt;

use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

use super::load::HTTP2;

/// What a TLS handshake agreed on; a handler has it from [`Context::tls`](crate::Context::tls).
#[derive(Debug)]
pub struct TlsInfo {
    version: TlsVersion,
    chose_http2: Option<bool>,
    server_name: Option<Box<str>>,
    resumed: bool,
    client: Option<ClientCertificate>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246, without what has been broken since.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsInfo {
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
            _ => TlsVersion::V1_2, // the only other one that is offered
        };
        let chose_http2 = connection.alpn_protocol().map(|protocol| protocol == HTTP2);
        let client = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            version,
            chose_http2,
            server_name: connection.server_name().map(Into::into),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            client: client.map(|certificate| ClientCertificate(certificate.clone().into_owned())),
        }
    }

    /// The version of TLS.
    pub fn version(&self) -> TlsVersion {
        self.version
    }
    /// The host that the client wanted to speak to (SNI), in lower case; `None` if it named none.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
    /// Whether the handshake went on from an earlier one: nothing was signed, and no certificate sent again.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }
    /// The client's certificate, which has been checked against
    /// [`TlsConfig::client_auth`](crate::TlsConfig::client_auth); `None` if it sent none.
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.client.as_ref()
    }
    /// Whether ALPN chose HTTP/2; `None` if the client did not ask.
    pub(crate) fn chose_http2(&self) -> Option<bool> {
        self.chose_http2
    }
}

/// A client's certificate. Whoever made it is trusted; what it says is in its names.
#[derive(Clone)]
pub struct ClientCertificate(CertificateDer<'static>);

impl ClientCertificate {
    /// The certificate as X.509 in DER, for what the other methods do not tell.
    pub fn der(&self) -> &[u8] {
        &self.0
    }
    /// The SHA-256 of [`ClientCertificate::der`] in lower-case hexadecimal: a name for this very certificate.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }
    /// Its DNS names, as they are written: subject alternative names alone, never the common name (RFC 9525).
    pub fn dns_names(&self) -> Vec<String> {
        self.names(|certificate| certificate.valid_dns_names().map(str::to_owned).collect())
    }
    /// Its URIs: `spiffe://…` in many meshes.
    pub fn uris(&self) -> Vec<String> {
        self.names(|certificate| certificate.valid_uri_names().map(str::to_owned).collect())
    }

    fn names(&self, of: impl FnOnce(&EndEntityCert<'_>) -> Vec<String>) -> Vec<String> {
        // It was read when it was checked, so it can be read.
        EndEntityCert::try_from(&self.0).map_or_else(|_| Vec::new(), |certificate| of(&certificate))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.fingerprint())
    }
}
