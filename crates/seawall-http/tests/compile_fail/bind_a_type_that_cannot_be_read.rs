//! A field whose type cannot be read.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
struct Show {
    #[bind(query)]
    page: Page,
}

struct Page;

fn main() {}
