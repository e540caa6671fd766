//! An answer that is none.

use seawall_http::*;

async fn count(_: Context) -> u32 {
    7
}

fn main() {
    let _ = App::new().get("/", count);
}
