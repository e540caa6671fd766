//! What a scenario file says, as it is written. Meaning and limits are the compiler's business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seawall_core::ConfigError;
use serde::Deserialize;

use crate::duration::parse_duration;

/// Most bytes of a scenario file.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The target; the command line's wins.
    pub(super) url: Option<String>,
    /// A CSV file, beside this one.
    pub(super) data: Option<PathBuf>,
    /// Fields of every request.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The pause before each step. Default none.
    #[serde(default)]
    pub(super) think: Pause,
    /// How long an answer may take. Default 5 s.
    pub(super) timeout: Option<Time>,
    pub(super) flow: Vec<Flow>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    pub(super) name: String,
    #[serde(default = "one")]
    pub(super) weight: u32,
    pub(super) step: Vec<Step>,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: String,
    /// Default GET, with a body POST.
    pub(super) method: Option<String>,
    pub(super) path: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
    pub(super) think: Option<Pause>,
    pub(super) timeout: Option<Time>,
    pub(super) expect: Option<Expect>,
    #[serde(default)]
    pub(super) extract: BTreeMap<String, Extract>,
}

/// What an answer must be. Everything that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expect {
    /// One of these. Default: below 400.
    pub(super) status: Vec<u16>,
    pub(super) body_contains: Option<String>,
    pub(super) body_matches: Option<String>,
    /// Fields and their whole values.
    pub(super) headers: BTreeMap<String, String>,
    /// JSON pointers (RFC 6901) and the values there.
    pub(super) json: BTreeMap<String, toml::Value>,
}

/// Where a value is taken from an answer: one of the three.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extract {
    /// A JSON pointer (RFC 6901).
    pub(super) json: Option<String>,
    /// The first group, or the whole match.
    pub(super) regex: Option<String>,
    /// A field's value.
    pub(super) header: Option<String>,
}

/// A time such as `500ms`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Time(pub(super) Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self)
    }
}

/// A pause: `1s`, or evenly random between two times, `500ms..2s`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pause {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl TryFrom<String> for Pause {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (from, to) = text.split_once("..").unwrap_or((&text, &text));
        let (from, to) = (parse_duration(from)?, parse_duration(to)?);
        if from <= to {
            Ok(Self { from, to })
        } else {
            Err(format!("`{text}` is no pause: the shorter time comes first"))
        }
    }
}

pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let refuse = |problem: String| {
        let value = format!("{} ({problem})", path.display());
        ConfigError::new("scenario", value, "a TOML file of at most 1 MiB that can be read")
    };
    let size = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(refuse(format!("{size} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))
}

pub(super) fn parse(text: &str) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| {
        // Its message points at the line; the first line is enough for a sentence.
        let message = error.to_string();
        ConfigError::new("scenario", message.trim_end(), "as the guide's example")
    })
}
