//! Progress of a run on standard error: a live view on a terminal, else one plain line per second.
//!
//! The view is some lines below the command, not a screen of its own: what was there before stays, a second Ctrl-C
//! leaves nothing broken behind, and the report follows in its place.

use std::io::{IsTerminal, Stderr};

use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport};
use seawall_load::Tick;

use super::live::{HEIGHT, View};
use super::text::{count, time};

/// Shows one run.
#[derive(Debug)]
pub(super) struct Progress {
    /// `None` if nobody looks at a terminal.
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    view: View,
}

impl Progress {
    /// `plain` asks for lines on a terminal, too. A terminal that does not answer gets lines.
    pub(super) fn new(title: &str, plain: bool) -> Self {
        if plain || !std::io::stderr().is_terminal() {
            return Self { live: None };
        }
        let options = TerminalOptions { viewport: Viewport::Inline(HEIGHT) };
        let terminal = Terminal::with_options(CrosstermBackend::new(std::io::stderr()), options);
        let live = terminal.ok().map(|terminal| Live { terminal, view: View::new(title) });
        Self { live }
    }

    /// Shows the second that is over.
    pub(super) fn tick(&mut self, tick: &Tick) {
        let Some(live) = &mut self.live else { return eprintln!("{}", line(tick)) };
        live.view.add(tick);
        // A terminal that has gone is no reason to end the run.
        let _ = live.terminal.draw(|frame| live.view.draw(frame));
    }

    /// Takes the view away: the report follows.
    pub(super) fn finish(self) {
        if let Some(mut live) = self.live {
            let _ = live.terminal.clear();
            let _ = live.terminal.show_cursor();
        }
    }
}

fn line(tick: &Tick) -> String {
    let planned = tick.planned_s.map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.0}"));
    let phase = if tick.warmup { "warm-up" } else { "measure" };
    format!(
        "{phase} {:>3.0}/{planned} s  {:>9} req/s  p50 {:>8}  p99 {:>8}  errors {}",
        tick.elapsed_s,
        count(tick.rps),
        time(tick.p50_us),
        time(tick.p99_us),
        tick.errors
    )
}
