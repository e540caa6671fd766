//! A headless Chromium that shows one page until it has reported.
//!
//! The page reports to a server of its own, so that it can tell what happens when the one under test stops.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use seawall_http::App;
use serde_json::Value;
use tempfile::TempDir;

use crate::live::{Live, wait_until};

const BROWSER: &str = "/usr/bin/chromium";

/// A browser takes its time to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// A browser under way; it is ended when this is dropped.
pub(crate) struct Chromium {
    process: Child,
    reports: Receiver<Value>,
    folder: TempDir,
    _collector: Live,
}

impl Chromium {
    /// Opens `url`, to which `report=` with the place for reports is added.
    pub(crate) fn open(url: &str) -> Self {
        Self::open_with(url, &[])
    }

    /// The same, with more arguments for the browser.
    pub(crate) fn open_with(url: &str, arguments: &[&str]) -> Self {
        assert!(Path::new(BROWSER).exists(), "{BROWSER} is missing; `cargo xtask setup` installs it");
        let (told, reports) = mpsc::sync_channel(16);
        let collector = Live::start(App::new().post("/", move |report: String| {
            let told = told.clone();
            async move {
                told.try_send(serde_json::from_str(&report)?)?;
                Ok::<_, seawall_http::Error>("")
            }
        }));
        let folder = tempfile::tempdir().unwrap();
        let glue = if url.contains('?') { '&' } else { '?' };
        let process = Command::new(BROWSER)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
            ])
            .args(["--disable-background-networking", "--enable-logging=stderr", "--v=0"])
            .args(arguments)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("{url}{glue}report={}", collector.url("/")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { process, reports, folder, _collector: collector }
    }

    /// The next report of the page.
    pub(crate) fn report(&self) -> Value {
        self.reports
            .recv_timeout(LIMIT)
            .unwrap_or_else(|_| panic!("the page reported nothing:\n{}", self.log()))
    }

    /// What the page wrote to the console, but for its last line, which says that all before it is there.
    #[track_caller]
    pub(crate) fn console(&self) -> Vec<String> {
        let lines = || {
            let log = self.log();
            let lines = log.lines().filter(|line| line.contains("CONSOLE") || line.contains("Uncaught"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        wait_until(|| lines().iter().any(|line| line.contains("the end of the page")));
        lines().into_iter().filter(|line| !line.contains("the end of the page")).collect()
    }

    fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
