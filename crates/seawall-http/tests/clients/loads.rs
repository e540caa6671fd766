//! Load generators that we did not write: few requests, over few connections, none of which may go wrong.

use bytes::Bytes;
use seawall_http::{App, Context, ServerConfig};

use crate::live::Live;
use crate::run;

fn server() -> Live {
    let app = App::new()
        .get("/", async || "hello")
        .post("/", async |body: Bytes| body.len().to_string())
        .get("/large", async || Bytes::from_static(&[b'x'; 200_000]))
        .get("/stream", async |c: Context| {
            c.stream(200, "text/plain", async |mut out| {
                for _ in 0..10 {
                    out.write(Bytes::from_static(&[b'x'; 5_000])).await?;
                }
                Ok(())
            })
        });
    // Every answer is asked for: on a machine that has no time, 80 large ones at once may be an overload.
    Live::with(app, ServerConfig { workers: Some(1), admission: None, ..ServerConfig::default() })
}

/// `wrk` for a second; it counts what it cannot read, and answers that are no 2xx.
#[track_caller]
fn wrk(server: &Live, path: &str, more: &[&str]) {
    let url = server.url(path);
    let said =
        run("wrk", &[&["--threads", "1", "--connections", "8", "--duration", "1s"], more, &[&url]].concat());
    let requests =
        said.lines().find_map(|line| line.trim().split_once(" requests in ")).map(|(number, _)| number);
    assert!(requests.is_some_and(|number| number.parse::<u64>().is_ok_and(|number| number > 0)), "{said}");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{path}: {said}");
}

#[test]
fn wrk_reads_every_answer() {
    let server = server();
    for path in ["/", "/large", "/stream"] {
        wrk(&server, path, &[]);
    }
}

/// Each request in a batch of sixteen, as benchmarks send them.
#[test]
fn wrk_pipelines() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pipeline.lua");
    std::fs::write(
        &script,
        "function init() local r = {}; for i = 1, 16 do r[i] = wrk.format('GET', '/') end; batch = table.concat(r) end\n\
         function request() return batch end\n",
    )
    .unwrap();
    wrk(&server(), "/", &["--script", script.to_str().unwrap()]);
}

/// `h2load`, which says how many requests succeeded, and with what status.
#[track_caller]
fn h2load(server: &Live, path: &str, more: &[&str]) {
    let url = server.url(path);
    let said = run("h2load", &[&["--requests", "400", "--clients", "4"], more, &[&url]].concat());
    let all = "400 total, 400 started, 400 done, 400 succeeded, 0 failed, 0 errored, 0 timeout";
    assert!(said.contains(all) && said.contains("400 2xx, 0 3xx, 0 4xx, 0 5xx"), "{path} {more:?}: {said}");
}

#[test]
fn h2load_reads_every_answer_of_http_1() {
    let server = server();
    for path in ["/", "/large", "/stream"] {
        h2load(&server, path, &["--h1"]);
        h2load(&server, path, &["--h1", "--max-concurrent-streams", "10"]); // pipelined
    }
}

#[test]
fn h2load_reads_every_answer_of_http_2() {
    let server = server();
    for path in ["/", "/large", "/stream"] {
        h2load(&server, path, &[]);
        h2load(&server, path, &["--max-concurrent-streams", "20"]);
    }
}

#[test]
fn h2load_uploads() {
    let server = server();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 100_000]).unwrap();
    let data = ["--data", file.path().to_str().unwrap()];
    h2load(&server, "/", &data);
    h2load(&server, "/", &[&data[..], &["--h1"]].concat());
}
