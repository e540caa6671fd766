//! What a lab command found, as one JSON document: `-o json=FILE` writes it, reports and comparisons read it.

use serde::{Deserialize, Serialize};

use crate::diagnose::Diagnosis;
use crate::laws::usl::{ScalePoint, UslFit};
use crate::profile::Profile;
use crate::report::Fact;
use crate::report::lab::LabReport;
use crate::search::{Bend, KneeInterval};
use crate::store::History;

/// Grows when a field changes its meaning; new fields do not change it.
pub const SCHEMA: u32 = 1;

/// One document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// Program and version that wrote it.
    pub generator: String,
    /// When, in UTC, such as `2026-11-30T21:04:05Z`.
    pub made_at: String,
    /// The command line that repeats it.
    pub command: String,
    /// What was tested.
    pub target: String,
    /// Machine, versions and settings.
    pub environment: Vec<Fact>,
    /// What was found.
    pub found: Found,
}

/// What was found, by the command that looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Found {
    /// `seawall lab find-max`.
    Knee(Seen<KneeInterval>),
    /// `seawall lab scale`.
    Scale(Seen<Scale>),
    /// `seawall lab profile`.
    Profiles(Vec<Profile>),
    /// `seawall lab diagnose`.
    Diagnosis(Box<Diagnosis>),
    /// `seawall lab compare`, with everything that its report shows.
    Comparison(Box<LabReport>),
    /// `seawall lab cycle`, likewise.
    Cycle(Box<LabReport>),
    /// `seawall lab history`.
    History(History),
}

/// A result, and what was seen while it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen<T> {
    /// The result. Its fields are those of the document.
    #[serde(flatten)]
    pub result: T,
    /// Load and latencies over time, signals and profiles, as the report shows them; none where only the result was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Box<LabReport>>,
}

/// How throughput grows with concurrency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The measured points, by rising concurrency.
    pub points: Vec<ScalePoint>,
    /// The law; none with fewer than six valid points.
    pub fit: Option<UslFit>,
    /// Where latency begins to grow faster than throughput; none where nothing bends.
    #[serde(default)]
    pub bend: Option<Bend>,
    /// Why there is none, or what stands between the fit and the truth.
    pub notes: Vec<String>,
}
