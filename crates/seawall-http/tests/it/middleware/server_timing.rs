//! How long an answer took.

use http::{HeaderName, HeaderValue};
use seawall_http::middleware::{ServerTiming, ServerTimingConfig};
use seawall_http::testing::TestResponse;
use seawall_http::{App, Context, Error};

use super::auth::ask;

fn timed(config: &ServerTimingConfig) -> App {
    let own = async |c: Context| {
        let db = HeaderValue::from_static("db;dur=0.8");
        Ok::<_, Error>(c.text(200, "hello")?.header(HeaderName::from_static("server-timing"), db))
    };
    App::new().with(ServerTiming::new(config).unwrap()).get("/", own)
}

fn lines(answer: &TestResponse) -> Vec<&str> {
    answer.headers().get_all("server-timing").iter().map(|line| line.to_str().unwrap()).collect()
}

#[test]
fn every_answer_says_how_long_it_took_beside_what_the_handler_says() {
    let answer = ask(timed(&ServerTimingConfig::default()), "GET /", &[], "");
    let [own, total] = lines(&answer)[..] else { panic!("two times: {answer:?}") };
    assert_eq!(own, "db;dur=0.8");
    let milliseconds = total.strip_prefix("total;dur=").unwrap();
    assert!(
        milliseconds.parse::<f64>().unwrap() >= 0.0 && milliseconds.split_once('.').unwrap().1.len() == 3
    );
    assert_eq!(answer.header("timing-allow-origin"), "");
}

#[test]
fn failures_say_it_too() {
    let answer = ask(timed(&ServerTimingConfig::default()), "GET /nowhere", &[], "");
    assert_eq!((answer.status().as_u16(), lines(&answer).len()), (404, 1));
}

#[test]
fn other_origins_may_be_let_read_it() {
    let allow_origins = vec!["https://a.example".to_owned(), "http://[::1]:8080".to_owned()];
    let config = ServerTimingConfig { metric: "app".to_owned(), allow_origins };
    let answer = ask(timed(&config), "GET /", &[], "");
    assert_eq!(answer.header("timing-allow-origin"), "https://a.example, http://[::1]:8080");
    assert!(lines(&answer)[1].starts_with("app;dur="));
}

#[test]
fn what_is_no_token_and_no_origin_is_refused() {
    let field = |config| ServerTiming::new(&config).unwrap_err().field().to_owned();
    for metric in ["", "a b", "a;b", "é"] {
        let config = ServerTimingConfig { metric: metric.to_owned(), ..Default::default() };
        assert_eq!(field(config), "server_timing.metric", "{metric}");
    }
    for origin in ["", "a.example", "https://", "https://a.example/", "ftp://a.example", "https://a b"] {
        let config = ServerTimingConfig { allow_origins: vec![origin.to_owned()], ..Default::default() };
        assert_eq!(field(config), "server_timing.allow_origins", "{origin}");
    }
}
