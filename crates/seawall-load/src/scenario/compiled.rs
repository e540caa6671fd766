//! From a file's words to what users send: templates and rules, checked once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use seawall_core::ConfigError;

use super::expect::{Expect, Extract};
use super::file::{self, Pause};
use crate::config::in_time;
use crate::data::Table;
use crate::request::{Request, RequestTemplate};
use crate::template::{Names, Place, Template};

/// Most flows, most steps of all flows together, most names of a flow.
const MAX_FLOWS: usize = 100;
const MAX_STEPS: usize = 1_000;
const MAX_NAMES: usize = 100;
/// Stands for the target's host, which is known when the run begins.
const HOST: &str = "\0host\0";

/// A scenario, ready to be run by many users at once.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) flows: Vec<Flow>,
    pub(super) weights: u64,
    pub(super) table: Option<Arc<Table>>,
    pub(super) host: String,
    /// Visits that were begun.
    pub(super) visits: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) weight: u64,
    pub(super) steps: Vec<Step>,
    /// Values that its steps extract.
    pub(super) names: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) label: &'static str,
    pub(super) request: RequestTemplate,
    pub(super) think: Pause,
    pub(super) timeout: Duration,
    pub(super) expect: Option<Expect>,
    pub(super) extract: Vec<(usize, Extract)>,
}

impl Clone for Compiled {
    fn clone(&self) -> Self {
        let Self { flows, weights, table, host, visits: _ } = self;
        Self {
            flows: flows.clone(),
            weights: *weights,
            table: table.clone(),
            host: host.clone(),
            visits: AtomicU64::new(0),
        }
    }
}

impl Compiled {
    pub(super) fn new(file: file::File, folder: Option<&Path>) -> Result<Self, ConfigError> {
        let steps: usize = file.flow.iter().map(|flow| flow.step.len()).sum();
        for (field, count, most) in
            [("scenario.flow", file.flow.len(), MAX_FLOWS), ("scenario.flow.step", steps, MAX_STEPS)]
        {
            if !(1..=most).contains(&count) {
                return Err(ConfigError::new(field, count, format!("1 to {most}")));
            }
        }
        let path = file.data.as_ref().map(|path| folder.unwrap_or(Path::new("")).join(path));
        let table = path.as_deref().map(Table::read).transpose()?.map(Arc::new);
        let flows = file.flow.iter().map(|flow| compile_flow(&file, flow, table.as_ref()));
        let flows = flows.collect::<Result<Vec<Flow>, ConfigError>>()?;
        let weights: u64 = flows.iter().map(|flow| flow.weight).sum();
        if weights == 0 {
            return Err(ConfigError::new("scenario.flow.weight", 0, "above 0 for one flow at least"));
        }
        Ok(Self { flows, weights, table, host: String::new(), visits: AtomicU64::new(0) })
    }
}

fn compile_flow(
    file: &file::File,
    flow: &file::Flow,
    table: Option<&Arc<Table>>,
) -> Result<Flow, ConfigError> {
    if flow.step.is_empty() {
        return Err(ConfigError::new(
            "scenario.flow.step",
            format!("none in `{}`", flow.name),
            "at least one",
        ));
    }
    // A step may use what the steps before it have extracted.
    let mut names = Names { table: table.cloned(), extracted: Vec::new() };
    let mut steps = Vec::new();
    for step in &flow.step {
        let mut compiled = compile_step(file, flow, step, &names)?;
        for (name, extract) in &step.extract {
            let known = names.extracted.iter().position(|known| known == name);
            let number = known.unwrap_or_else(|| {
                names.extracted.push(name.clone());
                names.extracted.len() - 1
            });
            compiled.extract.push((number, Extract::new(extract)?));
        }
        steps.push(compiled);
    }
    if names.extracted.len() > MAX_NAMES {
        let allowed = format!("at most {MAX_NAMES} names in a flow");
        return Err(ConfigError::new("scenario.extract", names.extracted.len(), allowed));
    }
    Ok(Flow { weight: u64::from(flow.weight), steps, names: names.extracted.len() })
}

fn compile_step(
    file: &file::File,
    flow: &file::Flow,
    step: &file::Step,
    names: &Names,
) -> Result<Step, ConfigError> {
    let mut fields: BTreeMap<&String, &String> = file.headers.iter().collect();
    fields.extend(&step.headers);
    let headers: Vec<(String, String)> =
        fields.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let method = step.method.as_deref().unwrap_or(if step.body.is_some() { "POST" } else { "GET" });
    let body = Template::compile("scenario.body", step.body.as_deref().unwrap_or(""), Place::Body, names)?;
    let request = Request { method, path: &step.path, headers: &headers, body: &[] };
    let timeout = step.timeout.or(file.timeout).map_or(Duration::from_secs(5), |time| time.0);
    // Reports name it as long as the process lives; there are at most a thousand.
    let label = Box::leak(format!("{}: {}", flow.name, step.name).into_boxed_str());
    Ok(Step {
        label,
        request: RequestTemplate::compile(&request, body, HOST, names)?,
        think: step.think.unwrap_or(file.think),
        timeout: in_time("scenario.timeout", timeout, Duration::from_millis(1))?,
        expect: step.expect.clone().map(Expect::new).transpose()?,
        extract: Vec::new(),
    })
}

/// Puts the target's host where it belongs.
pub(super) fn set_host(request: Vec<u8>, host: &str) -> Vec<u8> {
    let Some(at) = memchr::memmem::find(&request, HOST.as_bytes()) else { return request };
    [&request[..at], host.as_bytes(), &request[at + HOST.len()..]].concat()
}
