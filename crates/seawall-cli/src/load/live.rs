//! The live view of a run: rate and latency of the last seconds as bars, and the numbers of the last one.
//!
//! Pure: seconds in, a frame out. Left out: keys. Ctrl-C ends the run, and there is nothing else to decide.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{LineGauge, Paragraph, Sparkline, SparklineBar};
use seawall_load::{Second, Tick};

use super::text::{count, time};

/// Lines of the view.
pub(super) const HEIGHT: u16 = 11;
/// Seconds that are kept: more than a terminal has columns.
const SECONDS: usize = 512;

/// What is shown.
#[derive(Debug)]
pub(super) struct View {
    title: String,
    rows: VecDeque<Second>,
    elapsed_s: f64,
    planned_s: Option<f64>,
    sent_total: u64,
    errors_total: u64,
}

impl View {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            rows: VecDeque::new(),
            elapsed_s: 0.0,
            planned_s: None,
            sent_total: 0,
            errors_total: 0,
        }
    }

    /// A second is over.
    pub(super) fn add(&mut self, tick: &Tick) {
        (self.elapsed_s, self.planned_s, self.sent_total) = (tick.elapsed_s, tick.planned_s, tick.sent_total);
        self.add_row(*tick.second());
    }

    fn add_row(&mut self, row: Second) {
        if self.rows.len() == SECONDS {
            self.rows.pop_front();
        }
        self.errors_total += row.errors;
        self.rows.push_back(row);
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let lines = [1, 1, 1, 3, 1, 3, 1].map(Constraint::Length);
        let [title, gauge, rates, rate_bars, latencies, latency_bars, errors] =
            Layout::vertical(lines).areas(frame.area());
        frame.render_widget(Line::styled(self.title.as_str(), Style::new().bold()), title);
        self.draw_gauge(frame, gauge);
        let Some(last) = self.rows.back() else { return };
        let phase = if last.warmup { "warm-up, not counted: " } else { "" };
        let text = format!("{phase}{} req/s of {} due", count(last.rps), count(last.offered_rps));
        frame.render_widget(Paragraph::new(text), rates);
        self.draw_bars(frame, rate_bars, Color::Cyan, |row| row.rps);
        let text = format!("p50 {}   p99 {} (bars)", time(last.p50), time(last.p99));
        frame.render_widget(Paragraph::new(text), latencies);
        self.draw_bars(frame, latency_bars, Color::Yellow, |row| row.p99);
        let colour = if self.errors_total > 0 { Color::Red } else { Color::Reset };
        let text =
            format!("{} sent, {} errors", count(self.sent_total as f64), count(self.errors_total as f64));
        frame.render_widget(Paragraph::new(text).style(colour), errors);
    }

    fn draw_gauge(&self, frame: &mut Frame<'_>, area: Rect) {
        let (ratio, planned) = match self.planned_s {
            Some(planned) if planned > 0.0 => (self.elapsed_s / planned, format!("{planned:.0}")),
            _ => (0.0, "?".to_owned()),
        };
        let label = format!("{:.0}/{planned} s", self.elapsed_s);
        frame.render_widget(LineGauge::default().ratio(ratio.clamp(0.0, 1.0)).label(label), area);
    }

    /// One bar per second, the newest at the right; the warm-up is grey.
    fn draw_bars(&self, frame: &mut Frame<'_>, area: Rect, colour: Color, value: fn(&Second) -> f64) {
        let shown = self.rows.len().min(usize::from(area.width));
        let bars = self.rows.iter().skip(self.rows.len() - shown).map(|row| {
            let style = if row.warmup { Color::DarkGray } else { colour };
            SparklineBar::from(value(row) as u64).style(Some(Style::from(style)))
        });
        frame.render_widget(Sparkline::default().data(bars), area);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn second(t: f64, warmup: bool) -> Second {
        Second {
            t,
            seconds: 1.0,
            warmup,
            rps: 990.0 + t,
            offered_rps: 1_000.0,
            sent_rps: 990.0,
            p50: 80.0,
            p99: 900.0,
            errors: 1,
            good_rps: 0.0,
            success_p99: 0.0,
        }
    }

    fn drawn(view: &View, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, HEIGHT)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_last_second_is_told_in_numbers() {
        let mut view = View::new("http://h/");
        view.add_row(second(0.0, true));
        assert!(drawn(&view, 60).contains("warm-up, not counted: 990 req/s of 1,000 due"));
        view.add_row(second(1.0, false));
        let text = drawn(&view, 60);
        for part in ["http://h/", "991 req/s of 1,000 due", "p50 80 us   p99 900 us", "0 sent, 2 errors"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(!text.contains("warm-up"), "{text}");
    }

    #[test]
    fn any_number_of_seconds_fits_into_any_terminal() {
        let mut view = View::new("http://h/");
        for t in 0..2_000 {
            view.add_row(second(f64::from(t), false));
        }
        assert_eq!(view.rows.len(), SECONDS);
        for width in [1, 10, 200, 2_000] {
            assert!(!drawn(&view, width).is_empty());
        }
    }
}
