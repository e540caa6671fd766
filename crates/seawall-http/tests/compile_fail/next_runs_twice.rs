//! Next is used up.

use seawall_http::*;

async fn retry(c: Context, next: Next) -> Result<Response> {
    let _ = next.run(c.clone()).await;
    next.run(c).await
}

fn main() {
    let _ = App::new().with(retry);
}
