//! A context by reference.

use seawall_http::*;

async fn show(c: &Context) -> Result<Response> {
    c.text(200, "")
}

fn main() {
    let _ = App::new().get("/", show);
}
