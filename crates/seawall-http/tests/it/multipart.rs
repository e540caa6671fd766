//! Multipart forms: part by part, collected, inside `Bind`, and over a socket whose client goes away.

use std::io::{Read as _, Write as _};
use std::path::Path as FilePath;

use bytes::Bytes;
use seawall_http::extract::{Part, Upload};
use seawall_http::testing::{Multipart as Form, TestClient, TestResponse};
use seawall_http::{
    App, Bind, Context, Extract as _, Multipart, MultipartConfig, MultipartForm, MultipartLimits, Result,
    RouteOptions as _, Valid,
};
use serde::Deserialize;

use crate::block_on;
use crate::live::{Live, read_until, wait_until};

#[track_caller]
fn post(app: App, form: Form) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    block_on(client.post("/").multipart(form).into_future())
}

#[track_caller]
fn check(app: App, form: Form, status: u16, body: &str) {
    let answer = post(app, form);
    assert_eq!((answer.status().as_u16(), answer.text()), (status, body));
}

fn limits(config: &MultipartConfig) -> MultipartLimits {
    MultipartLimits::new(config).unwrap()
}

/// What a part says about itself, and its size.
async fn described(mut part: Part<'_>) -> Result<String> {
    let mut size = 0;
    while let Some(chunk) = part.chunk().await? {
        size += chunk.len();
    }
    let (name, file, kind) = (part.name(), part.file_name(), part.content_type());
    Ok(format!("{name} {file:?} {:?} {kind:?} {size};", part.safe_file_name()))
}

async fn streamed(mut parts: Multipart) -> Result<String> {
    let mut all = String::new();
    while let Some(part) = parts.next_part().await? {
        all += &described(part).await?;
    }
    Ok(all)
}

#[test]
fn parts_are_streamed_with_what_they_say() {
    let form = Form::new().text("title", "a \u{e9}").file("f", "../x.png", "image/png", &[7; 1000]);
    let body = r#"title None None None 4;f Some("../x.png") Some("x.png") Some("image/png") 1000;"#;
    check(App::new().post("/", streamed), form, 200, body);
}
#[test]
fn what_is_not_read_of_a_part_is_skipped() {
    let names = async |mut parts: Multipart| -> Result<String> {
        let mut names = Vec::new();
        while let Some(mut part) = parts.next_part().await? {
            names.push(part.name().to_owned());
            if part.name() == "b" {
                assert!(part.chunk().await?.is_some());
            }
        }
        Ok(names.join(" "))
    };
    let form = Form::new().text("a", "1").file("b", "b", "x/y", &[0; 100_000]).text("c", "");
    check(App::new().post("/", names), form, 200, "a b c");
}
#[test]
fn a_part_is_read_as_bytes_or_text() {
    let read = async |mut parts: Multipart| -> Result<String> {
        let bytes = parts.next_part().await?.unwrap().bytes().await?;
        let text = parts.next_part().await?.unwrap().text().await?;
        assert!(parts.next_part().await?.is_none() && parts.next_part().await?.is_none());
        Ok(format!("{bytes:?} {text}"))
    };
    let form = |bytes: &[u8]| Form::new().file("a", "a", "x/y", b"\xff").file("b", "b", "text/plain", bytes);
    check(App::new().post("/", read), form(b"t"), 200, r#"b"\xff" t"#);
    let refusal = r#"{"message":"the form is not what was expected","fields":[{"field":"b","message":"is not UTF-8"}]}"#;
    check(App::new().post("/", read), form(b"\xff"), 422, refusal);
}
#[test]
fn headers_of_a_part_are_there() {
    let first = async |mut parts: Multipart| -> Result<String> {
        let part = parts.next_part().await?.unwrap();
        Ok(format!("{:?}", part.headers()["content-type"]))
    };
    check(App::new().post("/", first), Form::new().file("a", "a", "x/y; z=1", b""), 200, r#""x/y; z=1""#);
}

/// Sends `body` under this content type.
fn raw(app: App, kind: &str, body: &str) -> TestResponse {
    let client = TestClient::new(app).unwrap();
    block_on(client.post("/").header("content-type", kind).body(body.to_owned()).into_future())
}

#[test]
fn another_content_type_is_415() {
    for kind in ["application/json", "multipart/mixed; boundary=b", "text/plain"] {
        let answer = raw(App::new().post("/", streamed), kind, "");
        assert_eq!(answer.status(), 415);
        assert!(answer.text().contains("must be multipart/form-data"), "{}", answer.text());
    }
    assert_eq!(crate::send(App::new().post("/", streamed), "POST / x").status(), 415);
}
#[test]
fn what_is_malformed_is_400_and_says_what() {
    let head = "Content-Disposition: form-data; name=a";
    for (kind, body, field, problem) in [
        ("multipart/form-data", String::new(), "content-type", "has no boundary"),
        ("multipart/form-data; boundary=b", String::new(), "body", "ended before its last boundary"),
        (
            "multipart/form-data; boundary=b",
            format!("--b\r\n{head}\r\n\r\nx"),
            "body",
            "ended before its last boundary",
        ),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nA: b\r\n\r\n".to_owned(),
            "part 1",
            "has not one Content-Disposition",
        ),
        ("multipart/form-data; boundary=b", "--bc\r\n".to_owned(), "body", "has a boundary that goes on"),
    ] {
        let answer = raw(App::new().post("/", streamed), kind, &body);
        let expected = format!(
            r#"{{"message":"the multipart body is malformed","fields":[{{"field":"{field}","message":"{problem}"}}]}}"#
        );
        assert_eq!((answer.status().as_u16(), answer.text()), (400, &*expected));
    }
}
#[test]
fn every_limit_names_itself_and_the_part() {
    let config = MultipartConfig {
        part_bytes: 10,
        parts: 2,
        head_bytes: 100,
        file_name_bytes: 5,
        ..MultipartConfig::default()
    };
    let app = || App::new().post("/", streamed.with(limits(&config)));
    let refused = |form: Form, status: u16, field: &str, problem: &str| {
        let answer = post(app(), form);
        assert_eq!(answer.status().as_u16(), status, "{}", answer.text());
        let expected = format!(r#"[{{"field":"{field}","message":"{problem}"}}]"#);
        assert!(answer.text().contains(&expected), "{}", answer.text());
    };
    check(
        app(),
        Form::new().text("a", "0123456789").text("b", ""),
        200,
        "a None None None 10;b None None None 0;",
    );
    refused(Form::new().text("a", "0123456789x"), 413, "a", "is larger than 10 bytes");
    refused(Form::new().text("a", "").text("b", "").text("c", ""), 413, "body", "has more than 2 parts");
    refused(
        Form::new().text("a", "").text(&"b".repeat(100), ""),
        413,
        "part 2",
        "has headers of more than 100 bytes",
    );
    refused(Form::new().file("a", "abcdef", "x/y", b""), 400, "a", "has a file name of more than 5 bytes");
}
#[test]
fn the_body_limit_counts_until_another_total_is_asked_for() {
    let form = || Form::new().file("a", "a", "x/y", &vec![0; 3 << 20]);
    let refusal = r#"{"message":"the body is larger than 2097152 bytes"}"#;
    check(App::new().post("/", streamed), form(), 413, refusal);
    let part_only = MultipartConfig { part_bytes: 4 << 20, ..MultipartConfig::default() };
    check(App::new().post("/", streamed.with(limits(&part_only))), form(), 413, refusal);
    let total = MultipartConfig { total_bytes: Some(4 << 20), ..MultipartConfig::default() };
    let body = r#"a Some("a") Some("a") Some("x/y") 3145728;"#;
    check(App::new().post("/", streamed.with(limits(&total))), form(), 200, body);
    let small = MultipartConfig { total_bytes: Some(100), ..MultipartConfig::default() };
    check(
        App::new().post("/", streamed.with(limits(&small))),
        form(),
        413,
        r#"{"message":"the body is larger than 100 bytes"}"#,
    );
}

#[derive(Debug, Deserialize, garde::Validate)]
struct Profile {
    #[garde(length(min = 2))]
    name: String,
    #[garde(skip)]
    age: Option<u8>,
    #[garde(skip)]
    #[serde(default)]
    tags: Vec<String>,
}

/// What was collected.
async fn collected(MultipartForm { fields, files }: MultipartForm<Profile>) -> Result<String> {
    let mut text = format!("{:?} {:?} {:?}", fields.name, fields.age, fields.tags);
    for file in &files {
        let sum: u64 = file.bytes().await?.iter().map(|&byte| u64::from(byte)).sum();
        let place = if file.path().is_some() { "disk" } else { "memory" };
        text += &format!(
            "; {} {} {:?} {} {sum} {place}",
            file.name(),
            file.file_name(),
            file.content_type(),
            file.len()
        );
    }
    Ok(text)
}

fn profile() -> Form {
    Form::new().text("name", "ann").text("tags", "a").text("tags", "b").text("age", "7")
}

/// How many files there are.
fn files_in(folder: &FilePath) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn fields_fill_a_type_and_files_go_to_memory_or_disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = MultipartConfig {
        memory_bytes: 1000,
        temp_dir: Some(folder.path().to_owned()),
        ..MultipartConfig::default()
    };
    let app = App::new().post("/", collected.with(limits(&config)));
    let form = profile()
        .file("small", "s.txt", "text/plain", &[1; 1000])
        .file("large", "l.bin", "x/y", &[1; 1001])
        .file("huge", "h.bin", "x/y", &vec![1; 1_000_000]);
    let body = r#""ann" Some(7) ["a", "b"]; small s.txt Some("text/plain") 1000 1000 memory; large l.bin Some("x/y") 1001 1001 disk; huge h.bin Some("x/y") 1000000 1000000 disk"#;
    check(app, form, 200, body);
    assert_eq!(files_in(folder.path()), 0, "they go with the form");
}
#[test]
fn a_file_input_that_nothing_was_chosen_in_is_left_out() {
    let form = profile().file("f", "", "application/octet-stream", b"");
    check(App::new().post("/", collected), form, 200, r#""ann" Some(7) ["a", "b"]"#);
}
#[test]
fn a_bad_field_is_named() {
    let refusal = r#"{"message":"the form is not what was expected","fields":[{"field":"age","message":"is `x`, but must be a whole number from 0 to 255"}]}"#;
    check(App::new().post("/", collected), Form::new().text("name", "ann").text("age", "x"), 422, refusal);
    let refusal = r#"{"message":"the form is not what was expected","fields":[{"field":"name","message":"is missing"}]}"#;
    check(App::new().post("/", collected), Form::new().text("age", "1"), 422, refusal);
}
#[test]
fn fields_that_are_no_files_have_a_limit_together() {
    let config = MultipartConfig { text_bytes: 10, ..MultipartConfig::default() };
    let app = || {
        let bound = async |Bind(p): Bind<Profile>| p.name;
        App::new().post("/", collected.with(limits(&config))).put("/", bound.with(limits(&config)))
    };
    let form =
        |name: &str| Form::new().text("tags", "12345").text("name", name).file("f", "f", "x/y", &[0; 99]);
    assert_eq!(post(app(), form("12345")).status(), 200);
    let refusal = r#"{"message":"the multipart body is too large","fields":[{"field":"name","message":"the fields that are no files are larger than 10 bytes together"}]}"#;
    check(app(), form("123456"), 413, refusal);
    let client = TestClient::new(app()).unwrap();
    let answer = block_on(client.put("/").multipart(form("123456")).into_future());
    assert_eq!((answer.status().as_u16(), answer.text()), (413, refusal));
}
#[test]
fn a_form_can_be_validated() {
    let app = || {
        App::new()
            .post("/", async |Valid(MultipartForm { fields, .. }): Valid<MultipartForm<Profile>>| fields.name)
    };
    check(app(), profile(), 200, "ann");
    let refusal = r#"{"message":"some values are not allowed","fields":[{"field":"name","message":"length is lower than 2"}]}"#;
    check(app(), Form::new().text("name", "a"), 422, refusal);
}
#[test]
fn a_form_may_be_absent() {
    let app = || {
        App::new()
            .post("/", async |form: Option<MultipartForm>| form.is_some().to_string())
            .put("/", async |parts: Option<Multipart>| parts.is_some().to_string())
    };
    check(app(), Form::new(), 200, "true");
    crate::check(app(), "POST /", 200, "false");
    crate::check(app(), "PUT /", 200, "false");
    assert_eq!(crate::send(app(), "PUT / x").status(), 415);
}
#[test]
fn bind_reads_the_fields_and_skips_the_files() {
    let app = || {
        App::new().post("/", async |c: Context, Bind(p): Bind<Profile>| -> Result<String> {
            Ok(format!("{} {:?} {:?} {}", p.name, p.age, p.tags, !c.body().await?.is_empty()))
        })
    };
    check(app(), profile().file("name", "n", "x/y", b"z"), 200, r#"ann Some(7) ["a", "b"] true"#);
    check(
        app(),
        Form::new().text("name", "a").text("age", "x"),
        422,
        r#"{"message":"the request is not what was expected","fields":[{"field":"age","message":"is `x`, but must be a whole number from 0 to 255"}]}"#,
    );
    assert_eq!(raw(app(), "multipart/form-data; boundary=b", "--b\r\n").status(), 400);
}
#[test]
fn a_body_that_was_read_whole_can_still_be_taken_apart() {
    let peek = async |c: Context, next: seawall_http::Next| -> Result<seawall_http::Response> {
        assert!(c.body().await?.len() > 10);
        next.run(c).await
    };
    check(App::new().post("/", streamed).with(peek), Form::new().text("a", "1"), 200, "a None None None 1;");
}

#[test]
fn files_are_taken_out_by_their_field() {
    let take = async |MultipartForm { mut files, .. }: MultipartForm<()>| {
        let all =
            files.take_all("a").iter().map(|file| file.file_name().to_owned()).collect::<Vec<_>>().join(" ");
        let (first, second) = (files.take("b").is_some(), files.take("b").is_some());
        format!("{all} {first} {second} {} {}", files.len(), files.get("c").map_or(0, Upload::len))
    };
    let file = |form: Form, name: &str, file_name: &str| form.file(name, file_name, "x/y", b"12");
    let form = file(file(file(file(Form::new(), "a", "1"), "b", "2"), "a", "3"), "c", "4");
    check(App::new().post("/", take), form, 200, "1 3 true false 1 2");
}
#[test]
fn a_file_is_saved_where_nothing_was() {
    let folder = tempfile::tempdir().unwrap();
    let temp = tempfile::tempdir().unwrap();
    for size in [5, 5_000] {
        let config = MultipartConfig {
            memory_bytes: 100,
            temp_dir: Some(temp.path().to_owned()),
            ..MultipartConfig::default()
        };
        let target = folder.path().join(size.to_string());
        let to = target.clone();
        let save = move |MultipartForm { mut files, .. }: MultipartForm<()>| {
            let to = to.clone();
            async move {
                let file = files.take("f").unwrap();
                file.save(&to)
                    .await
                    .map_or_else(|error| format!("{:?}", error.kind()), |()| "saved".to_owned())
            }
        };
        let app = || App::new().post("/", save.clone().with(limits(&config)));
        let form = |byte| Form::new().file("f", "f", "x/y", &vec![byte; size]);
        check(app(), form(1), 200, "saved");
        check(app(), form(2), 200, "AlreadyExists");
        assert_eq!(std::fs::read(&target).unwrap(), vec![1; size], "what was there stays");
        assert_eq!(files_in(temp.path()), 0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

/// Keeps nothing in memory.
fn all_to_disk(folder: &FilePath) -> MultipartLimits {
    limits(&MultipartConfig {
        memory_bytes: 0,
        temp_dir: Some(folder.to_owned()),
        ..MultipartConfig::default()
    })
}

#[test]
fn an_error_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let app = || App::new().post("/", collected.with(all_to_disk(folder.path())));
    let head = "Content-Disposition: form-data; name=f; filename=f";
    let broken = format!("--b\r\n{head}\r\n\r\n{}", "x".repeat(100_000));
    assert_eq!(raw(app(), "multipart/form-data; boundary=b", &broken).status(), 400);
    // Both files are complete here; a field is what is wrong.
    assert_eq!(post(app(), Form::new().file("f", "f", "x/y", b"1").text("age", "x")).status(), 422);
    assert_eq!(files_in(folder.path()), 0);
    let fails = async |_: MultipartForm<()>| -> Result<&str> { panic!("after the files came") };
    let app = App::new().post("/", fails.with(all_to_disk(folder.path())));
    assert_eq!(post(app, Form::new().file("f", "f", "x/y", b"1")).status(), 500);
    assert_eq!(files_in(folder.path()), 0);
}
#[test]
fn a_folder_that_is_not_there_is_500() {
    let gone = tempfile::tempdir().unwrap().path().to_owned();
    let app = App::new().post("/", collected.with(all_to_disk(&gone)));
    let answer = post(app, profile().file("f", "f", "x/y", b"1"));
    assert_eq!((answer.status().as_u16(), answer.text()), (500, r#"{"message":"Internal Server Error"}"#));
}
/// The beginning of an upload.
fn send_half(client: &mut std::net::TcpStream) {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000";
    let part = "--b\r\nContent-Disposition: form-data; name=f; filename=f";
    write!(client, "{head}\r\n\r\n{part}\r\n\r\n{}", "x".repeat(50_000)).unwrap();
}

#[test]
fn cancelling_at_any_await_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let pieces = |n: usize| std::iter::repeat_n(Bytes::from(vec![b'x'; 300_000]), n);
    for polls in 1..6 {
        // Polls the reading so often, then drops it, mostly while a write is under way: the runtime's end waits for
        // that. A quick disk may be done with several writes in one poll, and with all of them before the last.
        let cancelled = move |c: Context| async move {
            let mut reading = Box::pin(MultipartForm::<()>::extract(&c));
            for _ in 0..polls {
                let mut once = |cx: &mut std::task::Context<'_>| reading.as_mut().poll(cx).is_ready();
                if std::future::poll_fn(|cx| std::task::Poll::Ready(once(cx))).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
            "cancelled"
        };
        let app = App::new().post("/", cancelled.with(all_to_disk(folder.path())));
        let client = TestClient::new(app).unwrap();
        let head = "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n";
        let chunks = std::iter::once(Bytes::from(head)).chain(pieces(6));
        let request =
            client.post("/").header("content-type", "multipart/form-data; boundary=b").chunks(chunks);
        assert_eq!(block_on(request.into_future()).text(), "cancelled");
        assert_eq!(files_in(folder.path()), 0, "after {polls} polls");
    }
}
#[test]
fn cancelling_between_two_pieces_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().to_owned();
    let cancelled = move |c: Context| {
        let seen = seen.clone();
        async move {
            let mut reading = Box::pin(MultipartForm::<()>::extract(&c));
            // The rest of the body never comes, so that this waits for the file and nothing else.
            while files_in(&seen) == 0 {
                let wait = std::time::Duration::from_millis(1);
                assert!(tokio::time::timeout(wait, reading.as_mut()).await.is_err(), "the body has no end");
            }
            "cancelled"
        }
    };
    let server = Live::start(App::new().post("/", cancelled.with(all_to_disk(folder.path()))));
    let mut client = server.connect();
    send_half(&mut client);
    assert!(read_until(&mut client, "cancelled").starts_with("HTTP/1.1 200"));
    wait_until(|| files_in(folder.path()) == 0);
    drop(client);
    server.stop();
}
#[test]
fn a_client_that_goes_away_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = Live::start(App::new().post("/", collected.with(all_to_disk(folder.path()))));
    let mut client = server.connect();
    send_half(&mut client);
    wait_until(|| files_in(folder.path()) == 1);
    drop(client);
    wait_until(|| files_in(folder.path()) == 0);
    server.stop();
}
#[test]
fn a_large_upload_crosses_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let config = MultipartConfig {
        total_bytes: Some(20 << 20),
        temp_dir: Some(folder.path().to_owned()),
        ..MultipartConfig::default()
    };
    let server = Live::start(App::new().post("/", collected.with(limits(&config))));
    let mut client = server.connect();
    write!(client, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = |client: &mut std::net::TcpStream, bytes: &[u8]| {
        write!(client, "{:x}\r\n", bytes.len()).unwrap();
        client.write_all(bytes).unwrap();
        client.write_all(b"\r\n").unwrap();
    };
    chunk(&mut client, b"--b\r\nContent-Disposition: form-data; name=name\r\n\r\nann\r\n--b\r\nContent-Disposition: form-data; name=f; filename=\"f\"\r\n\r\n");
    for _ in 0..150 {
        chunk(&mut client, &[1; 100_000]);
    }
    chunk(&mut client, b"\r\n--b--\r\n");
    write!(client, "0\r\n\r\n").unwrap();
    assert!(read_until(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 200"));
    let mut body = String::new();
    client.read_to_string(&mut body).unwrap();
    assert_eq!(body, r#""ann" None []; f f None 15000000 15000000 disk"#);
    assert_eq!(files_in(folder.path()), 0);
    server.stop();
}
