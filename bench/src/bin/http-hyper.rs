//! hyper on a current-thread runtime, as its guide does it, without timeouts. It has no router and no middleware: the
//! routes are found by matchit, which is what axum uses.

use std::convert::Infallible;
use std::rc::Rc;

use bench_peers::{App, MESSAGE, greeting};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use matchit::Router;
use serde::Serialize;

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given = bench_peers::arguments();
    assert!(given.app != App::Middleware, "hyper has no middleware");
    let mut router = Router::new();
    for route in &given.routes {
        router.insert(route.braces(), route.has_id).expect("the routes do not clash");
    }
    let router = Rc::new(router);
    let listener = tokio::net::TcpListener::bind(&given.addr).await.expect("the address is free");
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await.expect("accepting does not fail");
            let router = Rc::clone(&router);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| std::future::ready(answer(&router, &request)));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    };
    tokio::task::LocalSet::new().run_until(serve).await
}

fn answer(router: &Router<bool>, request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let found = router.at(request.uri().path()).ok().filter(|_| request.method() == Method::GET);
    Ok(match found {
        Some(found) if *found.value => {
            json(&Answer { message: greeting(found.params.get("id").unwrap_or_default()) })
        }
        Some(_) => json(&Answer { message: MESSAGE }),
        None => {
            let response = Response::builder().status(StatusCode::NOT_FOUND).body(Full::default());
            response.expect("a valid response")
        }
    })
}

fn json(answer: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(answer).expect("a string serialises");
    let response =
        Response::builder().header(header::CONTENT_TYPE, "application/json").body(Full::from(body));
    response.expect("a valid response")
}
