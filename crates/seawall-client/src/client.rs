//! The client: its hosts, and requests to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use http::Method;
use parking_lot::Mutex;
use seawall_core::ConfigError;
use seawall_core::metrics::Registry;

use crate::address::{HostKey, Target};
use crate::clock;
use crate::config::ClientConfig;
use crate::connect::Connector;
#[cfg(feature = "tls")]
use crate::connect::tls::TlsSettings;
use crate::error::{ErrorKind, Fault, Phase};
use crate::host::Host;
use crate::request::RequestBuilder;

/// Calls other services. Cloning gives another handle: connections and all that is known of hosts are shared.
///
/// It belongs to no runtime; each connection lives on the one whose call opened it. When the last handle and the last
/// answer are gone, all connections are closed.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Arc<ClientConfig>,
    registry: Registry,
    hosts: Mutex<Hosts>,
    #[cfg(feature = "tls")]
    tls: OnceLock<Result<TlsSettings, ConfigError>>,
    #[cfg(not(feature = "tls"))]
    #[expect(dead_code, reason = "as with the feature")]
    tls: OnceLock<()>,
}

#[derive(Default)]
struct Hosts {
    map: HashMap<HostKey, (Arc<Host>, u64)>,
    /// Counts questions, which is age enough to choose by.
    asked: u64,
}

/// What a client knows of one host, for tests and pages of operators.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFacts {
    /// `name:port`.
    pub host: String,
    /// Its addresses.
    pub addresses: usize,
    /// Those of them that are ejected.
    pub ejected: usize,
    /// Connections, open or being opened.
    pub connections: u32,
    /// Those of them that do nothing.
    pub idle: u32,
    /// Calls that wait for one.
    pub waiting: u32,
    /// Calls under way.
    pub in_flight: u32,
}

impl Client {
    /// A client that counts nothing that anybody sees.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        Self::with_metrics(config, &Registry::new())
    }

    /// A client whose metrics are in `registry`: `App::metrics()` of the service that it is part of.
    ///
    /// # Errors
    /// If a field is outside its range.
    pub fn with_metrics(config: ClientConfig, registry: &Registry) -> Result<Self, ConfigError> {
        config.check()?;
        let ClientConfig { hosts, .. } = config;
        let hosts = hosts.into_iter().map(|(name, host)| (name.to_ascii_lowercase(), host)).collect();
        let config = ClientConfig { hosts, ..config };
        let shared = Shared {
            registry: registry.clone(),
            hosts: Mutex::default(),
            tls: OnceLock::new(),
            config: Arc::new(config),
        };
        shared.check_guards()?;
        Ok(Self(Arc::new(shared)))
    }

    /// GET.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }
    /// HEAD.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }
    /// POST.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }
    /// PUT.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }
    /// PATCH.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }
    /// DELETE.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }
    /// Any method.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url.as_ref())
    }

    /// What is known of each host, ordered by name.
    pub fn hosts(&self) -> Vec<HostFacts> {
        let hosts: Vec<_> = self.0.hosts.lock().map.values().map(|(host, _)| Arc::clone(host)).collect();
        let mut facts: Vec<_> = hosts.iter().map(|host| HostFacts::of(host)).collect();
        facts.sort_by(|one, two| one.host.cmp(&two.host));
        facts
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.0.config
    }

    /// The host of a URL, made if this is its first call.
    pub(crate) fn host(&self, target: &Target) -> Result<Arc<Host>, Fault> {
        let key = target.key();
        let mut hosts = self.0.hosts.lock();
        hosts.asked += 1;
        let asked = hosts.asked;
        if let Some((host, last)) = hosts.map.get_mut(&key) {
            *last = asked;
            return Ok(Arc::clone(host));
        }
        // Under the lock, so that two first calls do not make two: it reads certificates once, and waits for nobody.
        let host = self.0.new_host(target)?;
        let mut oldest = None;
        if hosts.map.len() >= self.0.config.max_hosts {
            let key = hosts.map.iter().min_by_key(|(_, (_, last))| *last).map(|(key, _)| key.clone());
            oldest = key.and_then(|key| hosts.map.remove(&key));
        }
        hosts.map.insert(key, (Arc::clone(&host), asked));
        drop(hosts);
        drop(oldest); // outside the lock: it ends connections
        Ok(host)
    }
}

impl Default for Client {
    /// A client with all defaults, whose metrics nobody sees.
    fn default() -> Self {
        Self::new(ClientConfig::default()).expect("the defaults are in their ranges")
    }
}

impl Shared {
    fn new_host(&self, target: &Target) -> Result<Arc<Host>, Fault> {
        let name = if self.config.hosts.contains_key(&target.host) { target.host.as_str() } else { "other" };
        let connector = self.connector(target)?;
        Host::new(target, name, &self.config, connector, &self.registry, clock::now())
            .map_err(|error| Fault::new(ErrorKind::Request, Phase::Prepare).because(error))
    }

    #[cfg(feature = "tls")]
    fn connector(&self, target: &Target) -> Result<Connector, Fault> {
        if !target.secure {
            return Ok(Connector::new(&self.config, None));
        }
        let fault = || Fault::new(ErrorKind::Tls, Phase::Prepare);
        let settings = self.tls.get_or_init(|| TlsSettings::new(&self.config.tls, self.config.protocol));
        let settings = settings.as_ref().map_err(|error| fault().because(error.clone()))?;
        let tls =
            settings.of(&target.host).ok_or_else(|| fault().says("no certificate can be for this name"))?;
        Ok(Connector::new(&self.config, Some(tls)))
    }

    #[cfg(not(feature = "tls"))]
    fn connector(&self, target: &Target) -> Result<Connector, Fault> {
        if target.secure {
            let fault = Fault::new(ErrorKind::Tls, Phase::Prepare);
            return Err(fault.says("this build has no TLS: switch the feature `tls` on"));
        }
        Ok(Connector::new(&self.config))
    }

    /// What guard checks, checked before the first call: a host is made of it. So are certificates that were given.
    fn check_guards(&self) -> Result<(), ConfigError> {
        let target = Target::parse("http://127.0.0.1/").expect("a valid URL");
        #[cfg(feature = "tls")]
        let connector = Connector::new(&self.config, None);
        #[cfg(not(feature = "tls"))]
        let connector = Connector::new(&self.config);
        Host::new(&target, "other", &self.config, connector, &Registry::new(), clock::now())?;
        if let Some(breaker) = &self.config.breaker {
            seawall_guard::Breaker::new(breaker, clock::now())?;
        }
        #[cfg(feature = "tls")]
        if self.config.tls.ca.is_some() || self.config.tls.identity.is_some() {
            // The system's certificates are read when they are needed: a client of `http` alone does without.
            let settings = TlsSettings::new(&self.config.tls, self.config.protocol)?;
            let _ = self.tls.set(Ok(settings));
        }
        Ok(())
    }
}

impl HostFacts {
    fn of(host: &Host) -> Self {
        let (addresses, ejected) = host.addresses();
        let (connections, idle, waiting) = host.connections();
        let in_flight = host.gate.in_flight();
        Self { host: host.key.to_string(), addresses, ejected, connections, idle, waiting, in_flight }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hosts", &self.0.hosts.lock().map.len()).finish_non_exhaustive()
    }
}
