//! Every file that the fuzzer has kept, again: what was found once stays found.

use std::fs;
use std::path::Path;

use crate::fuzzed::TARGETS;

#[track_caller]
fn replay(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display()); // shown if it panics
        target(&fs::read(file).unwrap());
    }
}

#[test]
fn of_request_streams() {
    replay("http1");
}
#[test]
fn of_request_streams_beside_hyper() {
    replay("differential");
}
#[test]
fn of_paths() {
    replay("path");
}
#[test]
fn of_queries() {
    replay("query");
}
#[test]
fn of_forms() {
    replay("form");
}
#[test]
fn of_multipart_bodies() {
    replay("multipart");
}
#[test]
fn of_ranges() {
    replay("range");
}
#[test]
fn of_cookies() {
    replay("cookie");
}
#[test]
fn of_fields() {
    replay("fields");
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(known, _)| *known == name), "{name}");
    }
}
