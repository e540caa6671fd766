//! Before the sale every buyer has an account, as in life: `POST /api/v1/users`, once per buyer. Not part of any number.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use seawall_load::users::{Event, Step, User, UsersConfig, run_users};

use super::wire::{self, Wire};

/// Times that one account is tried.
const MAX_TRIES: u32 = 10;

/// Asks for one account until there is one.
struct Registrant {
    wire: Arc<Wire>,
    number: usize,
    tries: u32,
    ids: Arc<Mutex<Vec<u64>>>,
}

impl User for Registrant {
    fn next(&mut self, event: Event<'_>, _now: Duration) -> Step {
        if let Event::Answer(answer) = event
            && let Some(id) = wire::user_id(&answer)
        {
            self.ids.lock().unwrap_or_else(PoisonError::into_inner)[self.number] = id;
            return Step::Done;
        }
        if self.tries == MAX_TRIES {
            return Step::Done;
        }
        let after = Duration::from_millis(if self.tries == 0 { 0 } else { 200 });
        self.tries += 1;
        let request = self.wire.register(&format!("buyer {}", self.number + 1));
        Step::Send { label: "register", request, after, timeout: Duration::from_secs(30) }
    }
}

/// Makes `count` accounts and gives their numbers.
///
/// # Errors
/// The service did not make all of them, or cannot be reached.
pub(super) fn register(config: &UsersConfig, wire: Wire, count: u64) -> Result<Vec<u64>> {
    let ids = Arc::new(Mutex::new(vec![0; count as usize]));
    let wire = Arc::new(wire);
    let users = (0..count as usize).map(|number| {
        let (wire, ids) = (Arc::clone(&wire), Arc::clone(&ids));
        (Duration::ZERO, Box::new(Registrant { wire, number, tries: 0, ids }) as Box<dyn User>)
    });
    let config = UsersConfig { connections: 64, ..config.clone() };
    let report = run_users(&config, users.collect(), &mut |_| {})?;
    let ids = std::mem::take(&mut *ids.lock().unwrap_or_else(PoisonError::into_inner));
    let missing = ids.iter().filter(|&&id| id == 0).count();
    if missing > 0 {
        bail!("{missing} of {count} buyers could not be registered: {:?}", report.errors);
    }
    Ok(ids)
}
