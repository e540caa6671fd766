//! The page: plain HTML, CSS and JavaScript, compiled in.

use seawall::prelude::*;

const HTML: &str = include_str!("../web/index.html");
const CSS: &str = include_str!("../web/sale.css");
const JS: &str = include_str!("../web/sale.js");

/// The page and what it loads.
pub(super) fn routes() -> Group {
    Group::new().get("/", page).get("/sale.css", style).get("/sale.js", script)
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
