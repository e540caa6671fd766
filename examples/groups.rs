//! Groups, middleware on three levels, a fallback and an error handler of a group's own.

use seawall::prelude::*;

fn main() -> Result<()> {
    App::new()
        .with(RequestId)
        .with(AccessLog)
        .get("/", async || "public")
        .mount("/api/v1", api())
        .fallback(async || Err::<Response, _>(Error::not_found("nothing here")))
        .run("127.0.0.1:8080")
}

/// It could live in a crate of its own: it knows nothing of the app.
fn api() -> Group {
    Group::new()
        .with(signed_in)
        .get("/me", me)
        .post("/orders", order.with(BodyLimit::new(1024)))
        .on_error(|_, error| error.response())
}

struct User(String);

async fn signed_in(c: Context, next: Next) -> Result<Response> {
    let Some(token) = c.header("authorization") else {
        return Err(Error::unauthorized("sign in first"));
    };
    c.set(User(token.to_owned())); // typed, for whoever comes later
    next.run(c).await
}

async fn me(c: Context) -> Result<String> {
    let User(name) = c.get().ok_or_else(|| Error::unauthorized("sign in first"))?;
    Ok(format!("you are {name}"))
}

async fn order(body: String) -> String {
    format!("{} bytes ordered", body.len())
}
