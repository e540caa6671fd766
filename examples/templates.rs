//! Pages from templates, with what they show escaped.

use seawall::MiniJinja;
use seawall::prelude::*;

const PAGE: &str = "<!doctype html><title>Hello</title><h1>Hello, {{ name }}!</h1>";

fn main() -> Result<()> {
    App::new()
        .renderer(MiniJinja::embedded([("hello.html", PAGE)])?)
        .get("/hello/:name", hello)
        .run("127.0.0.1:8080")
}

async fn hello(c: Context) -> Result<Response> {
    let name: String = c.param("name")?;
    c.render(200, "hello.html", &json!({"name": name}))
}
