//! Lets unpaid orders expire: a thread that looks a few times a second.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Shop;

/// How often it looks: the most by which an order may outlive its time.
const PERIOD: Duration = Duration::from_millis(100);
/// Orders per transaction, so that nobody waits long behind it.
const BATCH: u32 = 256;

#[derive(Debug, Default)]
struct Stop {
    requested: Mutex<bool>,
    changed: Condvar,
}

/// The running thread. Dropping it asks the thread to stop.
#[derive(Debug)]
pub(super) struct Expiry {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Expiry {
    pub(super) fn spawn(shop: &Shop) -> std::io::Result<Self> {
        let (shop, stop) = (shop.clone(), Arc::new(Stop::default()));
        let watched = Arc::clone(&stop);
        let run = move || {
            while !watched.wait(PERIOD) {
                sweep(&shop, &watched);
            }
        };
        let thread = std::thread::Builder::new().name("expiry".to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops after the transaction in hand. Blocks.
    pub(super) fn stop(mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .expect("the sweep does not panic: it only calls the database, which catches panics");
        }
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        self.stop.request();
    }
}

fn sweep(shop: &Shop, stop: &Stop) {
    loop {
        match shop.expire_overdue(BATCH) {
            Ok(expired) if expired == BATCH as usize && !stop.wait(Duration::ZERO) => {}
            // An error is a full queue or a broken database: either is seen elsewhere, and the next round tries again.
            Ok(_) | Err(_) => return,
        }
    }
}

impl Stop {
    fn request(&self) {
        *self.requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits; `true` once the stop is requested.
    fn wait(&self, at_most: Duration) -> bool {
        let requested = self.requested.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.changed.wait_timeout_while(requested, at_most, |requested| !*requested);
        *wait.unwrap_or_else(PoisonError::into_inner).0
    }
}
