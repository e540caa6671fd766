//! A service that calls another one: its deadline and its trace go along, and an old price stands in when there is no
//! new one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use seawall::client::{Address, Client, ClientConfig, Error as CallError, HostConfig};
use seawall::guard::{Fallback, FallbackConfig, FallbackDecision};
use seawall::prelude::*;

/// What is known of prices, and from when.
struct Prices {
    client: Client,
    fallback: Fallback,
    known: Mutex<HashMap<u64, (u64, Instant)>>,
}

impl Prices {
    async fn of(&self, id: u64, c: &Context) -> std::result::Result<u64, CallError> {
        let trace = c.trace().clone();
        let call = self.client.get(format!("http://prices/{id}"));
        let call = call.deadline(c.deadline()).inject(move |headers| trace.child().inject(headers));
        match call.json::<u64>().await {
            Ok(cents) => {
                let mut known = self.known.lock().expect("nobody panics while holding it");
                known.retain(|_, (_, since)| since.elapsed() < Duration::from_secs(3_600));
                known.insert(id, (cents, c.received_at()));
                Ok(cents)
            }
            Err(error) => self.old(id, &error).ok_or(error),
        }
    }

    fn old(&self, id: u64, error: &CallError) -> Option<u64> {
        let (cents, since) = *self.known.lock().expect("nobody panics while holding it").get(&id)?;
        let decision = self.fallback.decide(error.outcome(), Some(since.elapsed()));
        (decision == FallbackDecision::Stale).then_some(cents)
    }
}

/// The only place where a failed call gets a status.
fn status(error: &CallError) -> Error {
    if error.is_timeout() {
        return Error::deadline_exceeded();
    }
    match (error.rejected(), error.retry_after()) {
        (Some(_), after) => {
            Error::unavailable("prices rest for a moment").retry_after(after.unwrap_or_default())
        }
        (None, _) => Error::bad_gateway("prices cannot be read"),
    }
}

async fn show(c: Context, Path(id): Path<u64>, prices: State<Prices>) -> Result<String> {
    let cents = prices.of(id, &c).await?;
    Ok(format!("{}.{:02}\n", cents / 100, cents % 100))
}

/// The service, with the prices at this address.
pub(crate) fn app(prices: Address) -> Result<App> {
    let app = App::new().accept_timeouts(Duration::from_secs(30));
    let hosts = [("prices".to_owned(), HostConfig { addresses: vec![prices] })].into();
    let client = Client::with_metrics(ClientConfig { hosts, ..ClientConfig::default() }, &app.metrics())?;
    let fallback = Fallback::new(&FallbackConfig::default())?;
    let prices = Prices { client, fallback, known: Mutex::default() };
    Ok(app.state(prices).map_error(status).get("/products/:id", show))
}

fn main() -> Result<()> {
    // The service that is called: another process in earnest.
    let there = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = Address::Tcp(there.local_addr()?);
    let prices = App::new().get("/:id", async |Path(id): Path<u64>| Json(id * 100 + 99));
    let config = ServerConfig { workers: Some(1), ..ServerConfig::default() };
    std::thread::spawn(move || prices.config(config).run(there));
    app(address)?.run("127.0.0.1:8080")
}
