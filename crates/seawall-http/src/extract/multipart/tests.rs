//! The parser against scripts, a naive encoder, and another crate's parser.

use proptest::prelude::*;

use super::limits::MultipartConfig;
use super::parser::{Fault, Parser, Step};
use super::*;

const LIMITS: MultipartConfig = MultipartConfig {
    total_bytes: None,
    part_bytes: 64,
    parts: 3,
    head_bytes: 128,
    file_name_bytes: 16,
    text_bytes: 64,
    memory_bytes: 8,
    temp_dir: None,
};

/// A part with its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whole {
    name: String,
    file_name: Option<String>,
    contents: Vec<u8>,
}

/// Takes `body` apart, `piece` bytes at a time; how it ended, and how much was ever kept.
fn take_apart(body: &[u8], piece: usize, limits: &MultipartConfig) -> (Vec<Whole>, Result<(), Fault>, usize) {
    let mut parser = Parser::new("b", limits);
    let mut pieces = body.chunks(piece.max(1));
    let (mut parts, mut kept): (Vec<Whole>, usize) = (Vec::new(), 0);
    loop {
        match parser.step() {
            Ok(Step::Part(head)) => {
                parts.push(Whole { name: head.name, file_name: head.file_name, contents: Vec::new() });
            }
            Ok(Step::Data(bytes)) => {
                assert!(!bytes.is_empty());
                parts.last_mut().unwrap().contents.extend_from_slice(&bytes);
            }
            Ok(Step::PartEnd) => {}
            Ok(Step::NeedMore) => {
                kept = kept.max(parser.kept());
                match pieces.next() {
                    Some(piece) => parser.feed(piece),
                    None => parser.end(),
                }
            }
            Ok(Step::End) => return (parts, Ok(()), kept),
            Err(fault) => {
                assert_eq!(parser.step().unwrap_err(), fault, "a fault stays");
                return (parts, Err(fault), kept);
            }
        }
    }
}

/// One line per part, however the body is cut.
#[track_caller]
fn check(body: &str, expected: &[&str]) {
    for piece in [1, 2, 3, 7, body.len()] {
        let (parts, end, _) = take_apart(body.as_bytes(), piece, &LIMITS);
        let mut found: Vec<_> = parts
            .iter()
            .map(|Whole { name, file_name, contents }| {
                let file_name = file_name.as_ref().map(|name| format!("({name})")).unwrap_or_default();
                format!("{name}{file_name}={}", String::from_utf8_lossy(contents))
            })
            .collect();
        if let Err(fault) = end {
            found.push(format!("{fault:?}"));
        }
        assert_eq!(found, expected, "in pieces of {piece}");
    }
}

const HEAD: &str = "Content-Disposition: form-data; name=";

#[test]
fn parts_come_in_their_order() {
    check(
        &format!("--b\r\n{HEAD}a\r\n\r\n1\r\n--b\r\n{HEAD}c; filename=d\r\n\r\n2\r\n3\r\n--b--\r\n"),
        &["a=1", "c(d)=2\r\n3"],
    );
}
#[test]
fn a_part_may_be_empty() {
    check(&format!("--b\r\n{HEAD}a\r\n\r\n\r\n--b--"), &["a="]);
}
#[test]
fn there_may_be_no_parts() {
    check("--b--", &[]);
    check("--b--\r\nanything behind", &[]);
}
#[test]
fn what_is_before_the_first_boundary_is_skipped() {
    check(&format!("a preamble\r\n\r\n--b \t\r\n{HEAD}a\r\n\r\n1\r\n--b--"), &["a=1"]);
}
#[test]
fn what_looks_like_a_boundary_is_contents() {
    check(&format!("--b\r\n{HEAD}a\r\n\r\n--b\r\r\n--\r\n-b\n--b\r\n--b--"), &["a=--b\r\r\n--\r\n-b\n--b"]);
}
#[test]
fn a_body_without_its_end_is_incomplete() {
    for body in ["", "--b", "--b\r\n", "--b-"] {
        check(body, &["Incomplete"]);
    }
    check(&format!("--b\r\n{HEAD}a\r\n"), &["Incomplete"]);
    check(&format!("--b\r\n{HEAD}a\r\n\r\n"), &["a=", "Incomplete"]);
}
#[test]
fn a_body_that_is_something_else_is_malformed() {
    check(&"x".repeat(200), &[r#"Malformed("begins with no boundary")"#]);
    check("--bc\r\n", &[r#"Malformed("has a boundary that goes on")"#]);
    check("--b\r\nnonsense\r\n\r\n", &[r#"BadHead { part: 1, problem: "has a malformed header" }"#]);
    check("--b\r\n\r\n\r\n--b--", &[r#"BadHead { part: 1, problem: "has not one Content-Disposition" }"#]);
}
#[test]
fn the_number_of_parts_is_bound() {
    let parts = |n: usize| format!("--b\r\n{HEAD}a\r\n\r\n\r\n").repeat(n) + "--b--";
    check(&parts(3), &["a=", "a=", "a="]);
    check(&parts(4), &["a=", "a=", "a=", "TooManyParts { limit: 3 }"]);
}
#[test]
fn the_size_of_a_part_is_bound() {
    let part = |n: usize| format!("--b\r\n{HEAD}a\r\n\r\n{}\r\n--b--", "x".repeat(n));
    check(&part(64), &[&format!("a={}", "x".repeat(64))]);
    let (_, end, _) = take_apart(part(65).as_bytes(), 1, &LIMITS);
    assert_eq!(end, Err(Fault::PartTooLarge { name: "a".to_owned(), limit: 64 }));
}
#[test]
fn the_head_of_a_part_is_bound() {
    let part = |n: usize| format!("--b\r\n{HEAD}a\r\nX: {}\r\n\r\n\r\n--b--", "x".repeat(n));
    check(&part(80), &["a="]);
    check(&part(90), &["HeadTooLarge { part: 1, limit: 128 }"]);
    check(&part(900), &["HeadTooLarge { part: 1, limit: 128 }"]);
}
#[test]
fn the_name_of_a_file_is_bound() {
    let part = |n: usize| format!("--b\r\n{HEAD}a; filename={}\r\n\r\n\r\n--b--", "x".repeat(n));
    check(&part(16), &[&format!("a({})=", "x".repeat(16))]);
    check(&part(17), &[r#"FileNameTooLong { name: "a", limit: 16 }"#]);
}

/// Writes a form as a client would, and nothing that only this parser needs.
fn encoded(parts: &[Whole]) -> Vec<u8> {
    let mut body = Vec::new();
    for Whole { name, file_name, contents } in parts {
        body.extend_from_slice(format!("--b\r\n{HEAD}\"{name}\"").as_bytes());
        if let Some(file_name) = file_name {
            body.extend_from_slice(format!("; filename=\"{file_name}\"").as_bytes());
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(contents);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

/// Contents that are made of what boundaries are made of, but have none.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n--".to_vec()),
        Just(b"--b".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..9),
    ];
    let all = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    all.prop_filter("has a boundary", |all| memchr::memmem::find(all, b"\r\n--b").is_none())
}

fn parts() -> impl Strategy<Value = Vec<Whole>> {
    let part = ("[a-z]{1,4}", proptest::option::of("[a-z. ]{0,6}"), contents());
    let part = part.prop_map(|(name, file_name, contents)| Whole { name, file_name, contents });
    proptest::collection::vec(part, 0..5)
}

fn wide() -> MultipartConfig {
    MultipartConfig::default()
}

/// What multer makes of it.
fn oracle(body: Vec<u8>) -> Option<Vec<Whole>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let stream = futures_util::stream::iter([std::io::Result::Ok(Bytes::from(body))]);
        let mut multipart = multer::Multipart::new(stream, "b");
        let mut parts = Vec::new();
        while let Some(field) = multipart.next_field().await.ok()? {
            let (name, file_name) = (field.name()?.to_owned(), field.file_name().map(str::to_owned));
            parts.push(Whole { name, file_name, contents: field.bytes().await.ok()?.to_vec() });
        }
        Some(parts)
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(parts in parts(), piece in 1_usize..40) {
        let (found, end, kept) = take_apart(&encoded(&parts), piece, &wide());
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(&found, &parts);
        prop_assert!(kept <= 80 + piece, "a parser that keeps up keeps a head at most, not {kept} bytes");
    }
    #[test]
    fn another_parser_reads_the_same(parts in parts()) {
        let body = encoded(&parts);
        prop_assert_eq!(Some(take_apart(&body, 11, &wide()).0), oracle(body));
    }
    /// However a body is cut short before its last boundary, what was complete is the same, and the end is a fault.
    #[test]
    fn a_body_cut_short_is_never_complete(parts in parts(), cut in 0.0..1.0, piece in 1_usize..40) {
        let body = encoded(&parts);
        let last = body.len() - b"--\r\n".len();
        let cut = (last as f64 * cut) as usize;
        let (found, end, _) = take_apart(&body[..cut], piece, &wide());
        prop_assert_eq!(end, Err(Fault::Incomplete));
        prop_assert!(found.len() <= parts.len());
        for (found, part) in found.iter().zip(&parts) {
            prop_assert!(part.contents.starts_with(&found.contents) && part.name == found.name);
        }
    }
    #[test]
    fn any_bytes_are_taken_apart_without_a_panic(
        body in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'),
        ], 0..200),
        piece in 1_usize..40,
    ) {
        let _ = take_apart(&body, piece, &LIMITS);
        for begin in ["--b\r\n".to_owned(), format!("--b\r\n{HEAD}a\r\n\r\n")] {
            let begun = [begin.as_bytes(), &body].concat();
            let whole = take_apart(&begun, begun.len(), &wide());
            let cut = take_apart(&begun, piece, &wide());
            prop_assert_eq!((whole.0, whole.1), (cut.0, cut.1), "however it is cut");
        }
    }
    #[test]
    fn a_changed_byte_never_panics(parts in parts(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = encoded(&parts);
        let at = at.index(body.len());
        body[at] = byte;
        let _ = take_apart(&body, 7, &wide());
    }
}
