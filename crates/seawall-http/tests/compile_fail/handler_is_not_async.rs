//! A forgotten async.

use seawall_http::*;

fn show(c: Context) -> Result<Response> {
    c.text(200, "")
}

fn main() {
    let _ = App::new().get("/", show);
}
