//! The load generator: its own threads and event loop, latency from the intended time, and an honest verdict.
//!
//! [`Load`] sends one request over and over, either as fast as the answers come (closed loop) or at a rate of
//! its own (open loop: constant, in stages, as a Poisson process, or at given times). [`users`] runs a population of
//! clients that decide what to send next. Both give a [`Report`] which says whether the generator itself was fit to
//! measure ([`Validity`]); [`self_test()`] says before what it can do at all.
//!
//! How it works: each thread owns its connections, an epoll instance and its counters (`engine`); a pure parser finds
//! the end of a response in whatever pieces it comes (`response`); every quarter of a second a thread hands its
//! counts to the caller's thread (`window`, `collect`), which decides when the warm-up is over (`warmup`) and judges
//! the run (`validity`).
//!
//! Left out for now: HTTP/3.

mod clock;
mod collect;
mod compile;
mod config;
mod data;
mod dial;
mod drive;
mod duration;
mod engine;
mod error;
mod form;
mod html;
mod load;
mod output;
mod random;
pub mod replay;
mod report;
mod request;
mod response;
pub mod scenario;
mod schedule;
mod self_test;
mod sink;
mod slo;
mod sys;
mod target;
mod template;
mod tls;
pub mod users;
mod validity;
mod warmup;
mod window;

pub use config::{
    LoadConfig, MAX_CONNECTIONS, MAX_DURATION, MAX_PIPELINE, MAX_RATE, MAX_STAGES, MAX_THREADS, MAX_TIMES,
    Protocol, WarmUp,
};
pub use dial::ConnectConfig;
pub use drive::Tick;
pub use duration::parse_duration;
pub use error::{ErrorClass, LoadError};
pub use form::{FormPart, FormValue};
pub use load::Load;
pub use report::{CELLS_PER_OCTAVE, CurvePoint, Good, LabelReport, Latency, Mode, Report, Second, Slice};
pub use request::Request;
pub use schedule::{Arrivals, Stage};
pub use seawall_core::{ConfigError, Histogram};
pub use self_test::{SelfTest, SelfTestConfig, self_test};
pub use sink::{MAX_SINK_CONNECTIONS, Sink, SinkConfig};
pub use slo::{Slo, SloResult};
pub use tls::TlsConfig;
pub use validity::{
    ACCEPTED_LAG_OF_USERS_US, ACCEPTED_LAG_US, MAX_CPU_SHARE, MAX_RUN_DELAY_IN_OVERLOAD, MAX_RUN_DELAY_SHARE,
    MIN_SENT_SHARE, SelfCheck, Validity, Verdict, judge,
};
