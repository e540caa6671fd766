//! Tasks that requests start: bound to them, or drained with the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use seawall_http::testing::TestClient;
use seawall_http::{App, Context, Result};
use seawall_tasks::{Tasks, TasksConfig};
use tokio::sync::Notify;

use crate::{block_on, check, send};

/// Says when it is dropped.
struct Flag(Arc<AtomicBool>);
impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_bound_task_gives_its_result_while_the_request_lasts() {
    let handler = async |c: Context| -> Result<String> {
        let sum = c.spawn("sum", async { 40 + 2 })?;
        Ok(format!("{:?}", sum.await?))
    };
    check(App::new().get("/", handler), "GET /", 200, "Some(42)");
}

#[test]
fn a_bound_task_ends_with_its_request() {
    block_on(async {
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&dropped);
        let app = App::new().get("/", move |c: Context| {
            let flag = Flag(Arc::clone(&flag));
            async move {
                let waits = async move {
                    let _flag = flag;
                    std::future::pending::<()>().await;
                };
                let _task = c.spawn("waits", waits)?;
                c.text(200, "answered")
            }
        });
        let tasks = app.tasks();
        assert_eq!(TestClient::new(app).unwrap().get("/").await.text(), "answered");
        tasks.drained().await;
        assert!(dropped.load(SeqCst));
    });
}

#[test]
fn a_detached_task_outlives_its_request() {
    block_on(async {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (wait, flag) = (Arc::clone(&go), Arc::clone(&done));
        let app = App::new().get("/", move |c: Context| {
            let (wait, flag) = (Arc::clone(&wait), Arc::clone(&flag));
            async move {
                let mail = async move {
                    wait.notified().await;
                    flag.store(true, SeqCst);
                };
                let _task = c.spawn_detached("mail", mail)?;
                c.text(200, "answered")
            }
        });
        let tasks = app.tasks();
        TestClient::new(app).unwrap().get("/").await;
        assert_eq!((tasks.live(), tasks.snapshot().sites[0].name), (1, "mail"));
        go.notify_one();
        tasks.drained().await;
        assert!(done.load(SeqCst));
    });
}

#[test]
fn too_many_tasks_are_a_503() {
    let tasks = Tasks::new(&TasksConfig { max_live: 1, ..TasksConfig::default() }).unwrap();
    let handler = async |c: Context| -> Result<&'static str> {
        let _one = c.spawn_detached("one", std::future::pending::<()>())?;
        let _two = c.spawn_detached("two", std::future::pending::<()>())?;
        Ok("never")
    };
    let answer = send(App::new().with_tasks(&tasks).get("/", handler), "GET /");
    assert_eq!((answer.status().as_u16(), answer.text()), (503, r#"{"message":"too many tasks"}"#));
}

#[test]
fn the_drain_waits_for_detached_tasks() {
    block_on(async {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (wait, flag) = (Arc::clone(&go), Arc::clone(&done));
        let app = App::new();
        let tasks = app.tasks();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = async move {
            wait.notified().await;
            flag.store(true, SeqCst);
        };
        let _task = tasks.spawn("mail", mail).unwrap();
        // Told to stop at once; it must not end before the task has.
        let mut served = std::pin::pin!(app.serve_until(listener, async {}));
        for _ in 0..100 {
            assert!(futures_util::FutureExt::now_or_never(served.as_mut()).is_none());
            tokio::task::yield_now().await;
        }
        go.notify_one();
        served.await.unwrap();
        assert!(done.load(SeqCst));
    });
}

#[test]
fn what_does_not_end_in_time_is_aborted() {
    block_on(async {
        let config = seawall_http::ServerConfig {
            shutdown_timeout: std::time::Duration::from_millis(1),
            ..Default::default()
        };
        let app = App::new().config(config);
        let tasks = app.tasks();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _task = tasks.spawn("endless", std::future::pending::<()>()).unwrap();
        app.serve_until(listener, async {}).await.unwrap();
        tasks.drained().await;
    });
}
