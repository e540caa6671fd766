//! What the engine sends: a [`Work`] hands out jobs when they are due and hears what became of them.

use std::sync::Arc;

use crate::data::Table;
use crate::error::ErrorClass;
use crate::random::Random;
use crate::request::RequestTemplate;
use crate::response::Kept;
use crate::schedule::Share;
use crate::template::Fill;
use crate::users::Opinion;

/// One request on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Job {
    /// Whose request it is; the meaning is the work's own.
    pub(crate) owner: u32,
    /// When it was due, in nanoseconds of the run's clock. Latency counts from here.
    pub(crate) due: u64,
    /// How long its answer may take after the send, in nanoseconds.
    pub(crate) timeout: u64,
    /// Its method is HEAD: the answer has no body, whatever its head says.
    pub(crate) head: bool,
}

/// The complete answer to a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) status: u16,
    pub(crate) sent: u64,
    pub(crate) done: u64,
    /// Empty unless the work keeps answers.
    pub(crate) kept: &'a Kept,
}

/// A source of requests. One per thread; all times are nanoseconds of the run's clock.
pub(crate) trait Work: Send {
    /// The work wants to see heads and bodies of the answers.
    const KEEPS: bool;
    /// Jobs have due times of their own (open loop, users).
    const PACED: bool;

    /// The run starts, at this time of its clock.
    fn begin(&mut self, start: u64);
    /// When the next job is due; `None` if there is none until something else happens.
    fn next_due(&self) -> Option<u64>;
    /// Jobs per second about now; 0 if that is unknown.
    fn rate(&self) -> f64;
    /// The next job, if it is due at `now`.
    fn take(&mut self, now: u64) -> Option<Job>;
    /// The bytes of a job that was taken. Only asked for if the engine writes from there
    /// ([`EngineConfig::direct`](super::EngineConfig)).
    fn bytes(&self, job: &Job) -> &[u8];
    /// Appends the bytes of a job that was just taken, otherwise.
    fn render(&mut self, job: &Job, out: &mut Vec<u8>);
    /// A job was answered. Says what the work thinks of the answer.
    fn answered(&mut self, job: &Job, answer: Answered<'_>) -> Opinion;
    /// A job failed. `sent` is `None` if it never left.
    fn failed(&mut self, job: &Job, class: ErrorClass, sent: Option<u64>, now: u64);
    /// Takes a job whose time has passed before a connection was free.
    fn take_expired(&mut self, now: u64) -> Option<Job>;
    /// A connection could not be made. Returns a due job that shall fail of it, if this work wants that.
    fn take_unconnected(&mut self, now: u64) -> Option<Job>;
    /// Nothing will ever be due again.
    fn finished(&self) -> bool;
    /// How many jobs were due before `now` and not taken. Tells `waited` how long how many of them have waited.
    fn backlog(&self, now: u64, waited: &mut dyn FnMut(u64, u64)) -> u64;
}

/// What is sent, request after request.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The same bytes.
    Fixed(Arc<[u8]>),
    /// Filled anew for each request.
    Template(Box<Filler>),
    /// One after the other, and again from the first.
    List(Arc<[Listed]>),
}

/// A request of a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) head: bool,
}

/// A template and what one thread fills it with.
#[derive(Debug, Clone)]
pub(crate) struct Filler {
    pub(crate) template: Arc<RequestTemplate>,
    pub(crate) table: Option<Arc<Table>>,
    pub(crate) random: Random,
    pub(crate) scratch: Vec<u8>,
}

/// Requests of one source at some pace.
#[derive(Debug)]
pub(crate) struct Repeated<const PACED: bool> {
    pub(crate) source: Source,
    /// All requests are HEAD; in a list each says it itself.
    pub(crate) head: bool,
    /// The number of the next request in the whole run, and how far it is to the one after: other threads have those
    /// between.
    pub(crate) number: u64,
    pub(crate) step: u64,
    pub(crate) share: Share,
    pub(crate) timeout: u64,
    /// A request that was due this long ago and has no connection is not sent any more.
    pub(crate) deadline: Option<u64>,
    /// Requests that may still be sent.
    pub(crate) left: u64,
    /// The run's start on its clock.
    pub(crate) start: u64,
}

impl<const PACED: bool> Work for Repeated<PACED> {
    const KEEPS: bool = false;
    const PACED: bool = PACED;

    fn begin(&mut self, start: u64) {
        self.start = start;
    }

    #[inline]
    fn next_due(&self) -> Option<u64> {
        if self.left == 0 {
            return None;
        }
        if PACED { self.share.due_ns().map(|due| self.start + due) } else { Some(0) }
    }

    #[inline]
    fn rate(&self) -> f64 {
        if PACED { self.share.rate() } else { 0.0 }
    }

    #[inline]
    fn take(&mut self, now: u64) -> Option<Job> {
        let due = self.next_due().filter(|&due| due <= now)?;
        self.left -= 1;
        let mut job = Job { owner: 0, due: now, timeout: self.timeout, head: self.head };
        if let Source::List(list) = &self.source {
            job.owner = (self.number % list.len() as u64) as u32;
            job.head = list[job.owner as usize].head;
            self.number += self.step;
        }
        if PACED {
            job.due = due;
            self.share.advance();
        }
        Some(job)
    }

    #[inline]
    fn bytes(&self, job: &Job) -> &[u8] {
        match &self.source {
            Source::Fixed(bytes) => bytes,
            Source::List(list) => &list[job.owner as usize].bytes,
            Source::Template(_) => &[], // rendered
        }
    }

    fn render(&mut self, job: &Job, out: &mut Vec<u8>) {
        let Source::Template(filler) = &mut self.source else {
            return out.extend_from_slice(self.bytes(job));
        };
        let Filler { template, table, random, scratch } = &mut **filler;
        let mut fill = Fill { table: table.as_deref(), random, number: self.number, extracted: &[] };
        template.render(&mut fill, scratch, out);
        self.number += self.step;
    }

    #[inline]
    fn answered(&mut self, _job: &Job, _answer: Answered<'_>) -> Opinion {
        Opinion::ByStatus
    }

    fn failed(&mut self, _job: &Job, _class: ErrorClass, _sent: Option<u64>, _now: u64) {}

    fn take_expired(&mut self, now: u64) -> Option<Job> {
        // Without a deadline the backlog of an open loop stays.
        let latest = now.checked_sub(self.deadline?)?;
        if self.next_due()? > latest { None } else { self.take(now) }
    }

    fn take_unconnected(&mut self, _now: u64) -> Option<Job> {
        None
    }

    fn finished(&self) -> bool {
        self.left == 0 || (PACED && self.share.is_over())
    }

    fn backlog(&self, now: u64, waited: &mut dyn FnMut(u64, u64)) -> u64 {
        if self.left == 0 { 0 } else { self.share.backlog(now.saturating_sub(self.start), waited) }
    }
}
