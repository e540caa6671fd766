//! Fields without names.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
struct Show(#[bind(path)] u64);

fn main() {}
