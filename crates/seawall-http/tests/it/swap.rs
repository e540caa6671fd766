//! Another app in the place of the one that runs.

use std::future::IntoFuture as _;
use std::sync::Arc;

use seawall_http::testing::TestClient;
use seawall_http::{App, Context, State};
use tokio::sync::Notify;

fn first() -> App {
    App::new().state(1_u8).get("/", async |n: State<u8>| format!("first {}", *n)).get("/old", async || "old")
}

fn second() -> App {
    App::new().state(2_u8).get("/", async |n: State<u8>| format!("second {}", *n)).get("/new", async || "new")
}

#[test]
fn a_swap_replaces_routes_and_state() {
    crate::block_on(async {
        let (app, live) = first().swappable();
        let client = TestClient::new(app).unwrap();
        assert_eq!(client.get("/").await.text(), "first 1");
        live.swap(second()).unwrap();
        assert_eq!(client.get("/").await.text(), "second 2");
        assert_eq!(client.get("/old").await.status(), 404);
        assert_eq!(client.get("/new").await.text(), "new");
    });
}

#[test]
fn every_worker_gets_it_those_that_start_later_too() {
    crate::block_on(async {
        let (app, live) = first().swappable();
        let service = app.build().unwrap();
        let early = service.replicate();
        live.swap(second()).unwrap();
        for service in [&service, &early, &service.replicate(), &early.replicate()] {
            let request = http::Request::get("/new").body(seawall_http::Body::whole("")).unwrap();
            assert_eq!(service.handle(request).await.status(), 200);
        }
    });
}

#[test]
fn a_request_ends_in_the_app_that_it_began_in() {
    crate::block_on(async {
        let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (enter, wait) = (Arc::clone(&entered), Arc::clone(&go));
        let slow = move |c: Context| {
            let (enter, wait) = (Arc::clone(&enter), Arc::clone(&wait));
            async move {
                enter.notify_one();
                wait.notified().await;
                c.state::<u8>().map(u8::to_string)
            }
        };
        let (app, live) = first().get("/slow", slow).swappable();
        let client = TestClient::new(app).unwrap();
        let swap = async {
            entered.notified().await;
            live.swap(second()).unwrap();
            go.notify_one();
        };
        let (answer, ()) = tokio::join!(client.get("/slow").into_future(), swap);
        assert_eq!(answer.text(), "1");
        assert_eq!(client.get("/slow").await.status(), 404);
    });
}

#[test]
fn a_bad_app_changes_nothing() {
    crate::block_on(async {
        let (app, live) = first().swappable();
        let client = TestClient::new(app).unwrap();
        assert!(live.swap(App::new().get("no-slash", async || "")).is_err());
        assert_eq!(client.get("/").await.text(), "first 1");
    });
}

#[test]
fn the_metrics_stay_in_one_registry() {
    crate::block_on(async {
        let (app, live) = first().swappable();
        let registry = app.metrics();
        let client = TestClient::new(app).unwrap();
        client.get("/").await;
        live.swap(second()).unwrap();
        client.get("/new").await;
        let routes = format!("{:?}", registry.snapshot());
        assert!(routes.contains("\"/\"") && routes.contains("\"/new\""), "{routes}");
    });
}

#[test]
fn where_nothing_runs_there_is_nothing_to_swap() {
    let (app, live) = first().swappable();
    assert!(live.swap(second()).is_err());
    drop(app.build().unwrap());
    assert!(live.swap(second()).is_err());
}
