//! The body before the head.

use seawall_http::*;

async fn create(Json(_): Json<u32>, _: Path<u32>) -> Result<Response> {
    Err(Error::not_found(""))
}

fn main() {
    let _ = App::new().post("/", create);
}
