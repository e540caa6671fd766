//! A future that cannot cross threads.

use seawall_http::*;

async fn slow(c: Context) -> Result<Response> {
    let shared = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(shared);
    c.text(200, "")
}

fn main() {
    let _ = App::new().get("/", slow);
}
