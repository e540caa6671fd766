//! A struct that reads the body, before another argument.

extern crate seawall_http as seawall;

use seawall_http::*;

#[derive(Bind)]
struct Place {
    #[bind(body)]
    _order: String,
}

async fn place(_: Place, _: Path<u32>) -> &'static str {
    ""
}

fn main() {
    let _ = App::new().post("/:id", place);
}
