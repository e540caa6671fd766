//! Something that is no function.

use seawall_http::*;

fn main() {
    let _ = App::new().get("/", "hello");
}
