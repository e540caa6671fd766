//! The time limits of a connection: one timer, looked at only when the connection has to wait.
//!
//! A request that comes in one piece and is answered at once never touches the timer: setting one may wake the
//! runtime, a system call. It is only ever set earlier, or anew after it fired too early for what the connection
//! waits for by then.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

use crate::clock;

/// What a connection waits for. A number beside it tells two waits of the same kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The next request.
    Idle,
    /// The rest of a head.
    Head,
    /// More of a body that somebody wants to read.
    Body,
    /// The client, which does not read.
    Write,
}

/// How long each wait may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) idle: Duration,
    pub(super) head: Duration,
    pub(super) body_gap: Duration,
    pub(super) write_stall: Duration,
}

impl Limits {
    fn of(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Idle => self.idle,
            Wait::Head => self.head,
            Wait::Body => self.body_gap,
            Wait::Write => self.write_stall,
        }
    }
}

/// Watches one connection's waits.
pub(super) struct Watch {
    limits: Limits,
    timer: Option<Pin<Box<Sleep>>>,
    /// The wait that was seen last, and since when it lasts.
    seen: Option<(Wait, u64, Instant)>,
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, timer: None, seen: None }
    }

    /// To be called when the connection has to wait: ready when this wait, told apart from others by `number`, has
    /// lasted too long. It lasts since `since`, or since now if nobody knows.
    pub(super) fn poll(
        &mut self,
        wait: Wait,
        number: u64,
        since: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<Wait> {
        let since = match self.seen {
            Some((seen, n, since)) if (seen, n) == (wait, number) => since,
            _ => since.unwrap_or_else(clock::now),
        };
        self.seen = Some((wait, number, since));
        let due = (since + self.limits.of(wait)).into();
        let timer = match &mut self.timer {
            Some(timer) if timer.is_elapsed() && timer.deadline() >= due => return Poll::Ready(wait),
            Some(timer) if timer.deadline() <= due && !timer.is_elapsed() => return Poll::Pending,
            Some(timer) => timer,
            none => none.insert(Box::pin(sleep_until(due))),
        };
        timer.as_mut().reset(due);
        // A poll that tokio puts off for the sake of other tasks would not enrol us, and we do not ask again.
        pin!(unconstrained(timer.as_mut())).poll(cx).map(|()| wait)
    }

    /// Another request begins: what was waited for before is over, whatever its number was.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }
}
