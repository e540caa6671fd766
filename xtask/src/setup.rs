//! What the check needs beyond the Rust toolchain, and how to get it on a fresh Debian machine.
//!
//! As root it installs what is missing, with apt, from crates.io and from PyPI; otherwise it says what to type. It never
//! installs a Rust toolchain: `rust-toolchain.toml` names the one to have.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A program that must be on the path, or a file that must be there.
struct Tool {
    program: &'static str,
    package: &'static str,
    reason: &'static str,
}

const TOOLS: [Tool; 19] = [
    Tool {
        program: "cc",
        package: "gcc libc6-dev",
        reason: "links every binary and compiles the embedded SQLite",
    },
    Tool {
        program: "chromium",
        package: "chromium",
        reason: "tests look at the lab's report, at WebSockets and at events in a browser",
    },
    Tool { program: "curl", package: "curl", reason: "tests download, resume and upload with it" },
    Tool { program: "wrk", package: "wrk", reason: "tests read every answer with it, pipelined ones too" },
    Tool { program: "h2load", package: "nghttp2-client", reason: "the same, on HTTP/1 and HTTP/2" },
    Tool {
        program: "go",
        package: "golang-go",
        reason: "tests talk to us with Go's own client and open profiles with `go tool pprof`",
    },
    Tool { program: "ip", package: "iproute2", reason: "a test has a network of its own" },
    Tool { program: "perf", package: "linux-perf", reason: "the lab's tests profile processes with it" },
    Tool { program: "openssl", package: "openssl", reason: "tests shake hands with it" },
    Tool { program: "/usr/sbin/nginx", package: "nginx-light", reason: "tests put it in front" },
    Tool {
        program: "/usr/lib/nginx/modules/ngx_stream_module.so",
        package: "libnginx-mod-stream",
        reason: "nginx speaks the PROXY protocol with it",
    },
    Tool { program: "/usr/sbin/haproxy", package: "haproxy", reason: "tests put it in front" },
    Tool { program: "pebble", package: "pebble", reason: "tests get certificates from it, by ACME" },
    Tool {
        program: "redis-server",
        package: "redis-server",
        reason: "tests share rate limits through private ones, and kill them",
    },
    Tool { program: "node", package: "nodejs", reason: "tests open WebSockets from Node" },
    Tool { program: "/usr/share/nodejs/ws", package: "node-ws", reason: "the WebSocket client for Node" },
    Tool {
        program: "/usr/lib/python3/dist-packages/websockets",
        package: "python3-websockets",
        reason: "tests open WebSockets from Python",
    },
    Tool {
        program: "/usr/lib/python3/dist-packages/httpx",
        package: "python3-httpx",
        reason: "tests talk to us with it",
    },
    Tool {
        program: "/usr/lib/python3/dist-packages/pip",
        package: "python3-pip",
        reason: "installs the test suites for WebSockets and API descriptions, which Debian does not package",
    },
];

/// What comes from PyPI, with all versions fixed.
struct Requirements {
    list: &'static str,
    /// Below the target folder.
    folder: &'static str,
    /// Is there once the rest is.
    package: &'static str,
}

const REQUIREMENTS: [Requirements; 2] = [
    Requirements {
        list: "crates/seawall-http/tests/clients/requirements.txt",
        folder: "tools/python",
        package: "autobahntestsuite",
    },
    Requirements {
        list: "crates/flashsale/tests/description/requirements.txt",
        folder: "tools/schemathesis",
        package: "schemathesis",
    },
];

/// Checked with Rust 1.95; any version that is already there will do. Unoptimised and without self-update (no TLS to
/// compile): a third of the work, and a test runner mostly waits.
const NEXTEST: [&str; 9] = [
    "install",
    "cargo-nextest",
    "--locked",
    "--version",
    "0.9.143",
    "--debug",
    "--no-default-features",
    "--features",
    "default-no-update",
];

/// Finds what is missing and installs it, or says how.
pub(crate) fn run(root: &Path) -> Result<()> {
    install_packages()?;
    check_components()?;
    install_nextest()?;
    install_python_packages(root)
}

/// The cargo that runs us, so that all steps use one toolchain.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn install_packages() -> Result<()> {
    let missing: Vec<_> = TOOLS.iter().filter(|tool| !is_there(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|tool| tool.package.split(' ')).collect();
    let install = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    if !is_root() || !is_on_path("apt-get") {
        bail!("missing: {}\nplease install:\n  sudo {install}", describe(&missing));
    }
    println!("installing {}", packages.join(" "));
    shell("apt-get update --quiet --quiet")?;
    shell(&install)
}

/// Installs packages that a bench needs for one of its rows, or says how.
pub(crate) fn install_for_a_row(packages: &str) -> Result<()> {
    let install = format!("apt-get install --yes --no-install-recommends {packages}");
    if !is_root() || !is_on_path("apt-get") {
        bail!("its row needs packages of Debian; please install them:\n  sudo {install}");
    }
    println!("installing {packages}");
    shell("apt-get update --quiet --quiet")?;
    shell(&install)
}

fn describe(tools: &[&Tool]) -> String {
    let each = tools.iter().map(|tool| format!("`{}` ({})", tool.program, tool.reason));
    each.collect::<Vec<_>>().join(", ")
}

/// rustfmt and clippy come with rustup's default profile, but not with its minimal one.
fn check_components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !cargo_answers(&[subcommand, "--version"]) {
            bail!(
                "`cargo {subcommand}` does not run; please install it:\n  rustup component add {component}"
            );
        }
    }
    Ok(())
}

fn install_nextest() -> Result<()> {
    if cargo_answers(&["nextest", "--version"]) {
        return Ok(());
    }
    println!("installing cargo-nextest, the test runner: some minutes, once per machine");
    let mut command = Command::new(cargo());
    command.args(NEXTEST).env("CARGO_PROFILE_DEV_DEBUG", "0").stdin(Stdio::null());
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo-nextest could not be installed ({status}); to see why:\n  cargo {}", NEXTEST.join(" "));
    }
    Ok(())
}

/// Below the target folder, where the tests that need them look: no other Python program sees them.
fn install_python_packages(root: &Path) -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    for Requirements { list, folder, package } in &REQUIREMENTS {
        let folder = target.join(folder);
        if folder.join(package).is_dir() {
            continue;
        }
        println!("installing {package} from PyPI into {}", folder.display());
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"]);
        command.arg(root.join(list)).arg("--target").arg(&folder).stdin(Stdio::null());
        let status = command.status().context("cannot start /usr/bin/python3")?;
        if !status.success() {
            bail!("pip could not install {list} ({status})");
        }
    }
    Ok(())
}

fn cargo_answers(arguments: &[&str]) -> bool {
    let mut command = Command::new(cargo());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') { Path::new(program).exists() } else { is_on_path(program) }
}

pub(crate) fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The owner of our own /proc entry is our effective user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0)
}

fn shell(line: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_reason() {
        let tool = Tool { program: "cc", package: "gcc", reason: "links" };
        assert_eq!(describe(&[&tool]), "`cc` (links)");
    }

    #[test]
    fn what_is_on_the_path_is_found() {
        assert!(is_on_path("sh"));
        assert!(!is_on_path("no-such-program-anywhere"));
        assert!(is_there("/proc/self") && !is_there("/no/such/file"));
    }
}
