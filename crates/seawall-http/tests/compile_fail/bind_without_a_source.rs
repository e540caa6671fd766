//! A field that does not say where it comes from, and one that says it twice.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
struct Show {
    id: u64,
    #[bind(path, query)]
    page: u32,
}

fn main() {}
