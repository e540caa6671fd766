//! Which certificate a client gets.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// A certificate with its key, and the names that are in it.
pub(super) struct Named {
    key: Arc<CertifiedKey>,
    /// In lower case; `*.example.com` as it is written.
    names: Vec<String>,
}

impl Named {
    pub(super) fn new(key: CertifiedKey) -> Result<Self, &'static str> {
        let first = key.cert.first().ok_or("there is no certificate in it")?;
        let certificate = EndEntityCert::try_from(first).map_err(|_| "its first certificate is no X.509")?;
        let names = certificate.valid_dns_names().map(str::to_ascii_lowercase).collect();
        Ok(Self { names, key: Arc::new(key) })
    }
}

/// Looks a certificate up by the name that the client asks for.
pub(super) struct Resolver {
    all: Vec<Arc<CertifiedKey>>,
    /// By whole name, and by what follows the first label for those with a star there.
    exact: HashMap<String, Vec<usize>>,
    below: HashMap<String, Vec<usize>>,
    #[cfg(feature = "acme")]
    acme: Option<Arc<super::acme::Acme>>,
}

impl Resolver {
    pub(super) fn new(named: Vec<Named>) -> Self {
        let mut resolver = Self {
            all: Vec::new(),
            exact: HashMap::new(),
            below: HashMap::new(),
            #[cfg(feature = "acme")]
            acme: None,
        };
        for (at, Named { key, names }) in named.into_iter().enumerate() {
            resolver.all.push(key);
            for name in names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.below, parent.to_owned()),
                    None => (&mut resolver.exact, name),
                };
                names.entry(name).or_default().push(at);
            }
        }
        resolver
    }

    /// A certificate that is not in a file comes before those that are.
    #[cfg(feature = "acme")]
    pub(super) fn with_acme(self, acme: Option<Arc<super::acme::Acme>>) -> Self {
        Self { acme, ..self }
    }

    /// Those that have `name`; rustls gives it in lower case. An exact name comes before a star.
    fn candidates(&self, name: &str) -> &[usize] {
        let below = || self.below.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(below).map_or(&[0], |found| found)
    }

    fn find(&self, name: Option<&str>, usable: impl Fn(&CertifiedKey) -> bool) -> Option<Arc<CertifiedKey>> {
        let candidates = name.map_or(&[0][..], |name| self.candidates(name));
        let all = || candidates.iter().filter_map(|at| self.all.get(*at));
        // If the client can use none of them, its handshake fails, and says why.
        all().find(|key| usable(key)).or_else(|| all().next()).map(Arc::clone)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        #[cfg(feature = "acme")]
        if let Some(key) = self.acme.as_ref().and_then(|acme| acme.certificate(hello.server_name())) {
            return Some(key);
        }
        self.find(hello.server_name(), |key| key.key.choose_scheme(hello.signature_schemes()).is_some())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolver({} certificates)", self.all.len())
    }
}
