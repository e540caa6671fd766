//! Echo, from Debian's packages: the version that can be had without a Go module proxy, labelled as what it is.
//!
//! `bench/echo` has a program for each bench that it takes part in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup;

const PACKAGES: &str = "golang-go golang-github-labstack-echo-dev";
/// Where Debian puts the sources of Go packages.
const SOURCES: &str = "/usr/share/gocode";
const ECHO: &str = "/usr/share/gocode/src/github.com/labstack/echo/echo.go";

/// Installs what is missing if it may, and builds the program for `bench`; the label of the row, and the program.
pub(super) fn build(root: &Path, target: &Path, bench: &str) -> Result<(String, PathBuf)> {
    install()?;
    let program = target.join(format!("bench-{bench}-echo"));
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&program).arg(format!("./bench/echo/{bench}")).current_dir(root);
    // Debian's packages are no modules.
    command.env("GO111MODULE", "off").env("GOPATH", SOURCES).env("GOFLAGS", "");
    let status = command.status().context("cannot start go")?;
    if !status.success() {
        bail!("go build ended with {status}");
    }
    Ok((label()?, program))
}

fn install() -> Result<()> {
    let there = setup::is_on_path("go") && Path::new(ECHO).is_file();
    if there { Ok(()) } else { setup::install_for_a_row(PACKAGES) }
}

fn label() -> Result<String> {
    let source = std::fs::read_to_string(ECHO).with_context(|| format!("cannot read {ECHO}"))?;
    let echo = version(&source).context("Echo's source names no version")?;
    let output = Command::new("go").arg("version").output().context("cannot start go")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let go = text.split(' ').nth(2).and_then(|go| go.strip_prefix("go")).context("go names no version")?;
    Ok(format!("Echo {echo} (Debian), Go {go}"))
}

/// Of the line `Version = "4.2.1"`.
fn version(source: &str) -> Option<&str> {
    let lines = source.lines().map(str::trim);
    let mut found =
        lines.filter_map(|line| line.strip_prefix("Version")?.trim().strip_prefix("= \"")?.split('"').next());
    found.next()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_stands_in_the_source() {
        assert_eq!(
            super::version("const (\n\tVersionX = 1\n\t// Version of Echo\n\tVersion = \"4.2.1\"\n"),
            Some("4.2.1")
        );
        assert_eq!(super::version("package echo"), None);
    }
}
