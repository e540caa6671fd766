//! The thread that talks to Redis: one connection, questions in batches, and what happens when there is no answer.
//!
//! Questions come over a bounded queue and go out as one pipeline of up to 128. If a pipeline fails, or is not answered
//! within the timeout, the connection is given up: all its questions are reported as failed, the link is down, and a new
//! connection is tried after 50 ms, then after pauses that double up to a second. It is up again when it has answered
//! within the timeout. An idle link is tried once a second, so that it knows how it is before somebody needs it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use seawall_core::metrics::{Counter, Gauge, Registry, Timer};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::script::{Answer, Question, SCRIPT};
use super::store::Limit;
use crate::clock::{Clock as _, SystemClock};

/// Questions that may wait. When it is full the local share decides.
const QUEUE: usize = 4_096;
const BATCH: usize = 128;
/// For everything that comes before the first question.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(1);

/// A question and whom to tell the answer.
pub(super) struct Asked {
    pub(super) limit: Arc<Limit>,
    pub(super) question: Question,
}

/// The handle on the thread. Dropped, it lets the thread end by itself.
pub(super) struct Link {
    sender: mpsc::Sender<Asked>,
    up: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    full: Counter,
}

struct Metrics {
    up: Gauge,
    round_trip: Timer,
    timeouts: Counter,
    errors: Counter,
}

fn failures(registry: &Registry, reason: &str) -> Counter {
    let help = "Questions to Redis about shared limits that came to nothing.";
    registry.counter("seawall_shared_rate_failures_total", help, &[("reason", reason)])
}

impl Link {
    pub(super) fn start(client: redis::Client, timeout: Duration, registry: &Registry) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let up = Arc::new(AtomicBool::new(false));
        let help = "Whether the Redis of the shared limits answers.";
        let round_trip_help = "From a batch of questions to its answers.";
        let metrics = Metrics {
            up: registry.gauge("seawall_shared_rate_up", help, &[]),
            round_trip: registry.timer("seawall_shared_rate_seconds", round_trip_help, &[]),
            timeouts: failures(registry, "timeout"),
            errors: failures(registry, "error"),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let talk = Talk {
            client,
            timeout,
            script: redis::Script::new(SCRIPT).get_hash().to_owned(),
            receiver,
            stopped,
            state: State { up: Arc::clone(&up), metrics, since: None },
        };
        let thread = std::thread::Builder::new().name("seawall-rate".to_owned());
        let thread = thread.spawn(move || runtime.block_on(talk.run()))?;
        let full = failures(registry, "full");
        Ok(Self { sender, up, stop, thread: Mutex::new(Some(thread)), full })
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Whether somebody will report back.
    pub(super) fn ask(&self, asked: Asked) -> bool {
        let sent = self.sender.try_send(asked).is_ok();
        if !sent {
            self.full.inc();
        }
        sent
    }

    pub(super) fn close(&self) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join(); // if it panicked there is nothing left to wait for
        }
    }
}

/// Whether the link is up, in all the places where that is known.
struct State {
    up: Arc<AtomicBool>,
    metrics: Metrics,
    /// Since when it is up or down; nothing before the first attempt.
    since: Option<Instant>,
}

impl State {
    fn up(&mut self) {
        let now = SystemClock.now();
        let after = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.up.store(true, Ordering::Relaxed);
        self.metrics.up.set(1);
        self.since = Some(now);
        tracing::info!(after_seconds = after.as_secs_f64(), "shared rate limits: Redis answers");
    }

    fn down(&mut self, why: &Failed) {
        let was_up = self.up.swap(false, Ordering::Relaxed);
        self.metrics.up.set(0);
        if was_up || self.since.is_none() {
            self.since = Some(SystemClock.now());
            tracing::warn!(reason = %why, "shared rate limits: Redis is gone, each process gives its share");
        }
    }
}

impl Drop for State {
    /// However the thread ends, nobody waits for it.
    fn drop(&mut self) {
        self.up.store(false, Ordering::Relaxed);
        self.metrics.up.set(0);
    }
}

/// Why a connection was given up.
enum Failed {
    Timeout,
    /// What is shown of it is its kind: a message could repeat what was sent.
    Error(RedisError),
    /// It answered something else than was asked.
    Answer,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Error(error) => f.write_str(error.category()),
            Self::Answer => f.write_str("not the answer that was expected"),
        }
    }
}

struct Talk {
    client: redis::Client,
    timeout: Duration,
    script: String,
    receiver: mpsc::Receiver<Asked>,
    stopped: watch::Receiver<bool>,
    state: State,
}

impl Talk {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = SystemClock.now();
            let failed = match self.connect().await {
                Ok(connection) => match self.serve(connection).await {
                    Some(failed) => failed,
                    None => return,
                },
                Err(failed) => failed,
            };
            self.state.down(&failed);
            if SystemClock.now().saturating_duration_since(began) > LONGEST_PAUSE {
                pause = FIRST_PAUSE; // it held for a while, or the attempt itself was pause enough
            }
            if self.rest(pause).await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A connection that knows the script and answers in time.
    async fn connect(&mut self) -> Result<MultiplexedConnection, Failed> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = within(CONNECT_TIMEOUT, connecting).await?;
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(SCRIPT);
        within(CONNECT_TIMEOUT, load.query_async::<String>(&mut connection)).await?;
        self.greet(&mut connection).await?;
        Ok(connection)
    }

    async fn greet(&self, connection: &mut MultiplexedConnection) -> Result<(), Failed> {
        within(self.timeout, redis::cmd("PING").query_async::<String>(connection)).await.map(drop)
    }

    /// Asks and tells until the connection fails; nothing, if everything is over.
    async fn serve(&mut self, mut connection: MultiplexedConnection) -> Option<Failed> {
        self.drain();
        self.state.up();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
                count = self.receiver.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return None; // nobody is left who could ask
                    }
                }
                () = sleep(IDLE) => {}
            }
            let asked = if batch.is_empty() {
                self.greet(&mut connection).await
            } else {
                self.ask(&mut connection, &mut batch).await
            };
            if let Err(failed) = asked {
                return Some(failed);
            }
        }
    }

    /// Asks one batch and reports to each who asked, whatever comes of it.
    async fn ask(
        &mut self,
        connection: &mut MultiplexedConnection,
        batch: &mut Vec<Asked>,
    ) -> Result<(), Failed> {
        let mut pipeline = redis::pipe();
        for Asked { limit, question } in batch.iter() {
            let key = format!("{}{:016x}", limit.prefix, question.key);
            pipeline
                .cmd("EVALSHA")
                .arg(&self.script)
                .arg(1)
                .arg(key)
                .arg(limit.arguments(question).as_slice());
        }
        let sent = SystemClock.now();
        let replies = within(self.timeout, pipeline.query_async::<Vec<(i64, i64, i64)>>(connection)).await;
        self.state.metrics.round_trip.observe(SystemClock.now().saturating_duration_since(sent));
        let replies = replies.and_then(|replies| {
            let whole = replies.len() == batch.len();
            if whole { Ok(replies) } else { Err(Failed::Answer) }
        });
        match replies {
            Ok(replies) => {
                for (Asked { limit, question }, reply) in batch.drain(..).zip(replies) {
                    limit.answered(&question, &Answer::from_reply(reply));
                }
                Ok(())
            }
            Err(failed) => {
                let counter = match failed {
                    Failed::Timeout => &self.state.metrics.timeouts,
                    Failed::Error(_) | Failed::Answer => &self.state.metrics.errors,
                };
                counter.add(batch.len() as u64);
                // Down first: who hears that a question has failed must not ask the next one here.
                self.state.down(&failed);
                batch.drain(..).for_each(|asked| asked.limit.failed(&asked.question));
                Err(failed)
            }
        }
    }

    /// Reports what was asked in vain.
    fn drain(&mut self) {
        while let Ok(asked) = self.receiver.try_recv() {
            self.state.metrics.errors.inc();
            asked.limit.failed(&asked.question);
        }
    }

    /// Waits before the next attempt, and reports what is still asked meanwhile. Whether everything is over.
    async fn rest(&mut self, pause: Duration) -> bool {
        let waiting = sleep(pause);
        tokio::pin!(waiting);
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return true,
                asked = self.receiver.recv() => {
                    let Some(asked) = asked else { return true };
                    self.state.metrics.errors.inc();
                    asked.limit.failed(&asked.question);
                }
                () = &mut waiting => return false,
            }
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, RedisError>>) -> Result<T, Failed> {
    match timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.is_timeout() => Err(Failed::Timeout),
        Ok(Err(error)) => Err(Failed::Error(error)),
        Err(_) => Err(Failed::Timeout),
    }
}
