//! Progress of a run on standard error: a bar on a terminal, else one plain line per second.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use seawall_load::Tick;

use super::text::{count, time};

/// Shows one run.
#[derive(Debug)]
pub(super) struct Progress {
    /// `None` if nobody looks at a terminal.
    bar: Option<ProgressBar>,
}

/// Units of the bar per second.
const STEPS: f64 = 10.0;

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("  {bar:30} {msg}").expect("the template is a constant");
            ProgressBar::no_length().with_style(style)
        });
        Self { bar }
    }

    /// Shows the second that is over.
    pub(super) fn tick(&mut self, tick: &Tick) {
        let planned = tick.planned_s.map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.0}"));
        let phase = if tick.warmup { "warm-up" } else { "measure" };
        let line = format!(
            "{phase} {:>3.0}/{planned} s  {:>9} req/s  p50 {:>8}  p99 {:>8}  errors {}",
            tick.elapsed_s,
            count(tick.rps),
            time(tick.p50_us),
            time(tick.p99_us),
            tick.errors
        );
        match &self.bar {
            None => eprintln!("{line}"),
            Some(bar) => {
                if let Some(seconds) = tick.planned_s {
                    bar.set_length((seconds * STEPS) as u64);
                }
                bar.set_position((tick.elapsed_s * STEPS) as u64);
                bar.set_message(line);
            }
        }
    }

    /// Takes the bar away: the report follows.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
