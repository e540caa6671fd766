//! Headless Chromium for tests: a page's screenshot, its DOM after the scripts ran, and what went to the console.
//!
//! A missing browser fails the test and says what to install: a test that skips itself proves nothing.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BROWSER: &str = "/usr/bin/chromium";

/// Runs the browser on `page` (a file, with `query` such as "?theme=dark" or "") in a window of this size.
fn run(page: &Path, query: &str, width: u32, height: u32, arguments: &[String]) -> Output {
    assert!(
        Path::new(BROWSER).exists(),
        "{BROWSER} is missing: install it (`apt-get install -y chromium` on Debian), then run the test again"
    );
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(BROWSER)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
        .args([
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--enable-logging=stderr",
            "--v=0",
        ])
        .args(["--virtual-time-budget=4000", "--timeout=30000"])
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}{query}", page.canonicalize().unwrap().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "the browser failed: {}", String::from_utf8_lossy(&output.stderr));
    let console: Vec<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("CONSOLE") || line.contains("Uncaught"))
        .map(str::to_owned)
        .collect();
    assert!(console.is_empty(), "the page wrote to the console: {console:#?}");
    output
}

/// The page's DOM after its scripts ran. Fails when anything was written to the console.
pub(crate) fn dom(page: &Path, width: u32) -> String {
    let output = run(page, "", width, 1000, &["--dump-dom".to_owned()]);
    String::from_utf8(output.stdout).unwrap()
}

/// A screenshot of the page as a PNG file. Fails when anything was written to the console.
pub(crate) fn screenshot(page: &Path, query: &str, (width, height): (u32, u32), png: PathBuf) -> PathBuf {
    let _ = std::fs::remove_file(&png);
    run(page, query, width, height, &[format!("--screenshot={}", png.display())]);
    png
}

/// Width and height from a PNG's head.
pub(crate) fn png_size(png: &Path) -> (u32, u32) {
    let bytes = std::fs::read(png).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n", "not a PNG: {}", png.display());
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

/// Writes a page where a frame finds it.
pub(crate) fn write(dir: &Path, page: &str) -> PathBuf {
    let file = dir.join("report.html");
    std::fs::write(&file, page).unwrap();
    file
}

/// What a page must look like, and where its pictures stay to be looked at: beside the build, not in the source tree.
pub(crate) struct Look {
    /// Of the folder of its pictures.
    pub(crate) name: &'static str,
    /// Bytes of a picture that shows something.
    pub(crate) least: u64,
}

impl Look {
    fn picture(&self, name: &str) -> PathBuf {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        std::fs::create_dir_all(&dir).unwrap();
        dir.join(name)
    }

    fn check(&self, png: &Path) {
        let bytes = std::fs::metadata(png).unwrap().len();
        assert!(bytes > self.least, "{bytes} bytes: an almost empty picture");
    }

    /// In a window of a desktop.
    pub(crate) fn on_a_desktop(&self, page: &str, theme: &str, height: u32) {
        let dir = tempfile::tempdir().unwrap();
        let page = write(dir.path(), page);
        let size = (1280, height);
        let png =
            screenshot(&page, &format!("?theme={theme}"), size, self.picture(&format!("wide-{theme}.png")));
        assert_eq!(png_size(&png), size);
        self.check(&png);
    }

    /// The narrowest window a browser opens may be wider than a phone, so the page is framed.
    pub(crate) fn on_a_phone(&self, page: &str, height: u32) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), page);
        for theme in ["light", "dark"] {
            let frame = format!(
                "<!DOCTYPE html><body style=\"margin:0\"><iframe src=\"report.html?theme={theme}\" \
                 style=\"border:0;width:420px;height:{height}px;display:block\"></iframe>"
            );
            let framed = dir.path().join("frame.html");
            std::fs::write(&framed, frame).unwrap();
            self.check(&screenshot(&framed, "", (520, height), self.picture(&format!("narrow-{theme}.png"))));
        }
    }
}
