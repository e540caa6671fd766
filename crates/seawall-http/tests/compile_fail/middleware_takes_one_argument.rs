//! A middleware without next.

use seawall_http::*;

async fn wrap(c: Context) -> Result<Response> {
    c.text(200, "")
}

fn main() {
    let _ = App::new().with(wrap);
}
