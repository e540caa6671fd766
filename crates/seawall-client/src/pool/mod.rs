//! Connections to one address: reused, bounded, closed when idle, old or dead.
//!
//! [`slots`] decides; this holds the sockets. Each connection is driven by a task of its own, which also looks whether
//! it has been idle for too long, and takes it out of the pool the moment that the other side closes it. Whoever holds
//! a [`Lease`] holds the task too: dropping a lease of HTTP/1 in the middle of a request closes the connection, of
//! HTTP/2 gives up the stream alone. When pool and leases are gone, so are the tasks.

mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use slots::{Answer, Bounds, ConnId, Fate, Grant, Slots, Ticket};

use crate::address::Address;
use crate::clock;
use crate::config::PoolConfig;
use crate::connect::{ConnectError, Connector, Driver, Sender};
use crate::measure::{Counted, HostMetrics};
use crate::random;

/// The connections to one address.
#[derive(Debug)]
pub(crate) struct Pool {
    address: Address,
    connector: Connector,
    config: PoolConfig,
    metrics: Arc<HostMetrics>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    slots: Slots,
    /// Idle ones of HTTP/1, all of HTTP/2.
    conns: HashMap<ConnId, Conn>,
    waiting: HashMap<Ticket, oneshot::Sender<Handed>>,
    /// Found dead; dropped once the lock is free, since that ends tasks, which take it.
    dead: Vec<Conn>,
}

/// A connection, and the end of its task.
#[derive(Debug)]
pub(crate) struct Conn {
    sender: Sender,
    task: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum PoolError {
    /// Too many wait for one already.
    Full,
    /// None was free in time.
    WaitedTooLong,
    Connect(ConnectError),
}

/// What a waiter is handed.
#[derive(Debug)]
enum Handed {
    Lease(Lease),
    Opening(Opening),
}

/// A slot of a connection, taken. Unused it goes back; used it must be [`finished`](Lease::finish).
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    id: ConnId,
    /// There until it is given back.
    conn: Option<Conn>,
    /// It has carried a request before.
    pub(crate) reused: bool,
    /// A request was given to it, and its end is not known.
    pub(crate) busy: bool,
}

/// Room for a connection that is being opened. Dropped, the room is given back.
#[derive(Debug)]
struct Opening {
    pool: Option<Arc<Pool>>,
    id: ConnId,
}

/// Takes a connection off the books when its task ends, however it ends.
struct Farewell {
    pool: Weak<Pool>,
    id: ConnId,
    _counted: Counted,
}

impl Pool {
    /// Without connections.
    pub(crate) fn new(
        address: Address,
        connector: Connector,
        config: PoolConfig,
        metrics: Arc<HostMetrics>,
    ) -> Arc<Self> {
        let bounds = Bounds {
            max_connections: config.max_connections,
            max_pending: config.max_pending,
            idle_timeout: config.idle_timeout,
            max_requests: config.max_requests,
        };
        let slots = Slots::new(bounds, connector.expected_capacity());
        let inner =
            Mutex::new(Inner { slots, conns: HashMap::new(), waiting: HashMap::new(), dead: Vec::new() });
        Arc::new(Self { address, connector, config, metrics, inner })
    }

    /// A connection that takes a request, waiting for one if need be. Dropped while it waits, nothing is lost; dropped
    /// while it opens one, that one is closed.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, PoolError> {
        match self.ask()? {
            Asked::Now(Handed::Lease(lease)) => Ok(lease),
            Asked::Now(Handed::Opening(opening)) => opening.open().await,
            Asked::Later(waiter) => {
                let _waits = self.metrics.waits();
                match tokio::time::timeout(self.config.max_wait, waiter.handed()).await {
                    Ok(Some(Handed::Lease(lease))) => Ok(lease),
                    Ok(Some(Handed::Opening(opening))) => opening.open().await,
                    Ok(None) | Err(_) => Err(PoolError::WaitedTooLong),
                }
            }
        }
    }

    /// Closes all idle connections: one of them was dead, and they may all be.
    pub(crate) fn distrust_idle(self: &Arc<Self>) {
        self.change(|slots, _| slots.doom_idle());
    }

    /// Connections (open or being opened), those of them that are idle, and who waits.
    pub(crate) fn counts(&self) -> (u32, u32, u32) {
        let inner = self.inner.lock();
        (inner.slots.len(), inner.slots.idle(), inner.slots.pending())
    }

    fn ask(self: &Arc<Self>) -> Result<Asked, PoolError> {
        loop {
            let now = clock::now();
            let mut doomed = Vec::new();
            let asked = {
                let mut inner = self.inner.lock();
                let answer = inner.slots.ask(now);
                let asked = match answer {
                    Answer::Full => return Err(PoolError::Full), // then nothing was doomed
                    Answer::Wait(ticket) => {
                        let (give, take) = oneshot::channel();
                        inner.waiting.insert(ticket, give);
                        Some(Asked::Later(Waiter { pool: Arc::clone(self), ticket, take }))
                    }
                    Answer::Granted(grant) => inner.hand(self, grant).map(Asked::Now),
                };
                inner.take_doomed(&mut doomed);
                asked
            };
            drop(doomed); // outside the lock: it ends tasks
            if let Some(asked) = asked {
                return Ok(asked);
            }
            // The connection had died, and is off the books by now: at most once per connection.
        }
    }

    /// Changes the books, then hands out what that set free.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut Slots, Instant) -> T) -> T {
        let now = clock::now();
        let mut doomed = Vec::new();
        let result = {
            let mut inner = self.inner.lock();
            let result = change(&mut inner.slots, now);
            inner.take_doomed(&mut doomed);
            result
        };
        drop(doomed);
        self.serve();
        result
    }

    /// Hands out whatever is free to those who wait.
    fn serve(self: &Arc<Self>) {
        let (mut handed, mut doomed) = (Vec::new(), Vec::new());
        {
            let mut inner = self.inner.lock();
            if inner.waiting.is_empty() {
                return;
            }
            while let Some((ticket, grant)) = inner.slots.serve(clock::now()) {
                match inner.hand(self, grant) {
                    Some(item) => handed.extend(inner.waiting.remove(&ticket).map(|waiter| (waiter, item))),
                    // Its connection had died, and is off the books by now: at most once per connection.
                    None => inner.slots.requeue(ticket),
                }
            }
            inner.take_doomed(&mut doomed);
        }
        drop(doomed);
        for (waiter, item) in handed {
            // If the waiter is gone, dropping the item gives it to the next one.
            let _ = waiter.send(item);
        }
    }

    /// A connection of HTTP/1 is free again, unless its task ended meanwhile.
    fn put_back(self: &Arc<Self>, id: ConnId, conn: Conn) {
        let mut doomed = Vec::new();
        {
            let mut inner = self.inner.lock();
            if inner.slots.knows(id) {
                inner.conns.insert(id, conn);
                inner.slots.release(id, clock::now());
            } else {
                doomed.push(conn);
            }
            inner.take_doomed(&mut doomed);
        }
        drop(doomed);
        self.serve();
    }

    fn forget(self: &Arc<Self>, id: ConnId) {
        let conn = {
            let mut inner = self.inner.lock();
            inner.slots.closed(id);
            inner.conns.remove(&id)
        };
        drop(conn);
        self.serve();
    }

    /// Whether an idle connection is to be closed; else when to look again.
    fn look(self: &Arc<Self>, id: ConnId) -> Fate {
        let now = clock::now();
        let mut inner = self.inner.lock();
        let fate = inner.slots.look(id, now);
        if fate == Fate::Close {
            // The task ends itself: it must not be aborted before its farewell.
            let conn = inner.conns.remove(&id);
            drop(inner);
            drop(conn);
        }
        fate
    }
}

/// What became of a question.
enum Asked {
    Now(Handed),
    Later(Waiter),
}

/// Stands in the queue. Dropped, it leaves.
struct Waiter {
    pool: Arc<Pool>,
    ticket: Ticket,
    take: oneshot::Receiver<Handed>,
}

impl Waiter {
    async fn handed(mut self) -> Option<Handed> {
        (&mut self.take).await.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut inner = self.pool.inner.lock();
        if inner.waiting.remove(&self.ticket).is_some() {
            inner.slots.leave(self.ticket);
        }
    }
}

impl Inner {
    fn take_doomed(&mut self, doomed: &mut Vec<Conn>) {
        for id in self.slots.take_doomed() {
            doomed.extend(self.conns.remove(&id));
        }
        doomed.append(&mut self.dead);
    }

    /// Makes a grant into something to hold; nothing if the connection died meanwhile.
    fn hand(&mut self, pool: &Arc<Pool>, grant: Grant) -> Option<Handed> {
        let id = match grant {
            Grant::Connect(id) => return Some(Handed::Opening(Opening { pool: Some(Arc::clone(pool)), id })),
            Grant::Reuse(id) => id,
        };
        let Some(conn) = self.take(id) else {
            self.slots.closed(id);
            return None;
        };
        Some(Handed::Lease(Lease { pool: Arc::clone(pool), id, conn: Some(conn), reused: true, busy: false }))
    }

    /// A connection that is alive, as far as one can know.
    fn take(&mut self, id: ConnId) -> Option<Conn> {
        let conn = self.conns.get(&id)?;
        if !conn.is_alive() {
            self.dead.extend(self.conns.remove(&id));
            return None;
        }
        if matches!(conn.sender, Sender::H2(_)) { Some(conn.share()) } else { self.conns.remove(&id) }
    }
}

impl Conn {
    fn is_alive(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => sender.is_ready(),
            Sender::H2(sender) => !sender.is_closed(),
        }
    }

    /// Another handle to a connection of HTTP/2. One of HTTP/1 is held by one at a time.
    fn share(&self) -> Self {
        let sender = match &self.sender {
            Sender::H2(sender) => Sender::H2(sender.clone()),
            Sender::H1(_) => unreachable!("taken out of the map by whoever uses it"),
        };
        Self { sender, task: Arc::clone(&self.task) }
    }
}

impl Opening {
    async fn open(mut self) -> Result<Lease, PoolError> {
        let pool = self.pool.as_ref().expect("taken below alone");
        let opened = pool.connector.connect(&pool.address).await;
        pool.metrics.connected(opened.as_ref().err());
        let (sender, driver) = opened.map_err(PoolError::Connect)?;
        let pool = self.pool.take().expect("taken here alone");
        Ok(pool.enter(self.id, sender, driver))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.change(|slots, _| slots.failed());
        }
    }
}

impl Pool {
    /// Puts a new connection on the books and starts its task.
    fn enter(self: Arc<Self>, id: ConnId, sender: Sender, driver: Driver) -> Lease {
        let most = self.config.max_streams as usize;
        let capacity = u32::try_from(driver.capacity().min(most)).unwrap_or(1);
        let now = clock::now();
        let lives_until = now + spread(self.config.max_age, random::next());
        let farewell =
            Farewell { pool: Arc::downgrade(&self), id, _counted: Counted::start(&self.metrics.connections) };
        let task = tokio::spawn(drive(driver, farewell, self.config, lives_until));
        let conn = Conn { sender, task: Arc::new(AbortOnDrop(task.abort_handle())) };
        let held = {
            let mut inner = self.inner.lock();
            inner.slots.opened(id, capacity, lives_until, now);
            match conn.sender {
                Sender::H1(_) => conn,
                Sender::H2(_) => {
                    let held = conn.share();
                    inner.conns.insert(id, conn);
                    held
                }
            }
        };
        self.serve();
        Lease { pool: self, id, conn: Some(held), reused: false, busy: false }
    }
}

/// Up to a tenth shorter, so that connections that were opened together do not end together.
fn spread(age: Duration, random: u64) -> Duration {
    age.mul_f64(1.0 - (random as f64 / u64::MAX as f64) * 0.1)
}

/// Runs a connection until it ends or has been idle for too long.
async fn drive(driver: Driver, farewell: Farewell, config: PoolConfig, lives_until: Instant) {
    let Farewell { ref pool, id, .. } = farewell;
    let mut driver = Box::pin(driver);
    let mut capacity = driver.capacity();
    let mut look_at = (clock::now() + config.idle_timeout).min(lives_until);
    loop {
        let mut now_allowed = capacity;
        let running = std::future::poll_fn(|cx: &mut Context<'_>| {
            let ended = driver.as_mut().poll(cx).is_ready();
            now_allowed = driver.capacity();
            if ended || now_allowed != capacity { Poll::Ready(ended) } else { Poll::Pending }
        });
        tokio::select! {
            ended = running => {
                if ended {
                    return;
                }
            }
            () = tokio::time::sleep_until(look_at.into()) => {
                match pool.upgrade().map(|pool| pool.look(id)) {
                    Some(Fate::Keep(until)) => look_at = until.max(clock::now() + Duration::from_millis(1)),
                    Some(Fate::Close) | None => return,
                }
            }
        }
        if now_allowed != capacity {
            capacity = now_allowed;
            let Some(pool) = pool.upgrade() else { return };
            let fits = u32::try_from(capacity).unwrap_or(u32::MAX).min(config.max_streams);
            pool.change(|slots, now| slots.resized(id, fits, now));
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.forget(self.id);
        }
    }
}

impl Lease {
    /// What requests are given to.
    pub(crate) fn sender(&mut self) -> &mut Sender {
        &mut self.conn.as_mut().expect("there until the lease is given back").sender
    }

    /// Whether nobody else uses its connection.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.conn.as_ref().is_some_and(|conn| matches!(conn.sender, Sender::H1(_)))
    }

    /// Whether its connection takes another request at this moment, after one is over.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        match self.sender() {
            Sender::H1(sender) => sender.poll_ready(cx),
            Sender::H2(_) => Poll::Ready(Ok(())),
        }
    }

    /// The request is over, and the connection as good as before: it goes back to the pool.
    pub(crate) fn finish(mut self) {
        self.busy = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        match (&conn.sender, self.busy) {
            (Sender::H1(_), true) => {
                drop(conn);
                self.pool.forget(self.id);
            }
            (Sender::H1(_), false) => self.pool.put_back(self.id, conn),
            (Sender::H2(_), _) => {
                drop(conn);
                let id = self.id;
                self.pool.change(|slots, now| slots.release(id, now));
            }
        }
    }
}
