//! Finding the knee: the highest rate a service takes before it breaks its service level objective.
//!
//! Four pure pieces. [`Slo`] judges one [`Measurement`]; [`KneeSearch`] says which rate to try next and, in the end,
//! between which two rates the knee lies; [`EarlyStop`] ends a probe that cannot pass any more; [`kneedle()`] finds a knee
//! where nobody named an objective. None reads a clock, sends a byte or draws a random number: whoever
//! drives the search runs the probes and hands the numbers in, so a test can drive it against a formula.
//!
//! Left out: choosing how long one probe lasts and letting the service drain between probes. The driver knows both.

mod early;
mod interval;
mod knee;
mod kneedle;
mod objectives;
mod slo;
#[cfg(test)]
mod tests;

pub use early::{EarlyStop, EarlyStopConfig, ProbeRow};
pub use interval::{Axis, KneeInterval, KneeProbe};
pub use knee::{Answer, Ending, KneeSearch, Next, ProbePoint, SearchConfig, Stage};
pub use kneedle::{Bend, CurvePoint, MIN_POINTS, kneedle};
pub use objectives::{Objective, Objectives};
pub use slo::{Estimate, Judgement, Measurement, Slo};
