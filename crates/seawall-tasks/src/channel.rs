//! A bounded channel that says by name what happens when it is full.
//!
//! Many senders, many receivers; each value goes to one of them, in the order of sending. All state is under one lock,
//! and a future that was woken and then dropped passes its wake-up on, so that no value and no room is ever forgotten.
//! Senders that wait are woken in the order in which they came, but one that comes at the right moment may be faster.

mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use seawall_core::ConfigError;

use state::{Lock, Pushed};

/// The most values that a channel may hold.
const MAX_CAPACITY: usize = 1 << 24;

/// What [`Sender::send`] does when the channel is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// It waits for room: the producer becomes as slow as its consumers.
    Wait,
    /// It gives the value back at once, so that the producer can say no to whoever asked.
    Reject,
    /// The new value is dropped and counted: what is waiting is worth more than what comes.
    DropNewest,
    /// The oldest value that waits is dropped and counted: only the latest matters.
    DropOldest,
}

/// What became of a value that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It waits in the channel.
    Queued,
    /// It was dropped ([`Overflow::DropNewest`]).
    Dropped,
    /// It waits in the channel, and the oldest one was dropped for it ([`Overflow::DropOldest`]).
    Displaced,
}

/// The value comes back to the sender.
#[derive(PartialEq, Eq, Clone, Copy, thiserror::Error)]
pub enum SendError<T> {
    /// The channel is full ([`Overflow::Reject`], or [`Sender::try_send`] with [`Overflow::Wait`]).
    #[error("the channel is full")]
    Full(T),
    /// All receivers are gone, or one has closed the channel.
    #[error("the channel is closed")]
    Closed(T),
}

/// Why there is nothing to receive right now.
#[derive(Debug, PartialEq, Eq, Clone, Copy, thiserror::Error)]
pub enum TryRecvError {
    /// Nothing waits, but something may come.
    #[error("the channel is empty")]
    Empty,
    /// Nothing waits, and nothing will come.
    #[error("the channel is closed")]
    Closed,
}

/// The sending end; a clone is another one. When the last is dropped, receivers take what waits and then get `None`.
pub struct Sender<T>(Arc<Shared<T>>);

/// The receiving end; a clone is another one, and each value goes to one of them. When the last is dropped, senders
/// get [`SendError::Closed`] and what waits is dropped.
pub struct Receiver<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Lock<T>,
    overflow: Overflow,
}

/// A channel for at most `capacity` values.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use seawall_tasks::{Overflow, Sent, channel};
///
/// let (prices, latest) = channel(1, Overflow::DropOldest)?;
/// assert_eq!(prices.send(9.5).await?, Sent::Queued);
/// assert_eq!(prices.send(9.8).await?, Sent::Displaced);
/// assert_eq!(latest.recv().await, Some(9.8));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// # Errors
/// If `capacity` is not from 1 to 16,777,216.
pub fn channel<T>(capacity: usize, overflow: Overflow) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
    if !(1..=MAX_CAPACITY).contains(&capacity) {
        return Err(ConfigError::new("channel.capacity", capacity, "1 to 16777216"));
    }
    let shared = Arc::new(Shared { state: Lock::new(capacity), overflow });
    Ok((Sender(Arc::clone(&shared)), Receiver(shared)))
}

impl<T> Shared<T> {
    /// What the policy says to a full channel, where it says anything at once.
    fn try_send(&self, value: T) -> Result<Sent, SendError<T>> {
        let mut state = self.state.lock();
        let value = match state.push(value) {
            Pushed::Queued => return Ok(Sent::Queued),
            Pushed::Closed(value) => return Err(SendError::Closed(value)),
            Pushed::Full(value) => value,
        };
        match self.overflow {
            Overflow::Wait | Overflow::Reject => Err(SendError::Full(value)),
            Overflow::DropNewest => {
                state.count_dropped();
                drop(state); // the value's own drop must not run under the lock
                drop(value);
                Ok(Sent::Dropped)
            }
            Overflow::DropOldest => {
                let oldest = state.displace(value);
                drop(state);
                drop(oldest);
                Ok(Sent::Displaced)
            }
        }
    }
}

impl<T> Sender<T> {
    /// Sends `value`; when the channel is full, what its [`Overflow`] says.
    ///
    /// # Errors
    /// The value comes back: [`SendError::Full`] with [`Overflow::Reject`], [`SendError::Closed`] when nobody will
    /// receive it.
    ///
    /// # Cancel safety
    /// A value whose call was dropped before it returned was not sent, and is dropped with it.
    pub async fn send(&self, value: T) -> Result<Sent, SendError<T>> {
        let value = match self.0.try_send(value) {
            Err(SendError::Full(value)) if self.0.overflow == Overflow::Wait => value,
            done => return done,
        };
        Sending { shared: &self.0, value: Some(value), ticket: None }.await
    }

    /// Sends `value` without waiting.
    ///
    /// # Errors
    /// As [`Sender::send`]; and [`SendError::Full`] where that would wait.
    pub fn try_send(&self, value: T) -> Result<Sent, SendError<T>> {
        self.0.try_send(value)
    }

    /// Values that wait.
    pub fn len(&self) -> usize {
        self.0.state.lock().len()
    }
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Values that were dropped because the channel was full.
    pub fn dropped(&self) -> u64 {
        self.0.state.lock().dropped()
    }
}

impl<T> Receiver<T> {
    /// The next value, or `None` when nothing waits and all senders are gone or the channel is closed.
    ///
    /// # Cancel safety
    /// Safe: a value that was not handed out yet stays for the next call, of this receiver or another.
    pub async fn recv(&self) -> Option<T> {
        Receiving { shared: &self.0, ticket: None }.await
    }

    /// A value, if one waits.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.state.lock();
        state.pop().ok_or(if state.is_closed() { TryRecvError::Closed } else { TryRecvError::Empty })
    }

    /// Takes no more values; what waits may still be received.
    pub fn close(&self) {
        self.0.state.lock().close();
    }
    /// Values that wait.
    pub fn len(&self) -> usize {
        self.0.state.lock().len()
    }
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Values that were dropped because the channel was full.
    pub fn dropped(&self) -> u64 {
        self.0.state.lock().dropped()
    }
}

/// A value on its way into a full channel.
struct Sending<'a, T> {
    shared: &'a Shared<T>,
    /// Gone once it is sent or given back.
    value: Option<T>,
    ticket: Option<u64>,
}

// Nothing here is pinned in place: the value is moved out, never pointed into.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<Sent, SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let value = this.value.take().expect("polled on after its end");
        let mut state = this.shared.state.lock();
        let done = match state.push(value) {
            Pushed::Queued => Ok(Sent::Queued),
            Pushed::Closed(value) => Err(SendError::Closed(value)),
            Pushed::Full(value) => {
                this.value = Some(value);
                this.ticket = Some(state.senders_waiting.enrol(this.ticket, cx.waker()));
                return Poll::Pending;
            }
        };
        // It may still be enrolled: it was polled for another reason than a wake-up.
        this.ticket.take().map(|ticket| state.senders_waiting.leave(ticket));
        Poll::Ready(done)
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.shared.state.lock();
        if !state.senders_waiting.leave(ticket) {
            state.pass_room_on(); // we were woken for room that we will not take
        }
    }
}

struct Receiving<'a, T> {
    shared: &'a Shared<T>,
    ticket: Option<u64>,
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let mut state = this.shared.state.lock();
        let value = state.pop();
        if value.is_none() && !state.is_closed() {
            this.ticket = Some(state.receivers_waiting.enrol(this.ticket, cx.waker()));
            return Poll::Pending;
        }
        this.ticket.take().map(|ticket| state.receivers_waiting.leave(ticket));
        Poll::Ready(value)
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.shared.state.lock();
        if !state.receivers_waiting.leave(ticket) {
            state.pass_value_on(); // we were woken for a value that we will not take
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().add_sender();
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().add_receiver();
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().drop_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Their own drops must not run under the lock.
        let unread = self.0.state.lock().drop_receiver();
        drop(unread);
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).field("overflow", &self.0.overflow).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).field("overflow", &self.0.overflow).finish()
    }
}
