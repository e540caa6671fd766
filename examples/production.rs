//! What a service in production has around it: a log, metrics and health on a listener of their own, limits, a drain.

use std::time::Duration;

use seawall::observe::{Admin, AdminConfig, LogConfig, init_logging};
use seawall::prelude::*;

fn main() -> Result<()> {
    init_logging(&LogConfig::default())?;
    let config = ServerConfig { shutdown_timeout: Duration::from_secs(10), ..ServerConfig::default() };
    let app = App::new().config(config).with(RequestId).with(AccessLog).get("/", async || "ready");
    let admin = Admin::start(&AdminConfig::default(), &app.metrics())?;
    let health = admin.health().clone();
    app.bind("127.0.0.1:8080")?.on_drain(move || health.drain()).run()
}
