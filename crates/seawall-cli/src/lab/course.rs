//! What a search or a sweep saw on its way, for its report: load and latencies over time, and the inside of the service.

use std::time::Instant;

use anyhow::{Result, bail};
use seawall_lab::diagnose::find_service;
use seawall_lab::profile::fetch::Endpoint;
use seawall_lab::report::lab::{Collected, LabReport, ProfilePair, Recorder};
use seawall_lab::signals::series::{EvidenceLevel, PhaseSpan};
use seawall_lab::signals::service;
use seawall_load::{LoadConfig, Report};

use super::common::InsideArgs;
use super::inside::{Rates, Watch};
use crate::demo::clock;

/// What is gathered.
pub(super) struct Course {
    origin: Instant,
    recorder: Recorder,
    phases: Vec<PhaseSpan>,
    pid: Option<u32>,
    endpoint: Option<Endpoint>,
    watch: Option<Watch>,
    /// Why there is nothing from inside.
    why: String,
}

impl Course {
    /// Begins; with `inside`, also watches the process that was named, or the one that listens at the target.
    ///
    /// # Errors
    /// When the process that was named is not there.
    pub(super) fn begin(load: &LoadConfig, inside: Option<&InsideArgs>) -> Result<Self> {
        let mut course = Self {
            origin: clock::now(),
            recorder: Recorder::new(),
            phases: Vec::new(),
            pid: None,
            endpoint: None,
            watch: None,
            why: "it was switched off (--no-inside)".to_owned(),
        };
        let Some(inside) = inside else { return Ok(course) };
        course.endpoint = inside.endpoint()?;
        course.pid = inside.pid.or_else(|| find_service(load));
        course.why = "no process was found at the target: name it with --pid N".to_owned();
        if let Some(pid) = course.pid {
            if service::name(pid) == "?" {
                bail!("process {pid} is not there, or may not be looked at");
            }
            eprintln!("looking at {} (process {pid})", service::name(pid));
            let endpoint = course.endpoint.as_ref();
            course.watch = Some(Watch::start(pid, &load.url, endpoint, Rates::Close, course.origin));
        }
        Ok(course)
    }

    /// The service's first process, if it was found.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The service's own endpoint, if it was given.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Adds a load that was sent.
    pub(super) fn add(&mut self, name: &str, began: Instant, report: &Report) {
        let start_s = began.saturating_duration_since(self.origin).as_secs_f64();
        let end_s = start_s + report.warmup_s + report.duration_s;
        self.recorder.add(name, start_s, report);
        self.phases.push(PhaseSpan { name: name.to_owned(), start_s, end_s });
    }

    /// Puts everything into the report. `shown` are the loads whose percentile curves are drawn.
    pub(super) fn finish(
        self,
        report: &mut LabReport,
        shown: &[String],
        profiles: Result<ProfilePair, String>,
    ) {
        report.duration_s = clock::now().saturating_duration_since(self.origin).as_secs_f64();
        self.recorder.finish(report, &shown.iter().map(String::as_str).collect::<Vec<_>>());
        let signals = self.watch.and_then(|watch| watch.stop(self.phases));
        report.evidence = Some(match (&signals, &profiles) {
            (_, Ok(_)) => EvidenceLevel::L2,
            (Some(_), Err(_)) => EvidenceLevel::L1,
            (None, Err(_)) => EvidenceLevel::L0,
        });
        report.signals = Collected::or(signals, self.why);
        let why = profiles.as_ref().err().cloned().unwrap_or_default();
        report.put_profile_pair(profiles.ok(), &why);
    }
}
