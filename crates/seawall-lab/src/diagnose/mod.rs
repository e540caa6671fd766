//! Why a service is as slow as it is: signals in, ranked causes out.
//!
//! - [`model`]: the result as plain data.

pub mod model;

pub use model::{
    Cause, Diagnosis, Experiment, ExperimentResult, Finding, LevelSummary, Number, Severity, Verdict,
};
