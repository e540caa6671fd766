//! One self-contained HTML file out of a plain [`Report`].
//!
//! [`html`] is a pure function: the same report gives the same bytes. The page needs no network: style, script, charts
//! and the data itself are inside. It reads in light and dark, on a phone and on paper, and without JavaScript
//! (the script only adds read-outs, zoom and the theme switch).

mod chart;
mod checks;
mod cycle;
mod data;
mod format;
mod knee;
pub mod lab;
mod page;
mod resources;
mod sale;

pub use data::{
    AtKnee, Check, Cost, Cycle, Fact, Gauge, KneePhase, LoadPoint, Phase, Probe, Quantile, Report,
    ResourcePoint, Resources, Sale, SalePoint, Validity, Waiting,
};
pub use page::html;
