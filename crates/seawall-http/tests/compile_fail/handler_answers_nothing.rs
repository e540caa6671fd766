//! A forgotten answer.

use seawall_http::*;

async fn show(c: Context) {
    let _ = c.text(200, "");
}

fn main() {
    let _ = App::new().get("/", show);
}
