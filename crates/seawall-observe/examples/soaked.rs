//! What `cargo xtask soak --profiles` puts under load: a service with every profile switched on, the heap's included.
//!
//! Arguments: the address of the service, that of the admin listener.

use seawall_http::{App, Context, Error, Result, ServerConfig};
use seawall_observe::{Admin, AdminConfig, PprofConfig};

#[global_allocator]
static ALLOCATOR: seawall_observe::Jemalloc = seawall_observe::Jemalloc;

/// Bytes that each request allocates besides what it needs, so that the heap's samples have something to see.
const BALLAST: usize = 16 << 10;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let addr = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let admin = arguments.next().unwrap_or_else(|| "127.0.0.1:6060".to_owned());
    let app = App::new().config(ServerConfig { workers: Some(1), ..ServerConfig::default() }).get(
        "/",
        async |c: Context| {
            let ballast = std::hint::black_box(vec![1_u8; BALLAST]);
            c.json(200, &serde_json::json!({ "allocated": ballast.len() }))
        },
    );
    let pprof = PprofConfig { heap: true, ..PprofConfig::default() };
    let addr_of_admin = admin.parse().map_err(|_| Error::internal(format!("`{admin}` is no address")))?;
    let config = AdminConfig { addr: addr_of_admin, pprof: Some(pprof), ..AdminConfig::default() };
    let admin = Admin::start(&config, &app.metrics())?;
    admin.show_tasks(&app.tasks());
    app.run(&addr)
}
