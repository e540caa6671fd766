//! What is written into the log, and what is not.

use std::sync::{Arc, Mutex};

use seawall_client::ClientConfig;
use seawall_guard::{BackoffConfig, RetryConfig};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Server, calm, client, nobody, ok, text};

/// Keeps the lines of this thread, until the guard falls.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn listen(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn all(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("seawall_client")).map(str::to_owned).collect()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_retry_is_one_event_in_the_span_of_its_call() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let server =
        Server::start(|seen| async move { if seen.number < 2 { text(503, "secret") } else { ok() } }).await;
    let backoff = BackoffConfig { base: std::time::Duration::from_millis(1), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, ..RetryConfig::default() };
    let client = client(ClientConfig { retry, ..calm() });
    client.get(server.url("/path?token=secret")).bearer("secret").send().await.unwrap();
    let all = lines.all();
    let retries: Vec<_> = all.iter().filter(|line| line.contains("another attempt")).collect();
    assert_eq!(retries.len(), 2, "{all:#?}");
    for (at, line) in retries.iter().enumerate() {
        assert!(line.contains("DEBUG") && line.contains("client_call{host="), "{line}");
        assert!(line.contains(&format!("retry={}", at + 1)) && line.contains("503"), "{line}");
    }
    assert!(!all.iter().any(|line| line.contains("secret")), "{all:#?}");
}

#[tokio::test]
async fn a_service_that_is_gone_is_an_alert_and_a_breaker_that_opens() {
    let lines = Lines::default();
    let _guard = lines.listen();
    let client = client(ClientConfig::default());
    let url = format!("http://{}/secret", nobody().await);
    for _ in 0..5 {
        client.get(&url).send().await.unwrap_err();
    }
    let all = lines.all();
    let count = |level: &str, what: &str| {
        all.iter().filter(|line| line.contains(level) && line.contains(what)).count()
    };
    assert_eq!(count("ERROR", "alert=true"), 1, "{all:#?}");
    assert_eq!(count("WARN", "a circuit breaker changed"), 1, "{all:#?}");
    assert_eq!(all.len(), 2, "{all:#?}");
}
