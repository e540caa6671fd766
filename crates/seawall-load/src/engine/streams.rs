//! What follows from bytes of HTTP/2 and WebSocket: answers in any order, and requests that fail alone.

use seawall_load_h2::Finished;

use super::Engine;
use super::conn::{Flight, State};
use super::events::Then;
use super::work::Work;
use crate::error::ErrorClass;
use crate::users::Opinion;

impl<W: Work> Engine<'_, W> {
    /// Bytes of HTTP/2 or WebSocket.
    pub(super) fn session_bytes(&mut self, slot: u32, bytes: &[u8]) -> Then {
        let now = self.clock.now();
        let generation = self.conns[slot as usize].generation;
        self.advance(slot, bytes, now);
        let conn = &self.conns[slot as usize];
        match conn.state {
            _ if conn.generation != generation || conn.socket.is_none() => Then::Gone,
            State::Connecting { .. } => {
                self.conns[slot as usize].write(None);
                self.look_at_handshake(slot);
                Then::ReadOn
            }
            State::Open if conn.flights.is_empty() && conn.carried >= self.config.requests_per_connection => {
                self.reconnect(slot);
                Then::Gone
            }
            State::Open => self.refill(slot, now),
            State::Unused | State::Backoff { .. } => Then::Gone,
        }
    }

    /// Lets a session go on, counts what it has finished, and takes what it wants to write.
    pub(super) fn advance(&mut self, slot: u32, bytes: &[u8], now: u64) {
        let conn = &mut self.conns[slot as usize];
        let Some(session) = &mut conn.session else { return };
        let mut finished = std::mem::take(&mut self.finished);
        let result = session.advance(bytes, &mut finished);
        session.output(&mut conn.out);
        for Finished { id, status } in finished.drain(..) {
            let conn = &mut self.conns[slot as usize];
            let Some(at) = conn.flights.iter().position(|flight| flight.id == id) else { continue };
            let Some(flight) = conn.flights.remove(at) else { continue };
            self.busy -= 1;
            let Some(status) = status else {
                self.fail_flight(&flight, ErrorClass::ReadReset, now);
                continue;
            };
            conn.failures = 0;
            let Flight { job, sent, .. } = flight;
            self.count_answer(status, Opinion::ByStatus, now - job.due.min(now), now - sent);
        }
        self.finished = finished;
        if let Err(class) = result {
            self.fail(slot, class, now);
        }
    }

    /// The oldest request's time is over. HTTP/2 gives up that one, all others the connection.
    pub(super) fn timed_out(&mut self, slot: u32, class: ErrorClass, now: u64) {
        let conn = &mut self.conns[slot as usize];
        let (Some(session), Some(&oldest)) = (&mut conn.session, conn.flights.front()) else {
            return self.fail(slot, class, now);
        };
        if !session.cancel(oldest.id) {
            return self.fail(slot, class, now);
        }
        conn.flights.pop_front();
        self.busy -= 1;
        self.fail_flight(&oldest, class, now);
        self.refill(slot, now);
    }
}
