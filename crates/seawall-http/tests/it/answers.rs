//! What handlers answer with.

use bytes::Bytes;
use http::StatusCode;
use seawall_http::testing::TestClient;
use seawall_http::{
    App, Context, Error, Html, Json, Pretty, Redirect, Renderer, Response, Result, TemplateData,
};

use crate::live::Live;
use crate::{block_on, check, send};

#[track_caller]
fn answers<M>(handler: impl seawall_http::Handler<M>, status: u16, content_type: &str, body: &str) {
    let answer = send(App::new().get("/", handler), "GET /");
    let found = (answer.status().as_u16(), answer.header("content-type"), answer.text());
    assert_eq!(found, (status, content_type, body));
}

#[test]
fn values_become_responses() {
    answers(async || "text", 200, "text/plain; charset=utf-8", "text");
    answers(async || "text".to_owned(), 200, "text/plain; charset=utf-8", "text");
    answers(async || Bytes::from_static(b"x"), 200, "application/octet-stream", "x");
    answers(async || Html("<p>"), 200, "text/html; charset=utf-8", "<p>");
    answers(async || Json([1, 2]), 200, "application/json", "[1,2]");
    answers(async || StatusCode::NO_CONTENT, 204, "", "");
    answers(async || (StatusCode::CREATED, Json("x")), 201, "application/json", "\"x\"");
    answers(async || Ok::<_, Error>("fine"), 200, "text/plain; charset=utf-8", "fine");
}

#[test]
fn a_context_has_the_short_ways() {
    answers(async |c: Context| c.json(201, &[1]), 201, "application/json", "[1]");
    answers(async |c: Context| c.text(202, "t"), 202, "text/plain; charset=utf-8", "t");
    answers(async |c: Context| c.html(200, "<b>"), 200, "text/html; charset=utf-8", "<b>");
    answers(async |c: Context| c.bytes(200, "image/png", "p"), 200, "image/png", "p");
    answers(async |c: Context| c.no_content(), 204, "", "");
}

#[test]
fn redirects_name_their_place() {
    let app = App::new().get("/", async |c: Context| c.redirect(302, "/there"));
    let answer = send(app, "GET /");
    assert_eq!((answer.status().as_u16(), answer.header("location")), (302, "/there"));
    let answer = send(App::new().get("/", async || Redirect::see_other("/x")), "GET /");
    assert_eq!((answer.status().as_u16(), answer.header("location")), (303, "/x"));
}

#[test]
fn a_redirect_must_be_one() {
    check(
        App::new().get("/", async |c: Context| c.redirect(200, "/")),
        "GET /",
        500,
        r#"{"message":"Internal Server Error"}"#,
    );
}

#[test]
fn a_streamed_body_comes_whole() {
    let stream = async |c: Context| {
        c.stream(200, "text/csv", async |mut out| {
            for row in 0..1000 {
                out.write(format!("{row}\n")).await?;
            }
            Ok(())
        })
    };
    let answer = send(App::new().get("/", stream), "GET /");
    assert_eq!(answer.header("content-type"), "text/csv");
    assert_eq!(answer.text().lines().count(), 1000);
    assert!(answer.text().ends_with("999\n"));
}

#[test]
fn a_stream_that_fails_breaks_off() {
    let stream = async |c: Context| {
        c.stream(200, "text/plain", async |mut out| {
            out.write("half").await?;
            Err(Error::internal("the other half is gone"))
        })
    };
    let answer = send(App::new().get("/", stream), "GET /");
    assert!(answer.broken().unwrap().contains("the other half is gone"));
}

#[test]
fn a_permit_lives_as_long_as_the_body() {
    use std::sync::Arc;
    let permit = Arc::new(());
    let held = Arc::clone(&permit);
    let app = App::new().get("/", move || {
        let permit = Arc::clone(&held);
        async move { Ok::<_, Error>(Response::new(StatusCode::OK, "x").hold(permit)) }
    });
    let client = TestClient::new(app).unwrap();
    let request = http::Request::get("/").body(seawall_http::Body::whole("")).unwrap();
    let answer = block_on(client.service().handle(request));
    assert_eq!(Arc::strong_count(&permit), 3);
    drop(answer);
    assert_eq!(Arc::strong_count(&permit), 2);
}

#[test]
fn what_does_not_serialise_is_500() {
    let bad =
        async || -> Result<Json<std::collections::HashMap<(u8, u8), u8>>> { Ok(Json([((1, 2), 3)].into())) };
    check(App::new().get("/", bad), "GET /", 500, r#"{"message":"Internal Server Error"}"#);
}

#[derive(serde::Serialize)]
#[serde(rename = "user")]
struct User {
    id: u32,
    name: &'static str,
}

const ANN: User = User { id: 7, name: "Ann & <co>" };

#[test]
fn json_may_be_for_people() {
    answers(async |c: Context| c.json_pretty(200, &ANN), 200, "application/json", PRETTY);
    answers(async || Pretty(ANN), 200, "application/json", PRETTY);
}
const PRETTY: &str = "{\n  \"id\": 7,\n  \"name\": \"Ann & <co>\"\n}";

#[test]
fn jsonp_calls_what_the_client_names_if_that_is_a_name() {
    let app = || {
        App::new().get("/", async |c: Context| c.jsonp(200, &c.query_or("callback", String::new())?, &[1]))
    };
    let answer = send(app(), "GET /?callback=app.show");
    assert_eq!((answer.status().as_u16(), answer.text()), (200, "/**/app.show([1]);"));
    assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let refused = send(app(), "GET /?callback=alert(1)//");
    assert_eq!(refused.status(), 400);
    assert!(refused.text().contains(r#""field":"callback""#), "{}", refused.text());
}

#[cfg(feature = "xml")]
#[test]
fn xml_is_a_document() {
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<user><id>7</id><name>Ann &amp; &lt;co&gt;</name></user>";
    answers(async |c: Context| c.xml(200, &ANN), 200, "application/xml; charset=utf-8", expected);
    answers(async || seawall_http::Xml(ANN), 200, "application/xml; charset=utf-8", expected);
}

#[test]
fn headers_stand_beside_what_is_answered() {
    let answer =
        send(App::new().get("/", async || ([("cache-control", "no-store"), ("x-a", "1")], "text")), "GET /");
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-a"), answer.text()),
        ("no-store", "1", "text")
    );
    let typed = async || (StatusCode::CREATED, [(http::header::CONTENT_TYPE, "text/csv".to_owned())], "a,b");
    answers(typed, 201, "text/csv", "a,b");
}

#[test]
fn a_header_that_is_none_is_500_and_not_a_second_header() {
    let forged = async || ([("x-a", "1\r\nset-cookie: b=c")], "text");
    check(App::new().get("/", forged), "GET /", 500, r#"{"message":"Internal Server Error"}"#);
}

#[test]
fn a_redirect_cannot_forge_a_header() {
    let answer = send(App::new().get("/", async |c: Context| c.redirect(302, "/a\r\nx: y")), "GET /");
    assert_eq!(answer.header("location"), "/a%0D%0Ax:%20y");
    let local = async |c: Context| Redirect::local("next", c.query_or("next", String::new())?);
    let answer = send(App::new().get("/", local), "GET /?next=/orders");
    assert_eq!((answer.status().as_u16(), answer.header("location")), (303, "/orders"));
    assert_eq!(send(App::new().get("/", local), "GET /?next=//evil.example").status(), 400);
}

/// Ten bytes, of which so many are declared.
fn sized(declared: u64) -> Response {
    let text = http::HeaderValue::from_static("text/plain");
    let stream = Response::stream(StatusCode::OK, text, async |mut out| {
        out.write("12345").await?;
        out.write("67890").await
    });
    stream.length(declared)
}

#[test]
fn a_stream_may_declare_its_length() {
    let serve = |declared| App::new().get("/", move || async move { sized(declared) });
    let answer = send(serve(10), "GET /");
    assert_eq!(answer.text(), "1234567890");
    assert_eq!(send(serve(10), "HEAD /").header("content-length"), "10");
    assert!(send(serve(11), "GET /").broken().unwrap().contains("before its declared length"));
    assert!(send(serve(9), "GET /").broken().unwrap().contains("longer than its declared length"));
    let server = Live::start(serve(10));
    let answer = server.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.contains("content-length: 10\r\n") && answer.ends_with("\r\n\r\n1234567890"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
}

#[test]
fn a_stream_may_end_with_trailers() {
    let app = App::new().get("/", async || {
        let text = http::HeaderValue::from_static("text/plain");
        let stream = Response::stream(StatusCode::OK, text, async |mut out| {
            out.write("body").await?;
            out.finish([(http::header::ETAG, "\"sum\"".parse()?)].into_iter().collect()).await
        });
        stream.header(http::header::TRAILER, http::HeaderValue::from_static("etag"))
    });
    let server = Live::start(app);
    let answer = server.ask("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close, te\r\n\r\n");
    assert!(answer.ends_with("4\r\nbody\r\n0\r\netag: \"sum\"\r\n\r\n"), "{answer}");
}

/// Renders without an engine: what a [`Renderer`] of one's own is.
struct Plain;

impl Renderer for Plain {
    fn render(&self, template: &str, data: TemplateData<'_>) -> Result<String> {
        if template == "none" {
            return Err(Error::internal("there is no template `none` in /secret/folder"));
        }
        Ok(format!("{template}: {}", serde_json::to_string(&data)?))
    }
}

#[test]
fn a_renderer_of_ones_own_makes_the_text() {
    let app = |name: &'static str| {
        App::new().renderer(Plain).get("/", move |c: Context| async move { c.render(201, name, &ANN) })
    };
    let answer = send(app("a.html"), "GET /");
    assert_eq!((answer.status().as_u16(), answer.header("content-type")), (201, "text/html; charset=utf-8"));
    assert_eq!(answer.text(), r#"a.html: {"id":7,"name":"Ann & <co>"}"#);
    assert_eq!(send(app("a.txt"), "GET /").header("content-type"), "text/plain; charset=utf-8");
    check(app("none"), "GET /", 500, r#"{"message":"Internal Server Error"}"#);
    let without = App::new().get("/", async |c: Context| c.render(200, "a.html", &ANN));
    check(without, "GET /", 500, r#"{"message":"Internal Server Error"}"#);
}

#[cfg(feature = "minijinja")]
mod minijinja {
    use super::*;
    use seawall_http::MiniJinja;

    fn render(engine: MiniJinja, name: &'static str) -> seawall_http::testing::TestResponse {
        send(
            App::new().renderer(engine).get("/", move |c: Context| async move { c.render(200, name, &ANN) }),
            "GET /",
        )
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let engine = || {
            let templates = [("a.html", "<b>{{ name }}</b>"), ("a.txt", "{{ name }}")];
            MiniJinja::embedded(templates).unwrap()
        };
        assert_eq!(render(engine(), "a.html").text(), "<b>Ann &amp; &lt;co&gt;</b>");
        let plain = render(engine(), "a.txt");
        assert_eq!((plain.text(), plain.header("content-type")), ("Ann & <co>", "text/plain; charset=utf-8"));
    }

    #[test]
    fn a_folder_is_read_with_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("parts")).unwrap();
        std::fs::write(folder.path().join("page.html"), "{% include 'parts/name.html' %}!").unwrap();
        std::fs::write(folder.path().join("parts/name.html"), "{{ name }}").unwrap();
        assert_eq!(
            render(MiniJinja::folder(folder.path()).unwrap(), "page.html").text(),
            "Ann &amp; &lt;co&gt;!"
        );
    }

    #[test]
    fn a_change_is_seen_only_if_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.html");
        std::fs::write(&page, "before").unwrap();
        let (fixed, fresh) =
            (MiniJinja::folder(folder.path()).unwrap(), MiniJinja::reloading(folder.path()).unwrap());
        std::fs::write(&page, "after").unwrap();
        assert_eq!(
            (render(fixed, "page.html").text(), render(fresh, "page.html").text()),
            ("before", "after")
        );
    }

    #[test]
    fn what_is_wrong_is_said_at_start_or_to_the_log() {
        let error = MiniJinja::embedded([("bad.html", "{% if %}")]).unwrap_err();
        assert!(format!("{error:?}").contains("bad.html"), "{error:?}");
        assert!(MiniJinja::folder("/no/such/folder").is_err());
        for (name, text) in [("a.html", "{{ nmae }}"), ("b.html", "")] {
            let answer = render(MiniJinja::embedded([(name, text)]).unwrap(), "a.html");
            assert_eq!(
                (answer.status().as_u16(), answer.text()),
                (500, r#"{"message":"Internal Server Error"}"#)
            );
        }
    }
}
