//! One user of a scenario file: visits, step after step, for as long as the run goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::compiled::{Compiled, set_host};
use crate::random::Random;
use crate::template::Fill;
use crate::users::{Answer, Event, Opinion, Step, User};

/// A visitor that comes again and again.
#[derive(Debug)]
pub(super) struct FlowUser {
    scenario: Arc<Compiled>,
    random: Random,
    visit: u64,
    flow: usize,
    step: usize,
    extracted: Vec<Vec<u8>>,
    /// The last answer was as it should be, so the flow goes on.
    goes_on: bool,
    scratch: Vec<u8>,
}

impl FlowUser {
    pub(super) fn new(scenario: Arc<Compiled>, seed: u64, number: u64) -> Self {
        let random = Random::part(seed, number);
        Self {
            scenario,
            random,
            visit: 0,
            flow: 0,
            step: 0,
            extracted: Vec::new(),
            goes_on: false,
            scratch: Vec::new(),
        }
    }

    fn begin_visit(&mut self) {
        self.visit = self.scenario.visits.fetch_add(1, Relaxed);
        let mut ticket = self.random.below(self.scenario.weights);
        let taken = |flow: &super::compiled::Flow| {
            let taken = ticket < flow.weight;
            ticket = ticket.saturating_sub(flow.weight);
            taken
        };
        self.flow = self.scenario.flows.iter().position(taken).unwrap_or(0);
        self.step = 0;
        self.extracted.clear();
        self.extracted.resize(self.scenario.flows[self.flow].names, Vec::new());
    }

    fn send(&mut self) -> Step {
        let step = &self.scenario.flows[self.flow].steps[self.step];
        let span = step.think.to - step.think.from;
        let after = step.think.from + span.mul_f64(self.random.unit());
        let mut request = Vec::new();
        let mut fill = Fill {
            table: self.scenario.table.as_deref(),
            random: &mut self.random,
            number: self.visit,
            extracted: &self.extracted,
        };
        step.request.render(&mut fill, &mut self.scratch, &mut request);
        let request = set_host(request, &self.scenario.host);
        Step::Send { label: step.label, request, after, timeout: step.timeout }
    }
}

impl User for FlowUser {
    fn judge(&mut self, answer: &Answer<'_>) -> Opinion {
        let step = &self.scenario.flows[self.flow].steps[self.step];
        let mut opinion = match &step.expect {
            Some(expect) => expect.judge(answer),
            None => Opinion::ByStatus,
        };
        self.goes_on = opinion == Opinion::Expected || (opinion == Opinion::ByStatus && answer.status < 400);
        for (name, extract) in &step.extract {
            if self.goes_on && !extract.take(answer, &mut self.extracted[*name]) {
                self.goes_on = false;
                opinion = Opinion::Unexpected; // what later steps need is not there
            }
        }
        opinion
    }

    fn next(&mut self, event: Event<'_>, _now: Duration) -> Step {
        let last = self.scenario.flows[self.flow].steps.len() - 1;
        match event {
            Event::Answer(_) if self.goes_on && self.step < last => self.step += 1,
            Event::Start | Event::Answer(_) | Event::Failed { .. } => self.begin_visit(),
        }
        self.send()
    }
}
