//! What the person at the terminal sees: one bar per phase on a terminal, plain lines anywhere else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of a bar: fine enough that it never seems to stand still.
const STEPS: u64 = 1000;

/// The phases' display.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
}

/// One phase that is under way. Ends with [`Phase::done`]; dropped without, its bar just goes.
#[derive(Debug)]
pub(crate) struct Phase {
    bar: Option<ProgressBar>,
    name: String,
}

/// A line on standard output. Nobody reading it is no reason to end the run.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Progress {
    /// Bars if the standard error is a terminal, lines on standard output if not.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// Begins a phase.
    pub(crate) fn phase(&self, name: &str) -> Phase {
        if !self.terminal {
            say(&format!("{name} ..."));
            return Phase { bar: None, name: name.to_owned() };
        }
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        let style = "{spinner:.cyan} {prefix:<22} {bar:28.cyan/blue.dim} {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("a template that a test has rendered"));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Phase { bar: Some(bar), name: name.to_owned() }
    }
}

impl Phase {
    /// Shows how far the phase is, 0 to 1, and what it does at the moment. Lines do not show this.
    pub(crate) fn at(&self, share: f64, doing: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_position((share.clamp(0.0, 1.0) * STEPS as f64) as u64);
            bar.set_message(doing.into());
        }
    }

    /// Ends the phase with what came of it.
    pub(crate) fn done(self, result: &str) {
        match self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                eprintln!("✓ {:<22} {result}", self.name);
            }
            None => say(&format!("{}: {result}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_can_be_drawn() {
        let phase = Progress { terminal: true }.phase("A phase");
        phase.at(0.5, "half");
        phase.at(7.0, "beyond its end");
        phase.done("well");
    }
}
