//! A service that can be profiled while it runs: the admin listener with profiles switched on.
//!
//! `cargo run --release --example profiled`, some load on port 8080, and then
//! `go tool pprof -http=: http://127.0.0.1:6060/debug/pprof/profile?seconds=10`, or a browser on
//! `http://127.0.0.1:6060/debug/pprof/profile?seconds=10&format=svg`.

use seawall::observe::{Admin, AdminConfig, PprofConfig};
use seawall::prelude::*;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let addr = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let admin = arguments.next().unwrap_or_else(|| "127.0.0.1:6060".to_owned());
    let app = App::new()
        .config(ServerConfig { workers: Some(1), ..ServerConfig::default() })
        .get("/", async |c: Context| c.json(200, &json!({"message": "Hello from Seawall!"})));
    let config =
        AdminConfig { addr: admin.parse()?, pprof: Some(PprofConfig::default()), ..AdminConfig::default() };
    let admin = Admin::start(&config, &app.metrics())?;
    admin.show_tasks(&app.tasks());
    app.run(&addr)
}
