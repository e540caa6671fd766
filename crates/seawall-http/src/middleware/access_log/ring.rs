//! Where lines wait for the one thread that writes them.
//!
//! Memory of a fixed size, in parts so that workers do not meet: a worker locks its part for as long as copying a line
//! takes, and the writer for as long as it takes to put an empty buffer in place of a full one. Nobody ever waits for
//! the file: a line that does not fit is dropped and counted.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// More parts than workers that log at the same moment.
const PARTS: usize = 8;
/// How long the writer gathers lines after the first one: one write for all of them, and a wake-up at most so often.
const GATHER: Duration = Duration::from_millis(50);
/// How long the end waits for the writer. A file that takes longer loses its last lines, not the shutdown.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// The ring and its thread. Dropping it writes what is there.
#[derive(Debug)]
pub(super) struct Ring {
    shared: Arc<Shared>,
    writer: Thread,
    /// Ends by itself once it was told to.
    _thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    parts: [Mutex<Vec<u8>>; PARTS],
    /// Bytes that a part holds.
    room: usize,
    /// Whether the writer knows that there are lines.
    told: AtomicBool,
    closed: AtomicBool,
    ended: (Mutex<bool>, Condvar),
    dropped: AtomicU64,
}

impl Ring {
    /// A ring of `bytes`, whose lines are written to `out`.
    ///
    /// # Errors
    /// If the thread cannot be made.
    pub(super) fn start(bytes: usize, out: impl Write + Send + 'static) -> io::Result<Self> {
        let room = bytes / PARTS;
        let shared = Arc::new(Shared {
            parts: std::array::from_fn(|_| Mutex::new(Vec::with_capacity(room))),
            room,
            told: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            ended: Default::default(),
            dropped: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("seawall-log".to_owned()).spawn(move || own.write(out))?;
        Ok(Self { shared, writer: thread.thread().clone(), _thread: thread })
    }

    /// Takes a line with its line break, or drops it; whether it was taken. It never waits for a write.
    pub(super) fn push(&self, line: &[u8]) -> bool {
        let Shared { parts, room, told, dropped, .. } = &*self.shared;
        let mut part = parts[own_part()].lock();
        let before = part.len();
        if before + line.len() > *room {
            drop(part);
            dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        part.extend_from_slice(line); // within the capacity: no allocation
        let half_full = before <= room / 2 && part.len() > room / 2;
        drop(part);
        if !told.swap(true, Ordering::AcqRel) || half_full {
            self.writer.unpark();
        }
        true
    }

    /// Lines dropped so far, for want of room or because they could not be written.
    #[cfg(test)]
    fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// The writer's thread.
    fn write(&self, mut out: impl Write) {
        let mut spare = Vec::with_capacity(self.room);
        loop {
            let closed = self.closed.load(Ordering::Acquire);
            if !closed && !self.told.load(Ordering::Acquire) {
                thread::park();
                continue;
            }
            if !closed {
                thread::park_timeout(GATHER);
            }
            self.told.store(false, Ordering::Release); // before the look, so that a line behind it tells us again
            for part in &self.parts {
                std::mem::swap(&mut *part.lock(), &mut spare);
                if let Err(error) = out.write_all(&spare) {
                    self.lost(&spare, &error);
                }
                spare.clear();
            }
            if let Err(error) = out.flush() {
                self.lost(&[], &error);
            }
            if closed {
                break;
            }
        }
        *self.ended.0.lock() = true;
        self.ended.1.notify_all();
    }

    fn lost(&self, lines: &[u8], error: &io::Error) {
        let lines = lines.iter().filter(|byte| **byte == b'\n').count();
        self.dropped.fetch_add(lines as u64, Ordering::Relaxed);
        tracing::error!(%error, lines, "lines of the access log could not be written");
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.writer.unpark();
        let mut ended = self.shared.ended.0.lock();
        if !*ended {
            self.shared.ended.1.wait_for(&mut ended, LAST_WRITES);
        }
    }
}

/// Each thread has one part, in turn.
fn own_part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % PARTS));
    OWN.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_whole_before_the_end() {
        let lines = Lines::default();
        let ring = Arc::new(Ring::start(1 << 20, lines.clone()).unwrap());
        let threads = (0..4).map(|thread| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                (0..500).for_each(|n| assert!(ring.push(format!("{thread} {n}\n").as_bytes())))
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        drop(ring);
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        let mut found: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut expected: Vec<_> = (0..4).flat_map(|t| (0..500).map(move |n| format!("{t} {n}"))).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    /// A file that takes nothing until it is told to.
    struct Stuck(mpsc::Receiver<()>, Lines);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv(); // a sender that is gone means: go on
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_hangs_costs_lines_and_never_time() {
        let (go_on, wait) = mpsc::sync_channel(0);
        let lines = Lines::default();
        let ring = Ring::start(PARTS * 100, Stuck(wait, lines.clone())).unwrap();
        // The writer holds at most one part's worth, and the part holds another: of 50 lines of 10 bytes 20 are kept.
        let kept = (0..50).filter(|n| ring.push(format!("line {n:04}\n").as_bytes())).count();
        assert!((10..=20).contains(&kept), "{kept}");
        assert_eq!(ring.dropped(), 50 - kept as u64);
        drop(go_on);
        drop(ring);
        assert_eq!(lines.0.lock().len(), kept * 10);
    }

    /// A file that is full.
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let ring = Ring::start(1 << 16, Full).unwrap();
        assert!(ring.push(b"one\n") && ring.push(b"two\n"));
        let shared = Arc::clone(&ring.shared);
        drop(ring);
        assert_eq!(shared.dropped.load(Ordering::Relaxed), 2);
    }
}
