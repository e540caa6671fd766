//! A tokio runtime, as much of it as can be seen without tokio's unstable flags.

use serde_json::{Value, json};
use tokio::runtime::Handle;

/// What [`Pprof::show`](super::Pprof::show) takes for [`Section::Runtime`](super::Section::Runtime):
///
/// ```
/// # use seawall_observe::{Pprof, PprofConfig, Section, tokio_runtime};
/// # let pprof = Pprof::new(&PprofConfig::default())?;
/// # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// pprof.show(Section::Runtime, "background", tokio_runtime(runtime.handle()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Poll times, steals and the blocking pool are known to builds with `--cfg tokio_unstable` only, and left out.
pub fn tokio_runtime(handle: &Handle) -> impl Fn() -> Value + Send + Sync + 'static {
    let metrics = handle.metrics();
    move || {
        let worker = |at| {
            json!({
                "busy_seconds": metrics.worker_total_busy_duration(at).as_secs_f64(),
                "parks": metrics.worker_park_count(at),
                "park_unparks": metrics.worker_park_unpark_count(at),
            })
        };
        json!({
            "workers": (0..metrics.num_workers()).map(worker).collect::<Vec<_>>(),
            "alive_tasks": metrics.num_alive_tasks(),
            "global_queue_depth": metrics.global_queue_depth(),
        })
    }
}
