//! `seawall new` as a user runs it: what it writes builds, passes its own tests, and serves.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

fn seawall(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall")).args(arguments).current_dir(folder).output().unwrap()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// Where our own tests are built; what they have in common with a new service is not built twice there.
fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_seawall")).ancestors().nth(2).unwrap().to_path_buf()
}

/// Cargo on the new service, with our lock file and profile, so that nothing is resolved or built anew without need.
fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).args(["--config", "profile.dev.package.\"*\".debug=false"]);
    command.current_dir(folder).env("CARGO_TARGET_DIR", target());
    command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    command.env_remove("RUSTFLAGS").stdin(Stdio::null());
    command
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answer to `GET path`, as soon as somebody gives one; while the child lives.
fn get(child: &mut Running, addr: &str, path: &str) -> String {
    loop {
        assert!(child.0.try_wait().unwrap().is_none(), "the service has ended");
        let Ok(mut stream) = TcpStream::connect(addr) else {
            std::thread::yield_now();
            continue;
        };
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        return answer;
    }
}

#[test]
fn a_new_service_passes_its_tests_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    succeeds(&seawall(folder.path(), &["new", "my-shop"]));
    let shop = folder.path().join("my-shop");
    std::fs::copy(repository().join("Cargo.lock"), shop.join("Cargo.lock")).unwrap();
    succeeds(&cargo(&shop, &["test", "--quiet"]).output().unwrap());
    succeeds(&cargo(&shop, &["build", "--quiet"]).output().unwrap());
    // It was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let addr = format!("127.0.0.1:{port}");
    let mut command = Command::new(target().join("debug/my-shop"));
    command.env("ADDR", &addr).env("ADMIN_ADDR", "127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::null());
    let mut service = Running(command.spawn().unwrap());
    let answer = get(&mut service, &addr, "/");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("my-shop"), "{answer}");
}

#[test]
fn an_existing_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    let output = seawall(folder.path(), &["new", "shop"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));
    assert_eq!(std::fs::read_dir(folder.path().join("shop")).unwrap().count(), 0);
}

#[test]
fn a_bad_name_and_a_bad_checkout_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let name = seawall(folder.path(), &["new", "My Shop"]);
    assert_eq!(name.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&name.stderr).contains("lower-case letters"));
    let checkout = seawall(folder.path(), &["new", "shop", "--seawall", "/nowhere"]);
    assert!(String::from_utf8_lossy(&checkout.stderr).contains("no checkout of Seawall"));
    assert!(!folder.path().join("shop").exists());
}
