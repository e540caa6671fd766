//! Measures durable work on this machine's disk: writes, and jobs from enqueue to done.
//!
//! `cargo run --release -p seawall-data --example durable [directory]`. Each figure is one run of three seconds after
//! one second of warm-up. The directory should be on the disk in question; a RAM disk flatters.
//!
//! What one fdatasync takes is printed before and after: it decides everything here, and differs by a factor of 30
//! between disks, and on a shared disk between hours. A rate without it means nothing.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use seawall_core::metrics::Registry;
use seawall_data::clock::{Clock, SystemClock};
use seawall_data::queue::{Delivery, Inbox, Queue, QueueConfig, QueueError, Worker};
use seawall_data::sql::{SqlError, Sqlite, SqliteConfig, Tx};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = directory.join(format!("seawall-durable-{}.db", std::process::id()));
    let registry = Registry::new();
    let db = Sqlite::open(&SqliteConfig { path: path.clone(), ..SqliteConfig::default() }, &registry)?;
    db.write_blocking(|tx| {
        tx.execute_all("CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER, idem_key TEXT UNIQUE)")
    })?;
    println!("one fdatasync of 4 KiB takes {:?} (median of 200)", fdatasync(&directory)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for in_flight in [1, 16, 64, 256, 1_024] {
        let rate = runtime.block_on(writes(&db, in_flight));
        println!("{in_flight:>5} in flight: {rate:>7.0} durable writes/s");
    }
    let queue = Queue::open(&db, &QueueConfig::default(), &registry)?;
    for in_flight in [64, 256] {
        let rate = jobs(&runtime, &queue, in_flight)?;
        println!("{in_flight:>5} in flight: {rate:>7.0} durable jobs/s, enqueue to done, 256 B each");
    }
    for family in registry.snapshot().iter().filter(|family| family.name.ends_with("_total")) {
        family.samples.iter().for_each(|sample| println!("{} {:?}", family.name, sample.value));
    }
    println!("one fdatasync of 4 KiB takes {:?} (median of 200)", fdatasync(&directory)?);
    db.close();
    for suffix in ["", ".lock"] {
        std::fs::remove_file(format!("{}{suffix}", path.display()))?;
    }
    Ok(())
}

/// The median time of writing 4 KiB at the end of a file and waiting for the disk.
fn fdatasync(directory: &Path) -> std::io::Result<Duration> {
    let path = directory.join(format!("seawall-durable-{}.sync", std::process::id()));
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(200);
    for _ in 0..200 {
        let began = SystemClock.now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times.push(SystemClock.now().duration_since(began));
    }
    std::fs::remove_file(&path)?;
    times.sort();
    Ok(times[100])
}

/// Counts what `count` gained in the three seconds after the first.
async fn rate(count: &AtomicU64, stop: &AtomicBool) -> f64 {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (began, before) = (SystemClock.now(), count.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let gained = count.load(Ordering::Relaxed) - before;
    let rate = gained as f64 / SystemClock.now().duration_since(began).as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    rate
}

async fn writes(db: &Sqlite, in_flight: u64) -> f64 {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    for user in 0..in_flight {
        let (db, count, stop) = (db.clone(), Arc::clone(&count), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let key = format!("{in_flight}-{user}-{n}");
                let insert = move |tx: &Tx<'_>| {
                    let sql = "INSERT INTO orders (user, idem_key) VALUES (?, ?)";
                    tx.execute(sql, &[user.into(), (&key).into()])
                };
                let _: Result<usize, SqlError> = db.write(insert).await;
                n += 1;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    rate(&count, &stop).await
}

fn jobs(runtime: &tokio::runtime::Runtime, queue: &Queue, in_flight: u64) -> Result<f64, Box<dyn Error>> {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (room, inbox) =
        (Arc::new(tokio::sync::Semaphore::new(in_flight as usize)), Inbox::new("bench", 10_000)?);
    let (done, freed) = (Arc::clone(&count), Arc::clone(&room));
    let worker = Worker::spawn(queue, move |tx: &Tx<'_>, batch: &[Delivery]| {
        for delivery in batch {
            inbox.once(tx, &delivery.msg_id)?;
        }
        let (done, freed, jobs) = (Arc::clone(&done), Arc::clone(&freed), batch.len());
        tx.on_end(move |_| {
            done.fetch_add(jobs as u64, Ordering::Relaxed);
            freed.add_permits(jobs);
        });
        Ok::<(), QueueError>(())
    })?;
    for sender in 0..in_flight {
        let (queue, room, stop) = (queue.clone(), Arc::clone(&room), Arc::clone(&stop));
        runtime.spawn(async move {
            for n in 0_u64.. {
                let Ok(permit) = room.acquire().await else { return };
                permit.forget();
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let _ = queue.publish(format!("{in_flight}-{sender}-{n}"), vec![7; 256]).await;
            }
        });
    }
    let rate = runtime.block_on(rate(&count, &stop));
    room.close();
    worker.stop();
    Ok(rate)
}
