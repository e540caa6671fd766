//! A breaker per host, in a map of bounded size.
//!
//! When the map is full, a new host takes the place of one whose breaker is closed, the one asked for longest ago;
//! what it knew is lost. If none is closed the new host goes without a breaker: a flood of names must not make us
//! forget which hosts are down.

use std::collections::HashMap;
use std::time::Instant;

use seawall_core::ConfigError;

use super::{Breaker, BreakerConfig, BreakerState};
use crate::sync::Mutex;

/// Breakers by host name.
#[derive(Debug)]
pub struct HostBreakers {
    config: BreakerConfig,
    max_hosts: usize,
    map: Mutex<Map>,
}

#[derive(Debug, Default)]
struct Map {
    hosts: HashMap<Box<str>, (Breaker, u64)>,
    /// Counts questions, which is age enough to choose by.
    clock: u64,
}

impl HostBreakers {
    /// No hosts yet; each gets a breaker of this kind.
    ///
    /// # Errors
    /// If a field is outside its range, or `max_hosts` is not 1 to 65,536.
    pub fn new(config: &BreakerConfig, max_hosts: usize) -> Result<Self, ConfigError> {
        config.check()?;
        if !(1..=65_536).contains(&max_hosts) {
            return Err(ConfigError::new("breaker.max_hosts", max_hosts, "1 to 65536"));
        }
        Ok(Self { config: config.clone(), max_hosts, map: Mutex::new(Map::default()) })
    }

    /// The host's breaker, made if this is its first call. Nothing if the map is full of breakers that are not closed.
    /// Keep the handle: a look-up for a host that is known allocates nothing, but takes a lock.
    pub fn of(&self, host: &str, now: Instant) -> Option<Breaker> {
        let mut map = self.map.lock();
        map.clock += 1;
        let clock = map.clock;
        if let Some((breaker, asked)) = map.hosts.get_mut(host) {
            *asked = clock;
            return Some(breaker.clone());
        }
        if map.hosts.len() >= self.max_hosts {
            let closed = map.hosts.iter().filter(|(_, (it, _))| it.state() == BreakerState::Closed);
            let oldest = closed.min_by_key(|(_, (_, asked))| *asked).map(|(host, _)| host.clone())?;
            map.hosts.remove(&oldest);
        }
        let breaker = Breaker::new(&self.config, now).ok()?;
        map.hosts.insert(host.into(), (breaker.clone(), clock));
        Some(breaker)
    }

    /// How many hosts are known.
    pub fn len(&self) -> usize {
        self.map.lock().hosts.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
