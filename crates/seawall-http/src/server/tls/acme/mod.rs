//! Certificates by ACME (RFC 8555), proven by the challenge `tls-alpn-01` (RFC 8737): the authority makes a TLS
//! connection to us and asks for a certificate that only we can have made. So port 443 is enough, and no other server is
//! needed.
//!
//! What was issued is kept in a folder: a restart has it at once, and asks for nothing. It is renewed when a third of
//! its life is left; an attempt that fails is repeated, ever more slowly, and changes nothing meanwhile.

mod client;
mod issue;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use seawall_core::ConfigError;
use seawall_core::metrics::{Counter, Registry};
use tokio::time::{sleep, timeout};

use super::TlsError;
use super::load;
use crate::clock;
use store::Certificate;

/// The protocol that only authorities ask for.
const CHALLENGE: &[u8] = b"acme-tls/1";
/// The whole of one attempt. Authorities check within seconds.
const ATTEMPT: Duration = Duration::from_secs(600);
/// After a failure; twice as long after each further one, up to the most. Authorities count failures per hour.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// No sleep is longer, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(12 * 3600);

/// Let's Encrypt, whose certificates browsers trust.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Certificates that come by themselves.
#[derive(Debug, Clone)]
pub struct AcmeConfig {
    /// The names to be on the certificate. Port 443 of each must lead to this server. 1 to 100, without stars.
    pub domains: Vec<String>,
    /// Whom the authority may write to: `mailto:ops@example.com`. Default: nobody.
    pub contact: Vec<String>,
    /// Whether you have read the authority's terms, and agree. Default: no, which is an error.
    pub terms_agreed: bool,
    /// The authority's directory. Default: [`LETS_ENCRYPT`].
    pub directory: String,
    /// A file of PEM with the authority that signed the directory's own certificate, for an authority of your own.
    /// Default: those that the system trusts.
    pub directory_root: Option<PathBuf>,
    /// Where the account and the certificate are kept. It is made if it is missing; its files can be read by their owner
    /// alone. One process per folder. Default: `acme`, below the working directory.
    pub folder: PathBuf,
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            contact: Vec::new(),
            terms_agreed: false,
            directory: LETS_ENCRYPT.to_owned(),
            directory_root: None,
            folder: PathBuf::from("acme"),
        }
    }
}

/// What is in force: the certificate, and the proofs that an authority may ask for just now.
pub(super) struct Acme {
    config: AcmeConfig,
    certificate: ArcSwapOption<Certificate>,
    proofs: Arc<Proofs>,
    challenge_config: Arc<ServerConfig>,
}

/// Certificates that prove control of a name, while that is being asked; at most one per domain.
#[derive(Debug, Default)]
pub(super) struct Proofs(Mutex<HashMap<String, Arc<CertifiedKey>>>);

/// Orders of certificates, by how they ended.
#[derive(Debug, Clone)]
pub(in crate::server) struct Orders {
    ok: Counter,
    failed: Counter,
}

impl Orders {
    pub(in crate::server) fn new(registry: &Registry) -> Self {
        let counter = |outcome| {
            let labels = [("outcome", outcome)];
            registry.counter(
                "seawall_acme_orders_total",
                "Orders of certificates, by how they ended.",
                &labels,
            )
        };
        Self { ok: counter("ok"), failed: counter("failed") }
    }
}

impl Acme {
    /// Checks the configuration, and takes what an earlier run has left.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, TlsError> {
        check(config)?;
        let proofs = Arc::new(Proofs::default());
        let found = store::load(config).map_err(TlsError::new)?;
        Ok(Self {
            config: config.clone(),
            certificate: ArcSwapOption::from_pointee(found),
            challenge_config: Arc::new(challenge_config(Arc::clone(&proofs))?),
            proofs,
        })
    }

    /// The certificate, if `name` is one of its names, or nobody asks for one.
    pub(super) fn certificate(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let ours = name.is_none_or(|name| self.config.domains.iter().any(|domain| domain == name));
        self.certificate.load().as_ref().filter(|_| ours).map(|certificate| Arc::clone(&certificate.key))
    }

    /// What to answer an authority with, if this is one.
    pub(super) fn challenge(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let asked = hello.alpn()?.eq([CHALLENGE]);
        asked.then(|| Arc::clone(&self.challenge_config))
    }

    /// Gets certificates and renews them. Never returns.
    pub(super) async fn renew(&self, orders: Orders) {
        let mut pause = FIRST_PAUSE;
        loop {
            let due =
                self.certificate.load().as_ref().map_or(Duration::ZERO, |known| known.due_in(clock::wall()));
            if !due.is_zero() {
                sleep(due.min(LONGEST_SLEEP)).await;
                continue;
            }
            let problem = match timeout(ATTEMPT, issue::issue(&self.config, &self.proofs)).await {
                Ok(Ok(certificate)) => {
                    tracing::info!(domains = ?self.config.domains, "a new certificate is in use");
                    self.certificate.store(Some(Arc::new(certificate)));
                    orders.ok.inc();
                    pause = FIRST_PAUSE;
                    continue;
                }
                Ok(Err(problem)) => problem,
                Err(_) => "it took too long".into(),
            };
            orders.failed.inc();
            tracing::warn!(domains = ?self.config.domains, problem, again_in = ?pause, "no certificate was issued");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Proofs {
    fn insert(&self, domain: &str, proof: CertifiedKey) {
        self.0.lock().insert(domain.to_owned(), Arc::new(proof));
    }
    fn clear(&self) {
        self.0.lock().clear();
    }
}

impl ResolvesServerCert for Proofs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.lock().get(hello.server_name()?).map(Arc::clone)
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acme").field(&self.config).finish()
    }
}

/// The connection of an authority: it has seen what it wanted.
#[derive(Debug)]
pub(in crate::server) struct Proven;

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an authority has looked at our proof")
    }
}

impl std::error::Error for Proven {}

impl Proven {
    pub(in crate::server) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

fn challenge_config(proofs: Arc<Proofs>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.map_err(TlsError::new)?.with_no_client_auth().with_cert_resolver(proofs);
    config.alpn_protocols = vec![CHALLENGE.to_vec()];
    Ok(config)
}

fn check(config: &AcmeConfig) -> Result<(), ConfigError> {
    let AcmeConfig { domains, contact: _, terms_agreed, directory, directory_root: _, folder: _ } = config;
    if !(1..=100).contains(&domains.len()) {
        return Err(ConfigError::new("tls.acme.domains", domains.len(), "1 to 100 of them"));
    }
    for (at, domain) in domains.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if domain.is_empty() || domain.len() > 253 || !domain.bytes().all(plain) {
            let allowed = "a name of DNS in lower case, without stars";
            return Err(ConfigError::new(format!("tls.acme.domains[{at}]"), domain, allowed));
        }
    }
    if !terms_agreed {
        return Err(ConfigError::new("tls.acme.terms_agreed", false, "true, once you agree to the terms"));
    }
    if !directory.starts_with("https://") {
        return Err(ConfigError::new("tls.acme.directory", directory, "a URL that begins with https://"));
    }
    Ok(())
}

/// A key with its chain, both in PEM.
fn certified(pem: &[u8]) -> Result<CertifiedKey, TlsError> {
    load::certified(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(change: impl FnOnce(&mut AcmeConfig), problem: &str) {
        let domains = vec!["shop.example.com".to_owned()];
        let mut config = AcmeConfig { domains, terms_agreed: true, ..AcmeConfig::default() };
        assert_eq!(check(&config), Ok(()));
        change(&mut config);
        assert_eq!(check(&config).unwrap_err().to_string(), problem);
    }

    #[test]
    fn a_bad_value_is_named_with_what_it_must_be() {
        refused(|c| c.domains.clear(), "`tls.acme.domains` is 0, but must be 1 to 100 of them");
        refused(
            |c| c.domains.push("*.example.com".to_owned()),
            "`tls.acme.domains[1]` is *.example.com, but must be a name of DNS in lower case, without stars",
        );
        refused(
            |c| c.terms_agreed = false,
            "`tls.acme.terms_agreed` is false, but must be true, once you agree to the terms",
        );
        refused(
            |c| c.directory = "http://a/".to_owned(),
            "`tls.acme.directory` is http://a/, but must be a URL that begins with https://",
        );
    }
}
