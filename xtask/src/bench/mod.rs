//! `cargo xtask bench`: Seawall beside its peers, in one run, in turns.
//!
//! `http` has servers, `router` look-ups and `guard` the primitives of overload protection, beside others; `defaults` has
//! what each of our own protections and middlewares costs; `load` has generators; `overload` what is left under too much
//! load; `profile` has what being profiled costs; `scaling` what a second worker is worth; `render` puts their tables
//! into docs/PERFORMANCE.md.

mod build;
mod defaults;
mod echo;
mod generator;
mod guard;
mod http;
mod load;
mod machine;
mod overload;
mod process;
mod profile;
mod render;
mod router;
mod scaling;
mod stats;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

pub(crate) use defaults::{DefaultsArgs, defaults};
pub(crate) use guard::{GuardArgs, guard};
pub(crate) use http::{HttpArgs, http};
pub(crate) use load::{LoadArgs, load};
pub(crate) use overload::{OverloadArgs, overload};
pub(crate) use profile::{ProfileArgs, profile};
pub(crate) use render::{RenderArgs, render};
pub(crate) use router::{RouterArgs, router};
pub(crate) use scaling::{ScalingArgs, scaling};

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    serde_json::to_writer_pretty(file, value).with_context(|| format!("cannot write {}", path.display()))
}

/// How this program was called, without the files that it was given: where they lie is nobody else's business.
fn command_line() -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--json" | "--picture" => drop(given.next()),
            "--before" => {
                drop(given.next());
                words.push("--before PROGRAM".to_owned());
            }
            _ if word.starts_with("--json=") || word.starts_with("--picture=") => {}
            _ => words.push(word),
        }
    }
    words.join(" ")
}
