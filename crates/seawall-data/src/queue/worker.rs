//! A worker: a thread that claims messages in batches and handles each batch in one transaction.
//!
//! The acknowledgements are part of that transaction, and the next batch is claimed while it commits, so a busy worker
//! costs one commit per batch. If a batch fails, its messages are handled one by one: a bad message holds up nobody
//! else.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{self, Runtime};
use tokio::sync::watch;

use super::{Delivery, Queue, QueueError};
use crate::sql::Tx;

type Handle<E> = dyn Fn(&Tx<'_>, &[Delivery]) -> Result<(), E> + Send + Sync;

/// A running worker. Dropping it stops it as [`Worker::stop`] does, without waiting.
#[derive(Debug)]
pub struct Worker {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker. `handle` is called on the database's writer thread with a batch of messages and the
    /// transaction of their work; it must be quick, since nobody else writes meanwhile, and must not acknowledge:
    /// the worker does. It may see a message again; an [`Inbox`](super::Inbox) tells.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn spawn<E>(
        queue: &Queue,
        handle: impl Fn(&Tx<'_>, &[Delivery]) -> Result<(), E> + Send + Sync + 'static,
    ) -> std::io::Result<Self>
    where
        E: From<QueueError> + From<crate::sql::SqlError> + fmt::Display + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        let job = Job { queue: queue.clone(), handle: Arc::new(handle), stopped };
        let name = format!("queue-{}", queue.0.config.name);
        let thread = std::thread::Builder::new().name(name).spawn(move || run(&runtime, job))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Finishes the batch in hand, gives back what is claimed beyond it, and waits for the thread. Blocks: call it
    /// from a plain thread.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a queue worker panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

struct Job<E> {
    queue: Queue,
    handle: Arc<Handle<E>>,
    stopped: watch::Receiver<bool>,
}

fn run<E>(runtime: &Runtime, mut job: Job<E>)
where
    E: From<QueueError> + From<crate::sql::SqlError> + fmt::Display + Send + 'static,
{
    runtime.block_on(async {
        let mut batch = Vec::new();
        while !*job.stopped.borrow() {
            if batch.is_empty() {
                batch = job.claim().await;
            }
            if batch.is_empty() {
                job.idle().await;
                continue;
            }
            let (_, next) = tokio::join!(job.process(batch), job.claim());
            batch = next;
        }
        if let Err(error) = job.queue.release(batch).await {
            tracing::warn!(%error, "claimed messages come again when their lease ends");
        }
    });
}

impl<E> Job<E>
where
    E: From<QueueError> + From<crate::sql::SqlError> + fmt::Display + Send + 'static,
{
    /// Waits for a message, for the time to look again, or for the stop.
    async fn idle(&mut self) {
        tokio::select! {
            () = self.queue.arrived() => {}
            _ = self.stopped.changed() => {}
            () = tokio::time::sleep(self.queue.0.config.poll) => {}
        }
    }

    async fn claim(&self) -> Vec<Delivery> {
        match self.queue.claim(usize::MAX).await {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, "cannot claim messages");
                Vec::new()
            }
        }
    }

    async fn process(&self, batch: Vec<Delivery>) {
        let batch = Arc::new(batch);
        let Err(error) = self.handle(Arc::clone(&batch)).await else { return };
        if batch.len() > 1 {
            tracing::warn!(%error, messages = batch.len(), "a batch failed, its messages are handled one by one");
        }
        for delivery in batch.iter() {
            let Err(error) = self.handle(Arc::new(vec![delivery.clone()])).await else { continue };
            tracing::warn!(%error, msg_id = delivery.msg_id, attempt = delivery.attempt, "a message failed");
            if let Err(error) = self.queue.fail(delivery.clone(), error.to_string()).await {
                tracing::warn!(%error, "the message comes again when its lease ends");
            }
        }
    }

    async fn handle(&self, batch: Arc<Vec<Delivery>>) -> Result<(), E> {
        let (queue, handle) = (self.queue.clone(), Arc::clone(&self.handle));
        let work = move |tx: &Tx<'_>| {
            handle(tx, &batch)?;
            batch.iter().try_for_each(|delivery| queue.ack(tx, delivery))?;
            Ok(())
        };
        self.queue.0.db.write(work).await
    }
}
