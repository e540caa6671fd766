//! Tests of the response parser: examples of every framing, and any split and any bytes.

use proptest::prelude::*;

use super::*;

/// Status, body, keep-alive and surplus of the first response; or why there is none.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    Answer { status: u16, body: Vec<u8>, keep_alive: bool, surplus: usize },
    Broken(Broken),
    Cut(AtEof),
}

/// Feeds `input` in pieces that end at the given places.
fn read(input: &[u8], cuts: &[usize], head_only: bool, learned: &mut Learned) -> Read {
    let (mut parser, mut kept) = (Parser::new(head_only), Kept::default());
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([input.len()]).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        match parser.feed(&input[from..to], learned, Some(&mut kept)) {
            Ok(Progress::More) => from = to,
            Ok(Progress::Done(used)) => {
                return answer(&parser, kept, input.len() - from - used);
            }
            Err(broken) => return Read::Broken(broken),
        }
    }
    match parser.eof() {
        AtEof::Complete => answer(&parser, kept, 0),
        cut => Read::Cut(cut),
    }
}

fn answer(parser: &Parser, kept: Kept, surplus: usize) -> Read {
    Read::Answer { status: parser.status(), body: kept.body, keep_alive: parser.keep_alive(), surplus }
}

fn check(input: &str, status: u16, body: &str, keep_alive: bool) {
    let expected = Read::Answer { status, body: body.as_bytes().to_vec(), keep_alive, surplus: 0 };
    assert_eq!(read(input.as_bytes(), &[], false, &mut Learned::default()), expected, "{input:?}");
}

fn check_broken(input: &str, broken: Broken) {
    assert_eq!(
        read(input.as_bytes(), &[], false, &mut Learned::default()),
        Read::Broken(broken),
        "{input:?}"
    );
}

fn check_cut(input: &str, cut: AtEof) {
    assert_eq!(read(input.as_bytes(), &[], false, &mut Learned::default()), Read::Cut(cut), "{input:?}");
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKS: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n";

#[test]
fn a_length_frames() {
    check(PLAIN, 200, "hello", true);
}

#[test]
fn chunks_frame() {
    check(CHUNKS, 200, "hello world", true);
}

#[test]
fn trailers_are_read_over() {
    check("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n0\r\na: b\r\n\r\n", 200, "", true);
}

#[test]
fn the_end_of_the_connection_frames() {
    check("HTTP/1.1 200 OK\r\n\r\nall of it", 200, "all of it", false);
}

#[test]
fn no_content_has_no_body() {
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true);
}

#[test]
fn not_modified_has_no_body_though_it_has_a_length() {
    check("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, "", true);
}

#[test]
fn close_is_heard() {
    check("HTTP/1.1 503 Busy\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n", 503, "", false);
}

#[test]
fn version_1_0_closes_unless_it_says_otherwise() {
    check("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
    check("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", true);
}

#[test]
fn interim_answers_are_skipped() {
    check(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        200,
        "x",
        true,
    );
}

#[test]
fn bare_newlines_end_a_head() {
    check("HTTP/1.1 200 OK\nContent-Length: 1\n\nx", 200, "x", true);
}

#[test]
fn equal_lengths_may_repeat() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, "x", true);
}

#[test]
fn contradictions_are_malformed() {
    check_broken("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", Broken::Malformed);
    check_broken(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Broken::Malformed,
    );
    check_broken("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Broken::Malformed);
}

#[test]
fn bad_lengths_are_malformed() {
    for length in ["-1", "+1", "1 2", "0x1", "", "99999999999999999999999"] {
        check_broken(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nx"), Broken::Malformed);
    }
}

#[test]
fn bad_chunks_are_malformed() {
    for chunks in [
        "\r\n",
        "g\r\n",
        "5\nhello",
        "5\r\nhelloX",
        "1\r\nxx",
        "0\r\nno colon\r\n\r\n",
        "0\r\n\n",
        "fffffffffffffffff\r\n",
    ] {
        let input = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        check_broken(&input, Broken::Malformed);
    }
}

#[test]
fn another_protocol_is_malformed_at_once() {
    check_broken("SSH-2.0-OpenSSH", Broken::Malformed);
    check_broken("HTTP/2 200\r\n", Broken::Malformed);
    check_broken("\r\nHTTP/1.1 200 OK\r\n", Broken::Malformed);
}

#[test]
fn an_unasked_upgrade_is_malformed() {
    check_broken("HTTP/1.1 101 Switching Protocols\r\n\r\n", Broken::Malformed);
}

#[test]
fn a_large_head_is_refused() {
    let line = format!("X: {}\r\n", "x".repeat(MAX_HEAD));
    check_broken(&format!("HTTP/1.1 200 OK\r\n{line}"), Broken::TooLarge);
    check_broken(&format!("HTTP/1.1 200 OK\r\n{line}\r\n"), Broken::TooLarge);
    check_broken(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)), Broken::TooLarge);
}

#[test]
fn the_end_in_the_middle_is_early() {
    check_cut("", AtEof::BeforeResponse);
    check_cut("HTTP/1.1 200 OK\r\nCon", AtEof::Early);
    check_cut(&PLAIN[..PLAIN.len() - 1], AtEof::Early);
    check_cut(&CHUNKS[..CHUNKS.len() - 1], AtEof::Early);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let expected = Read::Answer { status: 200, body: Vec::new(), keep_alive: true, surplus: 0 };
    assert_eq!(read(head.as_bytes(), &[], true, &mut Learned::default()), expected);
}

#[test]
fn a_learned_head_is_the_same_again_and_a_different_one_is_not_taken_for_it() {
    let mut learned = Learned::default();
    for _ in 0..2 {
        assert!(matches!(read(PLAIN.as_bytes(), &[], false, &mut learned), Read::Answer { status: 200, .. }));
    }
    let other = PLAIN.replace("200 OK", "500 No").replace("hello", "other");
    let Read::Answer { status, body, .. } = read(other.as_bytes(), &[], false, &mut learned) else {
        panic!()
    };
    assert_eq!((status, body.as_slice()), (500, b"other".as_slice()));
}

#[test]
fn kept_bodies_are_bounded() {
    let input = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(MAX_KEPT_BODY + 1));
    check_broken(&input, Broken::TooLarge);
    let (mut parser, mut learned) = (Parser::new(false), Learned::default());
    assert_eq!(parser.feed(input.as_bytes(), &mut learned, None), Ok(Progress::More));
}

/// Responses that are whole, wrong, or cut, of every framing.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let length = "[a-z\r\n]{0,40}".prop_map(|body| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: x\r\n\r\n{body}", body.len())
    });
    let chunked = proptest::collection::vec("[a-z\r\n]{1,20}", 0..5).prop_map(|chunks| {
        let chunks: String =
            chunks.iter().map(|chunk| format!("{:x};e\r\n{chunk}\r\n", chunk.len())).collect();
        format!("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\nt: u\r\n\r\n")
    });
    let close = "[a-z\r\n]{0,40}".prop_map(|body| format!("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{body}"));
    let interim = length.clone().prop_map(|last| format!("HTTP/1.1 100 Continue\r\n\r\n{last}"));
    let noise = "[HTP/1. 0-9a-z:\r\n]{0,60}".prop_map(|noise| format!("HTTP/1.1 200 OK\r\n{noise}"));
    let whole = prop_oneof![length, chunked, close, interim, noise].prop_map(String::into_bytes);
    (whole, any::<prop::sample::Index>(), any::<u8>(), 0..4u8).prop_map(|(mut bytes, at, byte, what)| {
        let at = at.index(bytes.len());
        match what {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            2 => bytes.extend_from_slice(PLAIN.as_bytes()),
            _ => {}
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_split_gives_the_same_result(
        input in responses(), cuts in proptest::collection::vec(any::<usize>(), 0..8), head_only: bool,
    ) {
        let whole = read(&input, &[], head_only, &mut Learned::default());
        prop_assert_eq!(&read(&input, &cuts, head_only, &mut Learned::default()), &whole);
        let every: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&read(&input, &every, head_only, &mut Learned::default()), &whole);
        // And with the head learned before.
        let mut learned = Learned::default();
        let _ = read(&input, &[], head_only, &mut learned);
        prop_assert_eq!(&read(&input, &cuts, head_only, &mut learned), &whole);
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), cuts in proptest::collection::vec(any::<usize>(), 0..4),
    ) {
        let _ = read(&bytes, &cuts, false, &mut Learned::default());
        let chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes.as_slice()].concat();
        let _ = read(&chunked, &cuts, false, &mut Learned::default());
    }
}
