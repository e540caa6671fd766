//! What the servers of `cargo xtask bench http` have in common: their arguments, the routes, and what is answered. What
//! those of `cargo xtask bench overload` have in common is in [`overload`].
//!
//! Every server is `http-<name> ADDR APP [ROUTES]` and uses one core. What a request is answered with is the same in
//! all of them, and `cargo xtask bench http` refuses to measure one that answers anything else.

mod clock;
pub mod overload;

/// What `GET /` says.
pub const MESSAGE: &str = "Hello from Seawall!";
/// The page of another origin that CORS lets read the answers.
pub const ORIGIN: &str = "https://app.example.com";
/// How long an answer may take, and how long a connection without requests stays, where a server closes it by itself.
/// So long that it never comes to that: what is measured is the price of the limit.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(75);

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// Three routes: `/`, `/health` and `/users/{id}`.
    Hello,
    /// The routes of a file, a thousand.
    Thousand,
    /// The three routes and `/panic`, with request id, access log on standard output, recovery from panics, CORS and a
    /// timeout around them, outermost first.
    Middleware,
}

/// A route of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Such as `/users/:id`.
    pub pattern: String,
    /// It has one parameter, and answers as `/users/:id` does; the others answer as `/` does.
    pub has_id: bool,
}

impl Route {
    /// The pattern as most routers write it: `/users/{id}`.
    pub fn braces(&self) -> String {
        let part =
            |part: &str| part.strip_prefix(':').map_or_else(|| part.to_owned(), |name| format!("{{{name}}}"));
        self.pattern.split('/').map(part).collect::<Vec<_>>().join("/")
    }
}

/// The arguments of a server.
#[derive(Debug, Clone)]
pub struct Arguments {
    pub addr: String,
    pub app: App,
    /// All routes of the app, those of [`App::Hello`] included.
    pub routes: Vec<Route>,
}

/// Reads the process's arguments.
pub fn arguments() -> Arguments {
    let mut given = std::env::args().skip(1);
    let (Some(addr), Some(app)) = (given.next(), given.next()) else {
        panic!("usage: ADDR hello|thousand|middleware [ROUTES]")
    };
    let app = match app.as_str() {
        "hello" => App::Hello,
        "thousand" => App::Thousand,
        "middleware" => App::Middleware,
        other => panic!("no app {other}: hello, thousand or middleware"),
    };
    let text = match app {
        App::Thousand => {
            let path = given.next().expect("the app `thousand` wants a file with routes");
            std::fs::read_to_string(path).expect("the file of routes can be read")
        }
        App::Hello | App::Middleware => "/\n/health\n/users/:id\n".to_owned(),
    };
    let route = |line: &str| Route { pattern: line.to_owned(), has_id: line.matches(':').count() == 1 };
    Arguments { addr, app, routes: text.lines().map(route).collect() }
}

/// What `GET /users/{id}` says.
pub fn greeting(id: &str) -> String {
    format!("Hello, {id}!")
}
