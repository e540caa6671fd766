//! The bookkeeping of one address's connections: who gets which, who waits, what is closed. Pure; the sockets are the
//! business of [`super::Pool`].
//!
//! A connection has slots: one in HTTP/1, as many as streams are allowed in HTTP/2. The one used last is used next, so
//! that the others go idle and leave. Those who wait are served in their order. While connections are being opened
//! that will have room for more, callers wait for them instead of opening further ones.
//! Invariants: never more than `max_connections` open or being opened; never more than `max_pending` wait; nobody
//! waits while there is room.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Names a connection, from the moment at which it is decided to open it.
pub(crate) type ConnId = u64;
/// Names somebody who waits.
pub(crate) type Ticket = u64;

/// The bounds, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_connections: u32,
    pub(crate) max_pending: u32,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_requests: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Use this one; a slot of it is taken.
    Reuse(ConnId),
    /// Open one by this name, then say [`Slots::opened`] or [`Slots::failed`].
    Connect(ConnId),
}

/// The answer to who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted(Grant),
    /// A grant comes out of [`Slots::serve`] some time; say [`Slots::leave`] if nobody waits for it any more.
    Wait(Ticket),
    /// Too many wait already.
    Full,
}

/// What is to become of an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Close,
    /// Look again then.
    Keep(Instant),
}

#[derive(Debug)]
struct Entry {
    used: u32,
    capacity: u32,
    requests: u32,
    /// No new request after this.
    lives_until: Instant,
    /// When its last slot became free, if all are.
    idle_since: Instant,
}

/// Connections, waiters, and who comes next.
#[derive(Debug)]
pub(crate) struct Slots {
    bounds: Bounds,
    open: HashMap<ConnId, Entry>,
    /// Those with a free slot; the one used last is at the end.
    free: Vec<ConnId>,
    connecting: u32,
    /// How many requests a connection that is being opened will hold, by experience.
    expected: u32,
    waiting: VecDeque<Ticket>,
    /// Taken out of the books, to be closed by the caller.
    doomed: Vec<ConnId>,
    names: u64,
}

impl Slots {
    /// No connections. `expected` is how many requests at once a connection is likely to take.
    pub(crate) fn new(bounds: Bounds, expected: u32) -> Self {
        Self {
            bounds,
            open: HashMap::new(),
            free: Vec::new(),
            connecting: 0,
            expected,
            waiting: VecDeque::new(),
            doomed: Vec::new(),
            names: 0,
        }
    }

    /// Asks for a slot.
    pub(crate) fn ask(&mut self, now: Instant) -> Answer {
        if let Some(grant) = self.grant(self.waiting.len(), now) {
            return Answer::Granted(grant);
        }
        if self.waiting.len() >= self.bounds.max_pending as usize {
            return Answer::Full;
        }
        let ticket = self.name();
        self.waiting.push_back(ticket);
        Answer::Wait(ticket)
    }

    /// Who waits longest and can be served now, if anybody. Call it, until there is nobody, after everything that may
    /// have made room.
    pub(crate) fn serve(&mut self, now: Instant) -> Option<(Ticket, Grant)> {
        let ticket = *self.waiting.front()?;
        let grant = self.grant(0, now)?;
        self.waiting.pop_front();
        Some((ticket, grant))
    }

    /// What [`serve`](Self::serve) gave was of no use: the ticket is first in the queue again.
    pub(crate) fn requeue(&mut self, ticket: Ticket) {
        self.waiting.push_front(ticket);
    }

    /// Somebody waits no more.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| *waiting != ticket);
    }

    /// A connection that was to be opened is open, with one of its slots taken.
    pub(crate) fn opened(&mut self, id: ConnId, capacity: u32, lives_until: Instant, now: Instant) {
        self.connecting = self.connecting.saturating_sub(1);
        let capacity = capacity.max(1);
        self.expected = capacity;
        let entry = Entry { used: 1, capacity, requests: 1, lives_until, idle_since: now };
        if entry.takes_more(&self.bounds, now) {
            self.free.push(id);
        }
        self.open.insert(id, entry);
    }

    /// It could not be opened.
    pub(crate) fn failed(&mut self) {
        self.connecting = self.connecting.saturating_sub(1);
    }

    /// The other side allows another number of streams.
    pub(crate) fn resized(&mut self, id: ConnId, capacity: u32, now: Instant) {
        let Some(entry) = self.open.get_mut(&id) else { return };
        entry.capacity = capacity.max(1);
        self.expected = entry.capacity;
        let takes_more = entry.takes_more(&self.bounds, now);
        self.list(id, takes_more);
    }

    /// A request is over, and the connection is as good as before.
    pub(crate) fn release(&mut self, id: ConnId, now: Instant) {
        let Some(entry) = self.open.get_mut(&id) else { return };
        entry.used = entry.used.saturating_sub(1);
        if entry.used == 0 {
            entry.idle_since = now;
        }
        let (used, takes_more) = (entry.used, entry.takes_more(&self.bounds, now));
        if used == 0 && !takes_more {
            self.doom(id);
        } else {
            self.list(id, takes_more);
        }
    }

    /// The connection is gone, whoever closed it.
    pub(crate) fn closed(&mut self, id: ConnId) {
        if self.open.remove(&id).is_some() {
            self.free.retain(|free| *free != id);
        }
    }

    /// Whether an idle connection has been so for too long, or is too old.
    pub(crate) fn look(&mut self, id: ConnId, now: Instant) -> Fate {
        let Some(entry) = self.open.get(&id) else { return Fate::Close };
        let (idle_timeout, lives_until) = (self.bounds.idle_timeout, entry.lives_until);
        if entry.used > 0 {
            return Fate::Keep(now + idle_timeout);
        }
        if entry.expired(&self.bounds, now) {
            self.closed(id);
            return Fate::Close;
        }
        Fate::Keep((entry.idle_since + idle_timeout).min(lives_until))
    }

    /// Dooms all idle connections: one of them turned out to be dead, and they are of an age.
    pub(crate) fn doom_idle(&mut self) {
        let idle = self.open.iter().filter(|(_, entry)| entry.used == 0);
        for id in idle.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.doom(id);
        }
    }

    /// What has to be closed.
    pub(crate) fn take_doomed(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.doomed)
    }

    /// Whether the connection is on the books.
    pub(crate) fn knows(&self, id: ConnId) -> bool {
        self.open.contains_key(&id)
    }

    /// Connections, open or being opened.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX).saturating_add(self.connecting)
    }

    /// Open connections that do nothing.
    pub(crate) fn idle(&self) -> u32 {
        u32::try_from(self.open.values().filter(|entry| entry.used == 0).count()).unwrap_or(u32::MAX)
    }

    /// Those who wait.
    pub(crate) fn pending(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    fn grant(&mut self, ahead: usize, now: Instant) -> Option<Grant> {
        while let Some(&id) = self.free.last() {
            let entry = self.open.get_mut(&id).expect("closed takes it off both lists");
            if entry.expired(&self.bounds, now) {
                self.doom(id);
            } else if !entry.takes_more(&self.bounds, now) {
                self.free.pop(); // too old for another request, and still at work
            } else {
                entry.used += 1;
                entry.requests = entry.requests.saturating_add(1);
                let takes_more = entry.takes_more(&self.bounds, now);
                self.list(id, takes_more);
                return Some(Grant::Reuse(id));
            }
        }
        let will_have_room = self.connecting as usize * (self.expected - 1) as usize > ahead;
        if will_have_room || self.len() >= self.bounds.max_connections {
            return None;
        }
        self.connecting += 1;
        Some(Grant::Connect(self.name()))
    }

    /// Puts it on the list of those with free slots, or takes it off.
    fn list(&mut self, id: ConnId, takes_more: bool) {
        let listed = self.free.iter().rposition(|free| *free == id);
        match (listed, takes_more) {
            (None, true) => self.free.push(id),
            (Some(at), false) => _ = self.free.remove(at),
            _ => {}
        }
    }

    fn doom(&mut self, id: ConnId) {
        self.closed(id);
        self.doomed.push(id);
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }
}

impl Entry {
    fn takes_more(&self, bounds: &Bounds, now: Instant) -> bool {
        self.used < self.capacity && self.requests < bounds.max_requests && now < self.lives_until
    }

    fn expired(&self, bounds: &Bounds, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.idle_since) >= bounds.idle_timeout;
        self.used == 0 && (idle || now >= self.lives_until)
    }
}
