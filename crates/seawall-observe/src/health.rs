//! Is the service alive, and should it get requests?
//!
//! Alive means that the admin thread answers: nothing else is asked, because a failing database is no reason to
//! restart the process in front of it. Ready means that every check passes and nobody has begun to drain.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// Asked on the admin thread at every request for readiness: it must answer at once, from what is known already.
type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The service's health. Cloning gives another handle to the same.
#[derive(Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Default)]
struct State {
    draining: AtomicBool,
    /// As many as the program registers at its start, a handful: no input can add one.
    checks: RwLock<Vec<(&'static str, Check)>>,
}

/// Why a service should get no requests now: each reason with the name of its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Check and reason, in the order of registration; `drain` comes first.
    pub reasons: Vec<(&'static str, String)>,
}

impl Health {
    /// Alive, ready, and without checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition for being ready. `check` runs on the admin thread and must not block: let it look at a flag
    /// or a gauge that others keep. Its error is shown to whoever may read the admin listener.
    pub fn add_check(
        &self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.0.checks.write().push((name, Box::new(check)));
    }

    /// From now on the service is not ready: call it when shutdown begins, so that balancers look elsewhere while
    /// the last requests are answered. There is no way back.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the service should get requests.
    ///
    /// # Errors
    /// [`NotReady`] with every reason, not only the first.
    pub fn ready(&self) -> Result<(), NotReady> {
        let draining = self.0.draining.load(Ordering::Relaxed);
        let mut reasons: Vec<_> =
            draining.then(|| ("drain", "shutting down".to_owned())).into_iter().collect();
        let checks = self.0.checks.read();
        reasons.extend(checks.iter().filter_map(|(name, check)| Some((*name, check().err()?))));
        if reasons.is_empty() { Ok(()) } else { Err(NotReady { reasons }) }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not ready")?;
        self.reasons.iter().try_for_each(|(name, reason)| write!(f, "; {name}: {reason}"))
    }
}

impl std::error::Error for NotReady {}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("ready", &self.ready()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_service_is_ready() {
        assert_eq!(Health::new().ready(), Ok(()));
    }

    #[test]
    fn one_failing_check_is_enough_and_all_are_named() {
        let health = Health::new();
        health.add_check("database", || Err("no reader".to_owned()));
        health.add_check("cache", || Ok(()));
        health.add_check("queue", || Err("full".to_owned()));
        assert_eq!(health.ready().unwrap_err().to_string(), "not ready; database: no reader; queue: full");
    }

    #[test]
    fn a_check_may_recover() {
        let broken = Arc::new(AtomicBool::new(true));
        let health = Health::new();
        let seen = Arc::clone(&broken);
        health.add_check(
            "disk",
            move || {
                if seen.load(Ordering::Relaxed) { Err("full".to_owned()) } else { Ok(()) }
            },
        );
        assert!(health.ready().is_err());
        broken.store(false, Ordering::Relaxed);
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn draining_is_for_good_and_for_every_handle() {
        let health = Health::new();
        health.clone().drain();
        assert_eq!(health.ready().unwrap_err().to_string(), "not ready; drain: shutting down");
    }
}
