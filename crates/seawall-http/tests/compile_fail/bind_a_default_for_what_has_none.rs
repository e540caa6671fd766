//! Defaults where they can mean nothing.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
struct Show {
    #[bind(path, default)]
    id: u64,
    #[bind(body, default)]
    order: String,
}

fn main() {}
