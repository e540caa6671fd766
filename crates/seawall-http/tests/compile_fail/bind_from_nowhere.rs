//! A source that does not exist, and names that cannot be.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
struct Show {
    #[bind(session)]
    id: u64,
    #[bind(header = "x tenant")]
    tenant: String,
    #[bind(query = "")]
    page: u32,
}

fn main() {}
