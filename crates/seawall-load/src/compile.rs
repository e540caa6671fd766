//! From the configuration to what is sent: fixed bytes where possible, else a template or a list.

use std::sync::Arc;

use seawall_core::ConfigError;

use crate::config::{LoadConfig, Protocol};
use crate::data::Table;
use crate::engine::work::{Filler, Listed, Source};
use crate::form;
use crate::random::Random;
use crate::request::{MAX_COPIED, Request, RequestTemplate};
use crate::target::Target;
use crate::template::{Names, Place, Template};

/// Most requests of a list.
const MAX_LIST: usize = 10_000_000;

/// What a run sends.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    source: What,
    /// All requests are HEAD.
    pub(crate) head: bool,
    /// Requests can be written from where they are.
    pub(crate) direct: bool,
}

#[derive(Debug, Clone)]
enum What {
    Fixed(Arc<[u8]>),
    Template(Arc<RequestTemplate>, Option<Arc<Table>>),
    List(Arc<[Listed]>),
}

impl Compiled {
    pub(crate) fn new(config: &LoadConfig, target: &Target) -> Result<Self, ConfigError> {
        let source = if config.list.is_empty() { template(config, target)? } else { list(config)? };
        let direct = config.pipeline == 1
            && config.protocol == Protocol::Http1
            && !matches!(source, What::Template(..));
        let longest = match &source {
            What::Fixed(bytes) => bytes.len(),
            What::Template(template, _) => template.len(),
            What::List(list) => list.iter().map(|listed| listed.bytes.len()).max().unwrap_or(0),
        };
        if !direct && longest.saturating_mul(config.pipeline) > MAX_COPIED {
            let value = format!("{longest} bytes, {} at once", config.pipeline);
            let allowed = format!("at most {MAX_COPIED} bytes in all with templates or pipelining");
            return Err(ConfigError::new("load.body", value, allowed));
        }
        Ok(Self { source, head: config.method == "HEAD", direct })
    }

    /// The source of one thread.
    pub(crate) fn source(&self, seed: u64, thread: usize) -> Source {
        match &self.source {
            What::Fixed(bytes) => Source::Fixed(Arc::clone(bytes)),
            What::List(list) => Source::List(Arc::clone(list)),
            What::Template(template, table) => Source::Template(Box::new(Filler {
                template: Arc::clone(template),
                table: table.clone(),
                random: Random::part(seed, thread as u64),
                scratch: Vec::new(),
            })),
        }
    }
}

fn template(config: &LoadConfig, target: &Target) -> Result<What, ConfigError> {
    let names = names(config)?;
    let mut headers = config.headers.clone();
    if config.protocol == Protocol::WebSocket {
        headers.clear(); // they belong to the handshake
        if config.body.is_empty() {
            let allowed = "a text, which is the message that is sent";
            return Err(ConfigError::new("load.body", "empty with WebSocket", allowed));
        }
    }
    if !config.keep_alive {
        headers.push(("Connection".to_owned(), "close".to_owned()));
    }
    let body = if config.form.is_empty() {
        body(config, names.as_ref())?
    } else {
        let (body, media) = form::compile(&config.form, names.as_ref())?;
        if !config.body.is_empty() {
            return Err(ConfigError::new("load.form", "given with a body", "given alone"));
        }
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            let allowed = "another field: the form sets it, with its boundary";
            return Err(ConfigError::new("load.headers", "`Content-Type: ...`", allowed));
        }
        headers.push(("Content-Type".to_owned(), media));
        body
    };
    let request = Request { method: &config.method, path: &target.path, headers: &headers, body: &[] };
    let Some(names) = names else {
        let body = body.constant().unwrap_or_default();
        return Ok(What::Fixed(Request { body, ..request }.render(&target.host)?.into()));
    };
    let template = RequestTemplate::compile(&request, body, &target.host, &names)?;
    Ok(match template.constant() {
        Some(bytes) => What::Fixed(bytes.into()),
        None => What::Template(Arc::new(template), names.table),
    })
}

/// What templates may name; `None` if there are none.
fn names(config: &LoadConfig) -> Result<Option<Names>, ConfigError> {
    let table = config.data.as_deref().map(Table::read).transpose()?.map(Arc::new);
    if table.is_some() && !config.templates {
        return Err(ConfigError::new("load.data", "given without templates", "given with templates"));
    }
    Ok(config.templates.then_some(Names { table, extracted: Vec::new() }))
}

/// The body; one that is no text is no template either.
fn body(config: &LoadConfig, names: Option<&Names>) -> Result<Template, ConfigError> {
    match (names, std::str::from_utf8(&config.body)) {
        (Some(names), Ok(text)) => Template::compile("load.body", text, Place::Body, names),
        _ => {
            let mut raw = Template::default();
            raw.push_text(&config.body);
            Ok(raw)
        }
    }
}

fn list(config: &LoadConfig) -> Result<What, ConfigError> {
    if config.list.len() > MAX_LIST {
        return Err(ConfigError::new("load.list", config.list.len(), format!("at most {MAX_LIST} requests")));
    }
    let listed =
        |bytes: &Vec<u8>| Listed { bytes: bytes.as_slice().into(), head: bytes.starts_with(b"HEAD ") };
    Ok(What::List(config.list.iter().map(listed).collect()))
}
