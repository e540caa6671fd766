//! The profiler without the framework: what a service on axum or hyper takes in.

use std::process::Command;

#[test]
fn the_profiler_alone_brings_no_framework_and_no_runtime() {
    let mut command = Command::new(env!("CARGO"));
    command.args(["tree", "--offline", "--package", "seawall-observe", "--no-default-features"]);
    command.args(["--features", "pprof", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"addr2line"), "{tree}");
    for stranger in ["seawall-http", "seawall-tasks", "hyper", "tokio", "axum", "tower-service"] {
        assert!(!names.contains(&stranger), "{stranger} came in:\n{tree}");
    }
}
