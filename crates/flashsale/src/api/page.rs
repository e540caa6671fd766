//! The page: plain HTML, CSS and JavaScript, compiled in.

use seawall::openapi::Operation;
use seawall::prelude::*;

const HTML: &str = include_str!("../web/index.html");
const CSS: &str = include_str!("../web/sale.css");
const JS: &str = include_str!("../web/sale.js");

/// The page and what it loads.
pub(super) fn routes() -> Group {
    let file =
        |summary: &str, kind: &str| Operation::new(summary).tag("page").answer_as(200, kind, "the file");
    Group::new()
        .get("/", page.doc(file("The page", "text/html; charset=utf-8")))
        .get("/sale.css", style.doc(file("How it looks", "text/css; charset=utf-8")))
        .get("/sale.js", script.doc(file("What it does", "text/javascript; charset=utf-8")))
}

async fn page(c: Context) -> Result<Response> {
    c.html(200, HTML)
}

async fn style(c: Context) -> Result<Response> {
    c.bytes(200, "text/css; charset=utf-8", CSS)
}

async fn script(c: Context) -> Result<Response> {
    c.bytes(200, "text/javascript; charset=utf-8", JS)
}
