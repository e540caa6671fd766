//! From PEM to what rustls works with. Errors name the file, and what is wrong with it.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::TlsVersion;
use super::config::{ClientAuth, Identity, Pem, Source, TlsConfig};
use super::error::TlsError;
use super::resolver::{Named, Resolver};

/// More than any chain of certificates and any list of authorities needs.
const MAX_BYTES: u64 = 1 << 20;

pub(super) const HTTP2: &[u8] = b"h2";
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// The hash of all that a configuration reads: equal as long as nothing has changed, and no copy of a key.
pub(super) type Fingerprint = [u8; 32];

/// Everything that a configuration names, as it is now.
pub(super) struct Contents(Vec<Vec<u8>>);

impl Contents {
    /// Reads all of it. Blocks, on files.
    pub(super) fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        config.sources().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for content in &self.0 {
            hash.update(content.len().to_le_bytes());
            hash.update(content);
        }
        hash.finalize().into()
    }
}

fn read(pem: &Pem) -> Result<Vec<u8>, TlsError> {
    let path = match &pem.0 {
        Source::Bytes(bytes) => return Ok(bytes.clone()),
        Source::File(path) => path,
    };
    let mut content = Vec::new();
    let file = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content));
    file.map_err(|problem: io::Error| TlsError::of(pem, problem))?;
    if content.len() as u64 > MAX_BYTES {
        return Err(TlsError::of(pem, "it is longer than 1 MiB"));
    }
    Ok(content)
}

/// What a configuration takes from elsewhere, and keeps over a reload.
pub(super) struct Sources<'a> {
    pub(super) ticketer: &'a Arc<dyn ProducesTickets>,
    #[cfg(feature = "acme")]
    pub(super) acme: Option<&'a Arc<super::acme::Acme>>,
}

/// A configuration of rustls, from what was read. Tickets of one that knows clients are its own: a resumed connection
/// is not checked again, and an authority may just have been taken off the list.
pub(super) fn server_config(
    config: &TlsConfig,
    contents: &Contents,
    sources: &Sources<'_>,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut contents = contents.0.iter();
    let mut named = Vec::with_capacity(config.identities.len());
    for identity in &config.identities {
        let certificate = contents.next().map_or(&[][..], |content| content);
        let key = contents.next().map_or(&[][..], |content| content);
        named.push(read_identity(identity, certificate, key, &provider)?);
    }
    let authorities = contents.next().map_or(&[][..], |content| content);
    let versions: &[_] = match config.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(TlsError::new)?;
    let builder = match client_verifier(&config.client_auth, authorities, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let resolver = Resolver::new(named);
    #[cfg(feature = "acme")]
    let resolver = resolver.with_acme(sources.acme.map(Arc::clone));
    let mut made = builder.with_cert_resolver(Arc::new(resolver));
    made.alpn_protocols = match config.http2 {
        true => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        false => vec![HTTP1.to_vec()],
    };
    made.ticketer = match config.client_auth {
        ClientAuth::None => Arc::clone(sources.ticketer),
        ClientAuth::Optional(_) | ClientAuth::Required(_) => new_ticketer()?,
    };
    Ok(made)
}

pub(super) fn new_ticketer() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    Ticketer::new().map_err(TlsError::new)
}

/// A key and its chain in one text, which we wrote ourselves. Whether they belong together is not looked at.
#[cfg(feature = "acme")]
pub(super) fn certified(pem: &[u8]) -> Result<CertifiedKey, TlsError> {
    let both = Pem::bytes(Vec::new());
    let (chain, key) = (certificates(&both, pem)?, private_key(&both, pem)?);
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key).map_err(TlsError::new)?;
    Ok(CertifiedKey::new(chain, key))
}

fn read_identity(
    identity: &Identity,
    certificate: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<Named, TlsError> {
    let chain = certificates(&identity.certificate, certificate)?;
    let key = private_key(&identity.key, key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| TlsError::of(&identity.key, "it is no key of RSA, ECDSA (P-256, P-384) or Ed25519"))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| {
        let problem = format!("its key is not that of the certificate ({})", identity.certificate);
        TlsError::of(&identity.key, problem)
    })?;
    Named::new(certified).map_err(|problem| TlsError::of(&identity.certificate, problem))
}

fn certificates(pem: &Pem, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    let found = found.map_err(|problem| TlsError::of(pem, describe(&problem)))?;
    if found.is_empty() {
        return Err(TlsError::of(pem, "there is no certificate in it (BEGIN CERTIFICATE)"));
    }
    Ok(found)
}

fn private_key(pem: &Pem, content: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    if ENCRYPTED.iter().any(|mark| memchr::memmem::find(content, mark).is_some()) {
        return Err(TlsError::of(pem, "the key is encrypted, and nobody is there to type its passphrase"));
    }
    PrivateKeyDer::from_pem_slice(content).map_err(|problem| match problem {
        pem::Error::NoItemsFound => TlsError::of(pem, "there is no private key in it (BEGIN PRIVATE KEY)"),
        problem => TlsError::of(pem, describe(&problem)),
    })
}

/// The library's own text may quote what it read.
fn describe(problem: &pem::Error) -> &'static str {
    match problem {
        pem::Error::MissingSectionEnd { .. } => "a section does not end: the file may be cut off",
        pem::Error::Base64Decode(_) => "it is no base64",
        _ => "it is no PEM",
    }
}

fn client_verifier(
    client_auth: &ClientAuth,
    content: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (pem, optional) = match client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Optional(pem) => (pem, true),
        ClientAuth::Required(pem) => (pem, false),
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, content)? {
        roots.add(authority).map_err(|problem| TlsError::of(pem, problem))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if optional { verifier.allow_unauthenticated() } else { verifier };
    verifier.build().map(Some).map_err(|problem| TlsError::of(pem, problem))
}
