//! No struct.

extern crate seawall_http as seawall;

#[derive(seawall_http::Bind)]
enum Show {
    One,
}

fn main() {}
