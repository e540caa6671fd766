//! The lab's report: one self-contained HTML file out of a [`LabReport`].
//!
//! [`lab_html`] is pure. Fourteen sections, always in the same order, so that two reports can be read side by side; a section
//! without data is one line that says why.

mod build;
mod data;
mod diagnosis;
mod flame;
mod forest;
mod latency;
mod load;
mod page;
mod record;
mod sides;
mod strip;
mod tables;
mod usage;
mod water;

pub use build::{mood_of, of_artifact};
pub use data::{
    Collected, Endpoint, ErrorCount, HeatColumn, KernelHistogram, LabReport, Mood, NamedProfile, Objective,
    ProfilePair, Spectrum, StageTime, WaterStage, Waterfall,
};
pub(super) use diagnosis::cards;
pub(super) use forest::figure as forest_figure;
pub use page::lab_html;
pub use record::Recorder;
pub use water::waterfalls;
