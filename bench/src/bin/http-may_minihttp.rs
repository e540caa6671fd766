//! may_minihttp, a minimal server on stackful coroutines, with one worker. It has no router, no limits and no timeouts:
//! the routes are found by matchit. It is here for what an answer costs at least.

use std::io;
use std::sync::Arc;

use bench_peers::{App, MESSAGE, greeting};
use bytes::{BufMut as _, BytesMut};
use matchit::Router;
use may_minihttp::{HttpServer, HttpService, Request, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Answer<T> {
    message: T,
}

#[derive(Clone)]
struct Service(Arc<Router<bool>>);

impl HttpService for Service {
    fn call(&mut self, request: Request<'_, '_, '_>, response: &mut Response<'_>) -> io::Result<()> {
        let found = self.0.at(request.path()).ok().filter(|_| request.method() == "GET");
        match found {
            Some(found) if *found.value => {
                json(response, &Answer { message: greeting(found.params.get("id").unwrap_or_default()) })
            }
            Some(_) => json(response, &Answer { message: MESSAGE }),
            None => {
                response.status_code(404, "Not Found");
                Ok(())
            }
        }
    }
}

fn json(response: &mut Response<'_>, answer: &impl Serialize) -> io::Result<()> {
    response.header("Content-Type: application/json");
    let body: &mut BytesMut = response.body_mut();
    serde_json::to_writer(body.writer(), answer)?;
    Ok(())
}

fn main() {
    let given = bench_peers::arguments();
    assert!(given.app != App::Middleware, "may_minihttp has no middleware");
    may::config().set_workers(1);
    let mut router = Router::new();
    for route in &given.routes {
        router.insert(route.braces(), route.has_id).expect("the routes do not clash");
    }
    let server = HttpServer(Service(Arc::new(router))).start(&given.addr).expect("the address is free");
    server.join().expect("serving does not fail");
}
