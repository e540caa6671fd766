//! Why a service is as slow as it is: signals in, ranked causes out.
//!
//! - [`model`]: the result as plain data.
//! - [`facts`]: what the rules look at, as plain numbers; [`rules`] and [`assess`] decide. Pure.
//! - [`run`]: sends the load, watches, profiles. [`quick_ack`]: the experiment that the lab runs by itself.
//! - [`elasticity`]: the experiment on a service that the lab may start again: one capacity is changed, and the cause that
//!   names it gains or loses by what the throughput does. Pure.

pub mod assess;
pub mod elasticity;
pub mod facts;
pub mod model;
pub mod quick_ack;
mod record;
pub mod rules;
mod run;

pub use model::{
    Cause, Diagnosis, Experiment, ExperimentResult, Finding, LevelSummary, Number, Severity, Verdict,
};
pub use run::{DiagnoseConfig, DiagnoseError, Step, diagnose, diagnose_and_try, find_service};
