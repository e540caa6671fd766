//! The users of one generator thread, and when each of them sends next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::engine::work::{Answered, Job, Work};
use crate::error::ErrorClass;
use crate::report::LabelReport;
use crate::users::{Answer, Event, Opinion, Step, User};

/// A user and the request that it sends next or has on its way.
struct Member {
    user: Box<dyn User>,
    label: &'static str,
    request: Vec<u8>,
    timeout: u64,
}

/// A work made of users. At most one entry of `due` per user.
pub(super) struct Population {
    members: Vec<Member>,
    /// When whose request is due, since the run's start; equal times in the order of the users.
    due: BinaryHeap<Reverse<(u64, u32)>>,
    active: usize,
    start: u64,
    labels: BTreeMap<&'static str, LabelReport>,
}

impl Population {
    /// Users with their times of arrival. All first requests are made here, before the run starts: thousands at once
    /// would make the first ones late.
    pub(super) fn new(users: Vec<(Duration, Box<dyn User>)>) -> Self {
        let active = users.len();
        let (arrivals, members): (Vec<Duration>, Vec<Member>) = users
            .into_iter()
            .map(|(arrival, user)| (arrival, Member { user, label: "", request: Vec::new(), timeout: 0 }))
            .unzip();
        let mut population =
            Self { members, due: BinaryHeap::new(), active, start: 0, labels: BTreeMap::new() };
        for (owner, arrival) in arrivals.into_iter().enumerate() {
            population.tell(owner as u32, Event::Start, nanos(arrival));
        }
        population
    }

    pub(super) fn unfinished(&self) -> usize {
        self.active
    }

    pub(super) fn labels(&self) -> &BTreeMap<&'static str, LabelReport> {
        &self.labels
    }

    /// A time of the run's clock as users see it.
    fn since_start(&self, at: u64) -> Duration {
        Duration::from_nanos(at.saturating_sub(self.start))
    }

    /// Tells a user what happened at `at`, and notes what it does next.
    fn tell(&mut self, owner: u32, event: Event<'_>, at: u64) {
        let now = self.since_start(at);
        let member = &mut self.members[owner as usize];
        match member.user.next(event, now) {
            Step::Done => self.active -= 1,
            Step::Send { label, request, after, timeout } => {
                member.label = label;
                member.request = request;
                member.timeout = nanos(timeout);
                let due = at.saturating_sub(self.start).saturating_add(nanos(after));
                self.due.push(Reverse((due, owner)));
            }
        }
    }

    fn job(&self, due: u64, owner: u32) -> Job {
        Job {
            owner,
            due,
            timeout: self.members[owner as usize].timeout,
            head: self.members[owner as usize].request.starts_with(b"HEAD "),
        }
    }

    fn counts(&mut self, owner: u32) -> &mut LabelReport {
        self.labels.entry(self.members[owner as usize].label).or_default()
    }
}

fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().min(u128::from(u64::MAX)) as u64
}

impl Work for Population {
    const KEEPS: bool = true;
    const PACED: bool = true;

    fn begin(&mut self, start: u64) {
        self.start = start;
    }

    fn next_due(&self) -> Option<u64> {
        self.due.peek().map(|&Reverse((due, _))| self.start.saturating_add(due))
    }

    fn rate(&self) -> f64 {
        0.0
    }

    fn take(&mut self, now: u64) -> Option<Job> {
        let due = self.next_due().filter(|&due| due <= now)?;
        self.due.pop().map(|Reverse((_, owner))| self.job(due, owner))
    }

    fn bytes(&self, job: &Job) -> &[u8] {
        &self.members[job.owner as usize].request
    }

    fn render(&mut self, job: &Job, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes(job));
    }

    fn answered(&mut self, job: &Job, answer: Answered<'_>) -> Opinion {
        let counts = self.counts(job.owner);
        counts.requests += 1;
        counts.latency.record(answer.done.saturating_sub(job.due));
        let (kept, done) = (answer.kept, answer.done);
        let sent = self.since_start(answer.sent);
        let answer = Answer { status: answer.status, sent, body: &kept.body, head: &kept.head };
        let opinion = self.members[job.owner as usize].user.judge(&answer);
        self.tell(job.owner, Event::Answer(answer), done);
        opinion
    }

    fn failed(&mut self, job: &Job, class: ErrorClass, sent: Option<u64>, now: u64) {
        self.counts(job.owner).failed += 1;
        let sent = sent.map(|at| self.since_start(at));
        self.tell(job.owner, Event::Failed { class, sent }, now);
    }

    fn take_expired(&mut self, now: u64) -> Option<Job> {
        let &Reverse((due, owner)) = self.due.peek()?;
        let job = self.job(self.start.saturating_add(due), owner);
        if job.due.saturating_add(job.timeout) > now {
            return None;
        }
        self.due.pop();
        Some(job)
    }

    fn take_unconnected(&mut self, now: u64) -> Option<Job> {
        self.take(now)
    }

    fn finished(&self) -> bool {
        self.active == 0
    }

    fn backlog(&self, now: u64, waited: &mut dyn FnMut(u64, u64)) -> u64 {
        let due = self.due.iter().map(|&Reverse((due, _))| self.start.saturating_add(due));
        due.filter(|&due| due <= now).map(|due| waited(now - due, 1)).count() as u64
    }
}
