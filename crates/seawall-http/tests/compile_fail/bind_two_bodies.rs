//! Two fields that take the body.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
struct Show {
    #[bind(body)]
    order: String,
    #[bind(body)]
    other: String,
}

fn main() {}
