//! An error that is none.

use seawall_http::*;

struct MyError;

async fn show() -> Result<&'static str, MyError> {
    Ok("")
}

fn main() {
    let _ = App::new().get("/", show);
}
