//! Why a service is as slow as it is: signals in, ranked causes out.
//!
//! - [`model`]: the result as plain data.
//! - [`facts`]: what the rules look at, as plain numbers; [`rules`] and [`assess`] decide. Pure.
//! - [`run`]: sends the load, watches, profiles. [`quick_ack`]: the experiment that the lab runs by itself.

pub mod assess;
pub mod facts;
pub mod model;
pub mod quick_ack;
pub mod rules;
mod run;

pub use model::{
    Cause, Diagnosis, Experiment, ExperimentResult, Finding, LevelSummary, Number, Severity, Verdict,
};
pub use run::{DiagnoseConfig, DiagnoseError, Step, diagnose, find_service};
