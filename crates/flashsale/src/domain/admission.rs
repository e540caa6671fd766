//! What is known about the products without asking the database: which there are, when their sale begins, whether
//! they are sold out. And which idempotency keys are being written right now.
//!
//! The sold-out flag follows the stock in the order of the commits (it is changed by the writer's hooks), so it is
//! never wrong for longer than a commit takes. It may refuse; it never accepts: that is the ledger's business.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What admission knows about a product.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) sale_starts_ms: u64,
    sold_out: AtomicBool,
}

impl Admission {
    pub(crate) fn new(sale_starts_ms: u64, left: u64) -> Self {
        Self { sale_starts_ms, sold_out: AtomicBool::new(left == 0) }
    }

    pub(crate) fn is_sold_out(&self) -> bool {
        self.sold_out.load(Ordering::Acquire)
    }

    /// To be called from a commit hook, so that the last call is that of the last commit.
    pub(crate) fn set_sold_out(&self, sold_out: bool) {
        self.sold_out.store(sold_out, Ordering::Release);
    }
}

/// The idempotency keys whose orders are on their way to the disk. No more than there are such orders, which the
/// writer's queue bounds.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashMap<String, u32>>);

/// One order on its way; dropping it says that its fate is known.
#[derive(Debug)]
pub(crate) struct OnItsWay {
    keys: Arc<InFlight>,
    key: String,
    /// Nobody else had this key on its way when this one entered.
    pub(crate) alone: bool,
}

impl InFlight {
    pub(crate) fn enter(self: &Arc<Self>, key: &str) -> OnItsWay {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = keys.entry(key.to_owned()).or_insert(0);
        *orders += 1;
        OnItsWay { alone: *orders == 1, keys: Arc::clone(self), key: key.to_owned() }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut keys = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = keys.get_mut(&self.key) {
            *orders -= 1;
            if *orders == 0 {
                keys.remove(&self.key);
            }
        }
    }
}
