//! What a run leaves behind: text, JSON, CSV, HdrHistogram, a line of JSON per second, Prometheus text, HTML.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use seawall_load::{ConfigError, Report, Slo, Tick};

use super::progress::Progress;
use super::{prometheus, text};

/// What is put out, besides the text.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Objectives, such as 'p99<50ms,p99.9<200ms,err<0.1%,rps>5000' (service.p99: from the send). Exit code 3 if one is
    /// broken, 4 if the generator was the limit, so that nothing can be said; repeat for more
    #[arg(long, value_name = "LIST")]
    slo: Vec<String>,
    /// Also write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also append the result to this CSV file, one row per run; a new file gets a line with the columns' names
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Also write both latency distributions as an HdrHistogram log (V2)
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Also write one line of JSON per second, while it runs (NDJSON)
    #[arg(long, value_name = "FILE")]
    timeseries: Option<PathBuf>,
    /// Also write the result as one HTML file with charts, which needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// On a terminal, show plain lines instead of the live view
    #[arg(long)]
    no_tui: bool,
    /// Also write the result as Prometheus text, for the textfile collector or a push
    #[arg(long, value_name = "FILE")]
    prom: Option<PathBuf>,
    /// Begin at once, without the half second of load on a server of our own that shows what this client can do
    #[arg(long)]
    pub(super) no_self_test: bool,
}

impl OutputArgs {
    pub(super) fn slos(&self) -> Result<Vec<Slo>, ConfigError> {
        let lists: Result<Vec<Vec<Slo>>, ConfigError> =
            self.slo.iter().map(|list| Slo::parse_all(list)).collect();
        Ok(lists?.concat())
    }

    /// Opens what is written while the run goes on: a file that cannot be is known before it begins.
    pub(super) fn open(&self, title: &str) -> Result<Output<'_>> {
        let series = self
            .timeseries
            .as_deref()
            .map(|path| File::create(path).map(BufWriter::new).with_context(|| cannot_write(path)));
        Ok(Output {
            args: self,
            progress: Some(Progress::new(title, self.no_tui)),
            series: series.transpose()?,
            rows: 0,
            failed: None,
        })
    }
}

/// The output of one run.
#[derive(Debug)]
pub(super) struct Output<'a> {
    args: &'a OutputArgs,
    progress: Option<Progress>,
    series: Option<BufWriter<File>>,
    /// Lines of the series that are written.
    rows: usize,
    /// Why the series ended early; it is said at the end, the run goes on.
    failed: Option<std::io::Error>,
}

impl Output<'_> {
    /// A second is over.
    pub(super) fn tick(&mut self, tick: &Tick) {
        if let Some(progress) = &mut self.progress {
            progress.tick(tick);
        }
        self.write_row(tick.second());
    }

    fn write_row(&mut self, row: &seawall_load::Second) {
        self.rows += 1;
        if let Some(series) = &mut self.series {
            let written = serde_json::to_writer(&mut *series, row)
                .map_err(std::io::Error::from)
                .and_then(|()| series.write_all(b"\n"))
                .and_then(|()| series.flush());
            if let Err(error) = written {
                self.failed = Some(error);
                self.series = None;
            }
        }
    }

    /// Takes the progress away: the report follows.
    pub(super) fn end_progress(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }

    /// Prints and writes the report.
    pub(super) fn finish(mut self, report: &Report) -> Result<()> {
        print!("{}", text::render(report));
        report.series.iter().skip(self.rows).for_each(|row| self.write_row(row));
        if let (Some(error), Some(path)) = (self.failed.take(), &self.args.timeseries) {
            return Err(error).with_context(|| cannot_write(path));
        }
        if let Some(path) = &self.args.json {
            write(path, &(serde_json::to_string_pretty(report)? + "\n"))?;
        }
        if let Some(path) = &self.args.csv {
            append_row(path, report)?;
        }
        if let Some(path) = &self.args.hdr {
            write(path, &report.hdr_log())?;
        }
        if let Some(path) = &self.args.prom {
            write(path, &prometheus::text(report))?;
        }
        if let Some(path) = &self.args.html {
            write(path, &report.html())?;
        }
        Ok(())
    }
}

fn append_row(path: &Path, report: &Report) -> Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| {
        let header = if file.metadata()?.len() == 0 { Report::csv_header() } else { String::new() };
        file.write_all((header + &report.csv_row()).as_bytes())
    });
    written.with_context(|| cannot_write(path))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
