//! An optional argument that is never absent.

use seawall_http::*;

async fn list(_: Option<Query<Vec<(String, String)>>>) -> &'static str {
    ""
}

fn main() {
    let _ = App::new().get("/", list);
}
