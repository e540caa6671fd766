//! A struct that does not implement it.

use seawall_http::*;

struct Cors;

fn main() {
    let _ = App::new().with(Cors);
}
